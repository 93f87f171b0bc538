"""What a kernel says of itself, asked once in a guest and kept in the user's cache.

Which trials are applicable depends on the kernel's release, and that has to be known before the
first worker begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from conformance.cachedir import cache_dir
from conformance.errors import ConformanceError, GuestError, SetupError
from conformance.guest.protocol import Hello
from conformance.machines.protocol import BootImage, Machine
from conformance.machines.session import Session
from conformance.model.codec import DecodeError, decode, encode


def pristine_dir() -> Path:
    """Where pristine file systems are kept."""
    return cache_dir() / "pristine"


def kernel_facts(machine: Machine, image: BootImage, progress: Callable[[str], None]) -> Hello:
    """The hello of a guest with this kernel: from the cache, or from one that is booted now.

    Raises GuestError with the console when it does not come up, SetupError when it cannot be started."""
    path = _place(machine, image)
    with contextlib.suppress(OSError, ValueError, DecodeError):
        return decode(Hello, json.loads(path.read_bytes()))
    progress(f"asking {image.kernel_name} what it is")
    try:
        session = Session.boot(machine, image, pristine_dir(), progress)
    except GuestError as error:
        where = f"the kernel {image.kernel_name} does not run on the machine {machine.name}"
        raise type(error)(f"{where}: {error}") from None
    session.stop()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(encode(session.hello)))
        temporary.rename(path)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror or error}.") from None
    return session.hello


def forget_facts(machine: Machine, image: BootImage) -> None:
    """Removes what is kept, when a guest turned out to say something else."""
    _place(machine, image).unlink(missing_ok=True)


def check_facts(planned: Hello, found: Hello, machine: Machine, image: BootImage) -> None:
    """Raises ConformanceError when the guest that came up is not the kernel that the run was planned for."""
    if (planned.release, planned.filesystems) != (found.release, found.filesystems):
        forget_facts(machine, image)
        raise ConformanceError(
            f"expected the kernel {planned.release} that was planned for, found {found.release} in the guest, or other "
            "file systems in it. What was remembered of it is removed now: start the run again."
        )


def _place(machine: Machine, image: BootImage) -> Path:
    status = image.kernel.stat()
    parts = [machine.name, str(image.kernel), status.st_size, status.st_mtime_ns, str(image.initramfs)]
    return cache_dir() / "kernels" / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}.json"
