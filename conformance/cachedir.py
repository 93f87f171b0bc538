"""The user's cache directory: where images are kept and, when shared memory is small, the files of guests."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from conformance.errors import ImageError, SetupError

_ADVICE = "Set XDG_CACHE_HOME to a directory of yours."


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/conformance`, or `~/.cache/conformance`. As XDG asks, a relative XDG_CACHE_HOME is ignored.

    Raises SetupError when there is no home directory either."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "conformance"
    except RuntimeError as error:
        raise SetupError(f"expected a home directory for the cache, found none: {error} {_ADVICE}") from error


def require_directory(path: Path) -> Path:
    """Makes the directory if it is not there. Raises SetupError when it cannot be made or written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cache_error(path, error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SetupError(f"{path}: expected a directory that can be written, found one that cannot. {_ADVICE}")
    return path


def remove_tree(path: Path) -> None:
    """Removes a directory and all below it, if it is there; directories that cannot be written are made so first."""
    for directory, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def cache_error(path: Path, error: OSError) -> SetupError:
    """What to raise for an error of the operating system while the cache below `path` was written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ImageError(
            f"{path}: no space left on the device while making an image. Free some, "
            "or set XDG_CACHE_HOME to a directory with more."
        )
    where = error.filename or path
    return SetupError(f"{where}: cannot make or write the cache: {error.strerror or error}. {_ADVICE}")
