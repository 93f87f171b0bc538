"""Each observer sees the violation that is made for it, in a real guest; and is quiet about its twin.

The cases in `observers/` are ordinary ones, but what they claim is broken on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conformance.cachedir import cache_dir
from conformance.corpus import Corpus, Planned, load, select_variants
from conformance.images import boot_image
from conformance.judge import judge
from conformance.machines.session import Session
from conformance.machines.uml import UmlMachine
from conformance.share import share_dir

SEEN: dict[str, tuple[tuple[str, str], ...]] = {
    "attributes[change=mode]": (("mode", "target"),),
    "attributes[change=link]": (("links", "target"),),
    "attributes[change=attribute]": (("xattrs", "target"),),
    "bystander": (("content", "bystander"),),
    "checker": (("checker", ""),),
    "console": (("console", "kernel log"),),
    "content": (("content", "target"),),
    "device": (("foreign data", "target"),),
    "extents": (("layout", "target"),),
    "header": (("swap header", "target"),),
    "mapping": (("sees", ""),),
    "outcome": (("outcome", "fsync"),),
    "owner": (("owners", "target"),),
    "size": (("size", "target"),),
    "space": (("free space", "file system"),),
    "times": (("atime", "target"), ("mtime", "target"), ("ctime", "target")),
    "transactions": (("transactions", "write"),),
}
"""What must be found in each, and of what; an empty subject is any."""
VACUOUS = {"overlap": "writer finished 0 passes", "pages": "pages_out = 0"}
"""Those that meet no violation, but not their situation either, and what is said of it."""
TWINS = {"sound"}


@cache
def corpus() -> Corpus:
    return load([share_dir() / "cases", Path(__file__).parent / "observers"], tests_only=True)


@cache
def planned() -> tuple[Planned, ...]:
    variants = select_variants("ext4:4k,xfs:rmapbt0,btrfs", corpus().targets)
    return tuple(item for item in corpus().plan(variants)[0] if item.rule.id == "SELF-1")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    image = boot_image("uml-6.1", lambda _: None)
    booted = Session.boot(UmlMachine(), image, cache_dir() / "pristine", lambda _: None)
    yield booted
    booted.stop()


def short(item: Planned) -> str:
    return item.name.partition("@")[0]


def test_every_violation_is_expected_to_be_seen() -> None:
    assert not [error for error in corpus().errors if "observers" in error.where]
    assert {short(item) for item in planned()} == set(SEEN) | set(VACUOUS) | TWINS


@pytest.mark.parametrize("item", planned(), ids=lambda item: item.name)
def test_the_observer_sees_it(session: Session, item: Planned) -> None:
    trial = item.trial()
    verdict = judge(trial, session.run(trial))
    name = short(item)
    if name in TWINS:
        assert verdict.kind == "pass", verdict
    elif name in VACUOUS:
        assert verdict.kind == "vacuous"
        assert VACUOUS[name] in verdict.reason
    else:
        assert verdict.kind == "fail"
        for what, subject in SEEN[name]:
            seen = [found for found in verdict.findings if found.what == what and subject in ("", found.subject)]
            assert seen, f"{what} of {subject or 'anything'}: {verdict}"
