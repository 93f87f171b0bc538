"""`python -m conformance.images [KERNEL...]`: downloads and makes what guests boot from, if it is not there.

Without names it makes the images of each machine's first kernel in `vm-images/kernels.toml`. Says what it does, and
nothing when all is there.
"""

from __future__ import annotations

import sys

from conformance.errors import ConformanceError
from conformance.images import boot_image, kernel_recipes


def main() -> int:
    """Returns the exit status: 1 when an image cannot be made, after saying why."""
    try:
        for kernel in sys.argv[1:] or _first_kernels():
            boot_image(kernel, _tell)
    except ConformanceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _first_kernels() -> list[str]:
    found: dict[str, str] = {}
    for name, recipe in kernel_recipes().items():
        found.setdefault(recipe.machine, name)
    return list(found.values())


def _tell(said: str) -> None:
    print(f"images: {said}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
