"""Gets Debian packages from this machine's configured sources and unpacks them, as an ordinary user.

Nothing is installed: `apt-get download` fetches the newest version that the sources have,
`dpkg-deb` unpacks it. Where the machine's package lists are missing or too old, lists of our
own are fetched into the cache, which needs no privilege either.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.cache import Progress, Provenance, sha256_of
from conformance.cachedir import cache_dir, require_directory
from conformance.errors import ImageError, SetupError

_TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg"}


@dataclass(frozen=True)
class Package:
    """A downloaded package."""

    name: str
    version: str
    sha256: str
    """Of the .deb, in hex."""
    file: Path


def provenance(packages: Sequence[Package]) -> Provenance:
    """What the packages are, as it is recorded in every run."""
    return tuple((package.name, package.version, package.sha256) for package in packages)


def require_tools() -> None:
    """Raises SetupError, naming the Debian package, when a tool that this module runs is missing."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise SetupError(
                f"expected the command {tool} in PATH, found none: kernels and guest images are made from Debian "
                f"packages. On Debian it is in the package {package}."
            )


def download(names: Sequence[str], into: Path, progress: Progress) -> tuple[Package, ...]:
    """Downloads the newest version of each package into the directory, in the order of the names.

    Raises ImageError when a package cannot be had, with what apt-get said."""
    require_tools()
    progress(f"downloading {_count(names)}")
    refused = _fetch(names, into, [])
    if refused:
        progress("fetching package lists")
        options = _own_lists()
        # The exit status is not looked at: one source of many that fails must not stop the rest.
        _run("apt-get", "-q", *options, "update")
        progress(f"downloading {_count(names)}")
        refused = _fetch(names, into, options)
    if refused:
        raise ImageError(
            f"expected {_count(names)} from this machine's Debian sources, found that apt-get could not download:\n"
            f"{refused}\nCheck the network and /etc/apt/sources.list: Debian 12 (bookworm, amd64, main) has them all."
        )
    found = {package.name: package for package in map(_describe, sorted(into.glob("*.deb")))}
    return tuple(found[name] for name in names)


def depends(package: Package) -> tuple[str, ...]:
    """The packages that it depends on, first alternatives only, by name. Raises ImageError when it is damaged."""
    done = _run("dpkg-deb", "--field", str(package.file), "Depends")
    if done.returncode:
        raise ImageError(f"{package.file.name}: expected a Debian package, dpkg-deb says: {_said(done.stderr)}")
    return tuple(part.split("|")[0].split("(")[0].strip() for part in done.stdout.decode().split(",") if part.strip())


def unpack(package: Package, into: Path) -> None:
    """Unpacks the package's files below the directory. Raises ImageError when it cannot be unpacked."""
    done = _run("dpkg-deb", "--extract", str(package.file), str(into))
    if done.returncode:
        raise ImageError(
            f"{package.name} {package.version}: dpkg-deb could not unpack it: {_said(done.stderr)}\n"
            "Most often the disk is full. Try again with more space, or with XDG_CACHE_HOME elsewhere."
        )


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _fetch(names: Sequence[str], into: Path, options: Sequence[str]) -> str:
    """Downloads; returns what apt-get complained about, or an empty text."""
    done = _run("apt-get", "-q", *options, "download", *names, cwd=into)
    return (_said(done.stderr) or f"exit status {done.returncode}") if done.returncode else ""


def _own_lists() -> list[str]:
    own = cache_dir() / "apt"
    for part in ("lists/partial", "archives/partial"):
        require_directory(own / part)
    settings = (f"Dir::State::lists={own / 'lists'}", f"Dir::Cache={own}", "APT::Sandbox::User=root")
    limits = ("Acquire::http::Timeout=20", "Acquire::https::Timeout=20", "Acquire::Retries=2")
    return [argument for setting in (*settings, *limits) for argument in ("-o", setting)]


def _describe(file: Path) -> Package:
    done = _run("dpkg-deb", "--show", str(file))
    fields = done.stdout.decode(errors="replace").split()
    if done.returncode or len(fields) != 2:
        raise ImageError(f"{file.name}: expected a Debian package, dpkg-deb says: {_said(done.stderr)}")
    return Package(fields[0].partition(":")[0], fields[1], sha256_of(file), file)


def _said(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith("W: Download is performed unsandboxed"))


def _count(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} Debian packages"
