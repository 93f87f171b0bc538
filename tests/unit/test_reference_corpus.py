"""The corpus on every personality of the reference, in this process: what is judged there, and that nothing breaks."""

from __future__ import annotations

from collections import Counter

import pytest

from conformance.corpus import Variant, load
from conformance.judge import judge
from conformance.machines.reference import Reference, variants
from conformance.share import share_dir

VARIANTS = {variant.variant: variant for variant in variants()}


def test_every_personality_is_a_variant_and_full_is_the_first() -> None:
    assert next(iter(VARIANTS)) == "full"
    assert [variant.first for variant in VARIANTS.values()].count(True) == 1
    assert {"ext4", "xfs", "xfs_rmap", "btrfs", "f2fs", "nfs"} <= set(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_quick_trials_are_made_and_judged(variant: Variant) -> None:
    corpus = load([share_dir() / "cases"])
    planned, _ = corpus.plan([variant])
    kinds: Counter[str] = Counter()
    for item in planned:
        if "quick" in item.tags:
            trial = item.trial()
            verdict = judge(trial, Reference().run(trial))
            kinds[verdict.kind] += 1
            assert verdict.kind in ("pass", "fail", "vacuous"), f"{item.name}: {verdict.reason}"
    assert kinds["pass"] > 10 * kinds["fail"]
