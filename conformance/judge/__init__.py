"""The judge: a trial and its trace in, a verdict out. Pure: no file, clock or kernel is touched."""

from conformance.judge.decide import judge

__all__ = ["judge"]
