"""What the kernel prints, read from /dev/kmsg."""

from __future__ import annotations

import os

_RECORD = 8192


class KernelLog:
    """Reads the records that were added since it was last asked."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)

    def new_lines(self) -> tuple[str, ...]:
        """The text of each new record, at most 1,000 of them."""
        lines: list[str] = []
        while len(lines) < 1000:
            try:
                record = os.read(self._fd, _RECORD)
            except BlockingIOError:
                break
            except BrokenPipeError:  # records were overwritten before they were read
                lines.append("(kernel messages were lost here)")
                continue
            _prefix, _, text = record.decode(errors="replace").partition(";")
            lines.append(text.split("\n", 1)[0])
        return tuple(lines)
