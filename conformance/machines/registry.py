"""The machines by the names that `--machine` takes. A new one is a module beside this file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conformance.errors import UnknownName
from conformance.machines.protocol import Machine


def _uml() -> Machine:
    from conformance.machines.uml import UmlMachine

    return UmlMachine()


MACHINES: Mapping[str, Callable[[], Machine]] = {"uml": _uml}
"""What makes each machine, imported only when it is wanted."""


def machine_named(name: str) -> Machine:
    """The machine of that name; raises UnknownName."""
    if name not in MACHINES:
        raise UnknownName("machine", name, MACHINES)
    return MACHINES[name]()
