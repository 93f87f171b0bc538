"""TOML in, typed values out: rules, cases, targets and known deviations; their expansion to trials; lint.

    corpus = load([cases])                                   what is there, and corpus.errors
    variants = select_variants("ext4,xfs:rmapbt0", corpus.targets)
    planned, refused = corpus.plan(variants, "6.1.0")        names and reasons, cheaply
    planned[0].trial()                                       the trial, complete
    lint(corpus)                                             everything that is wrong, or useless

The contract that it reads is `cases/README.md`.
"""

from conformance.corpus.cases import Case
from conformance.corpus.expand import NotApplicable, Planned, plan, trials
from conformance.corpus.known import Known, KnownList
from conformance.corpus.load import Corpus, load
from conformance.corpus.rules import Rule
from conformance.corpus.targets import Target, Variant, read_target, select_variants

__all__ = [
    "Case",
    "Corpus",
    "Known",
    "KnownList",
    "NotApplicable",
    "Planned",
    "Rule",
    "Target",
    "Variant",
    "load",
    "plan",
    "read_target",
    "select_variants",
    "trials",
]
