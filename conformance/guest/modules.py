"""Loads the kernel modules that came with the guest's root, in the order of their names."""

from __future__ import annotations

import errno
import os

from kernel.linux import libc

DIRECTORY = "/opt/modules"
"""Where they lie: `00-crc32c_generic.ko`, and so on, each behind those that it needs."""
_FINIT_MODULE = 313
"""The number of finit_module(2) on x86-64, for which the C library has no function."""


def load_modules() -> list[str]:
    """Loads all and removes their files, which take memory; the names of those that the kernel refused."""
    refused: list[str] = []
    for name in sorted(os.listdir(DIRECTORY)) if os.path.isdir(DIRECTORY) else ():
        path = f"{DIRECTORY}/{name}"
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.syscall(_FINIT_MODULE, fd, b"", 0)
        except OSError as error:
            if error.errno != errno.EEXIST:  # another module brought it, or it is built in
                refused.append(f"module {name}: {libc.errno_name(error.errno or 0)}")
        finally:
            os.close(fd)
        os.unlink(path)
    return refused
