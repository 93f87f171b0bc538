"""The machines by the names that `--machine` takes. A new one is a module beside this file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conformance.errors import UnknownName
from conformance.machines.protocol import Machine


def _uml() -> Machine:
    from conformance.machines.uml import UmlMachine

    return UmlMachine()


def _qemu() -> Machine:
    from conformance.machines.qemu import QemuMachine

    return QemuMachine()


MACHINES: Mapping[str, Callable[[], Machine]] = {"uml": _uml, "qemu": _qemu}
"""What makes each machine, imported only when it is wanted."""


def machine_named(name: str) -> Machine:
    """The machine of that name; raises UnknownName."""
    if name not in MACHINES:
        raise UnknownName("machine", name, MACHINES)
    return MACHINES[name]()
