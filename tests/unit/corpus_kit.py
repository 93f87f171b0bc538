"""Small corpora for the tests of `conformance.corpus`: files in a folder, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from conformance.corpus import Corpus, Planned, load
from conformance.errors import CorpusErrors
from conformance.model.trial import Trial

RULE = """
[[rules]]
id = "TEST-1"
level = "MUST"
sentence = "Something must hold."
source = "this test"
"""

TARGET = """
title = "A file system"
kind = "ext4"
block = "4k"
mkfs = ["mkfs", "{device}"]
check = ["fsck", "{device}"]

[offers]
move_ext = ""
swapfile = ""
clone = ">=6.5"
freeze = ""
unwritten = ""
owners = ""
transactions = ""

[variants.big]

[variants.small]
block = "1k"
without = ["clone"]
"""

HEAD = """
rule = "TEST-1"
title = "A case"
"""

STEPS = """
[files]
target = "data:16b"
donor = "data:16b"

[[steps]]
do = "exchange"
via = "move_ext"
"""


def write(root: Path, **files: str) -> Path:
    """Writes files below `root`; a double underscore in a name stands for a slash."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def corpus(root: Path, case: str = HEAD + STEPS, *, tests_only: bool = False, **files: str) -> Corpus:
    """A corpus with one rule, one target (`fs`) and one case (`area/case`)."""
    parts = {"rules__test": RULE, "targets__fs": TARGET, "area__case": case} | files
    return load([write(root, **parts)], tests_only=tests_only)


def planned(loaded: Corpus, variant: str = "big", release: str | None = None) -> list[Planned]:
    """The trials of all cases on one variant."""
    found = [item for item in loaded.require().targets["fs"].variants if item.variant == variant]
    return loaded.plan(found, release)[0]


def trial(root: Path, case: str, variant: str = "big", release: str | None = None) -> Trial:
    """The only trial of a case."""
    (only,) = planned(corpus(root, case), variant, release)
    return only.trial()


def errors(root: Path, case: str, *, tests_only: bool = False) -> list[str]:
    """All that is wrong with a case, when it is read or when its first trial is built."""
    loaded = corpus(root, case, tests_only=tests_only)
    if loaded.errors:
        return [str(error).removeprefix(f"{root}/") for error in loaded.errors]
    try:
        planned(loaded)[0].trial()
    except CorpusErrors as found:
        return [str(error).removeprefix(f"{root}/") for error in found.errors]
    return []
