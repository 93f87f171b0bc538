"""Words and styles of the terminal: each outcome has a word of its own, so that no colour is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from conformance.reports.state import Outcome

STYLES: Mapping[Outcome, str] = {
    "pass": "green",
    "known": "cyan",
    "noted": "yellow",
    "fail": "bold red",
    "crash": "bold red",
    "hang": "bold red",
    "vacuous": "bold yellow",
    "error": "bold magenta",
    "not applicable": "dim",
}
PLURALS: Mapping[Outcome, str] = {
    "pass": "passed",
    "known": "known",
    "noted": "noted",
    "fail": "failed",
    "crash": "crashed",
    "hang": "hung",
    "vacuous": "vacuous",
    "error": "errors",
    "not applicable": "not applicable",
}


def duration(seconds: float) -> str:
    """A time as people say it: 0.4 s, 12 s, 3:05."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def shortened(text: str, width: int) -> str:
    """At most `width` characters; the middle of a longer text is left out."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return text[: width - 1 - tail] + "…" + text[len(text) - tail :]


def counted(count: int, noun: str) -> str:
    """A number of things: 1 trial, 2 trials."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def short_path(path: Path) -> str:
    """A path as a shell takes it, with ~ for the home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):  # it is elsewhere, or there is no home directory
        return str(path)
