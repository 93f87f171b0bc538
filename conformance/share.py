"""Finds the files that belong to the suite but are no code: `cases/` and `vm-images/`.

In a checkout they lie beside the package, in an installed wheel under `conformance/_share`.
"""

from __future__ import annotations

from pathlib import Path

from conformance.errors import SetupError

_PACKAGE = Path(__file__).resolve().parent


def share_dir() -> Path:
    """The directory that holds `cases` and `vm-images`. Raises SetupError when there is none."""
    for candidate in (_PACKAGE / "_share", _PACKAGE.parent):
        if (candidate / "vm-images").is_dir():
            return candidate
    raise SetupError(
        f"expected the directory vm-images in {_PACKAGE / '_share'} or in {_PACKAGE.parent}, found it in neither: "
        "the installation is incomplete. Install the package again, or run from a complete checkout."
    )
