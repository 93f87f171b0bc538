"""A conformance suite for calls that move and swap extents between files, and for swapfiles."""

__version__ = "0.1.0"
