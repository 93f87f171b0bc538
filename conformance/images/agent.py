"""Gathers the agent: the part of this project that travels into guests, and the guest's first program.

It is the package `kernel` without the kernels that are simulated and, of `conformance`, the
exceptions, the model, the interpreter and the agent proper: all of it is Python that uses the
standard library only.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from conformance.errors import SetupError
from conformance.images.recipes import GuestRecipe

DIRECTORY = "opt/agent"
"""Where the agent lies in the guest."""

_SIMULATED = ("kernel/reference", "kernel/mutants")
_CONFORMANCE = ("__init__.py", "errors.py", "model", "trial", "guest")

_INIT = """\
#!/{interpreter} -SsB
# The first process of a guest. The kernel may have mounted nothing yet: the agent does that.
import os
import runpy
import sys

sys.path[0] = "/{directory}"
os.environ["PATH"] = "/usr/sbin:/usr/bin"
runpy.run_module("conformance.guest", run_name="__main__", alter_sys=True)
"""


def sources() -> dict[str, bytes]:
    """The agent's Python files by their path below `DIRECTORY`. Raises SetupError when they are not to be found."""
    conformance = _package("conformance")
    kernel = _python_files(_package("kernel"), "kernel")
    found = {name: text for name, text in kernel.items() if not name.startswith(_SIMULATED)}
    for part in _CONFORMANCE:
        path = conformance / part
        if path.suffix == ".py":
            found[f"conformance/{part}"] = path.read_bytes()
        else:
            found |= _python_files(path, f"conformance/{part}")
    return found


def sources_in(directory: Path) -> dict[str, bytes]:
    """The Python files of another agent, whose packages lie in the directory: for tests of machines."""
    return _python_files(directory, "")


def init(recipe: GuestRecipe) -> bytes:
    """The text of the guest's `/init`: `python -m conformance.guest`, without looking at any setting."""
    return _INIT.format(interpreter=recipe.interpreter, directory=DIRECTORY).encode()


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"expected the package {name} beside conformance, found none. Install the project again.")
    return Path(next(iter(spec.submodule_search_locations)))


def _python_files(directory: Path, prefix: str) -> dict[str, bytes]:
    return {
        f"{prefix}/{path.relative_to(directory).as_posix()}".lstrip("/"): path.read_bytes()
        for path in sorted(directory.rglob("*.py"))
    }
