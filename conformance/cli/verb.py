"""What every verb of the command is, and what they share."""

from __future__ import annotations

import argparse
import sys
from typing import Protocol

from rich.console import Console
from rich.table import Table

FOUND = 1
"""Exit status: something was found."""
COULD_NOT = 2
"""Exit status: the command could not do what it was asked."""
WIDTH = 100
"""Columns where there is no terminal to ask."""


class Verb(Protocol):
    """A module of this package."""

    NAME: str
    HELP: str
    """One line for the list of verbs."""
    DESCRIPTION: str
    EPILOG: str
    """Examples."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the arguments."""
        ...

    def run(self, given: argparse.Namespace) -> int:
        """Does it; returns the exit status. Raises ConformanceError."""
        ...


def cases_argument(parser: argparse.ArgumentParser) -> None:
    """The option for folders of one's own cases."""
    parser.add_argument(
        "--cases", metavar="DIR", action="append", default=[], help="a folder with more cases (may be repeated)"
    )


def console() -> Console:
    """Standard output: as wide as the terminal, or `WIDTH` columns."""
    made = Console(file=sys.stdout, highlight=False)
    return made if made.is_terminal else Console(file=sys.stdout, highlight=False, width=WIDTH)


def plain_table(*columns: str) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column)
    return table
