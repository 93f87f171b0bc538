"""Decides what executes a QEMU guest's instructions: KVM, where it is proved to work, else QEMU itself (TCG).

That /dev/kvm opens proves nothing: some hosts have one on which ordinary guests never start. So a guest is
booted with it, once, with a time limit, and what came of it is remembered in the user's cache.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Literal

from conformance.cachedir import cache_dir

Accelerator = Literal["kvm", "tcg"]
KVM_SECONDS = 20.0
"""How long a guest may take to come up with KVM: half a second is usual."""
_DEVICE = Path("/dev/kvm")


def proved(qemu: str) -> Accelerator | None:
    """What is known: None when KVM has to be tried. `qemu` says which QEMU it is.

    Where the user may not open /dev/kvm there is nothing to try."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        works = json.loads(_place().read_bytes()).get(_host(qemu))
        if isinstance(works, bool):
            return "kvm" if works else "tcg"
    return None


def remember(qemu: str, *, works: bool) -> None:
    """Keeps what a trial boot showed. Another kernel or another QEMU is tried again."""
    with contextlib.suppress(OSError):  # it only costs another trial boot
        temporary = _place().with_name(f"{_place().name}.{os.getpid()}")
        temporary.write_text(json.dumps({_host(qemu): works}))
        temporary.rename(_place())


def _place() -> Path:
    return cache_dir() / "kvm.json"


def _host(qemu: str) -> str:
    host = os.uname()
    return f"{qemu} on {host.nodename}, {host.release} {host.version}"
