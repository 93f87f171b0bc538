"""The interpreter: a trial and a kernel in, events out. Standard library only, because it travels into guests."""

from conformance.trial.interpreter import run

__all__ = ["run"]
