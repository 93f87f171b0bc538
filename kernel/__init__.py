"""What a trial talks to: the vocabulary of calls, and kernels that answer them.

Standard library only, and nothing of `conformance` is imported here: this package travels
into guests, and a reader can take it for a specification on its own.
"""
