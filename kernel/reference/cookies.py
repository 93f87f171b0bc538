"""Freshness cookies: what a file looked like, so that a swap can refuse one that changed since."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernel.reference.inode import Inode
from kernel.reference.remap import Remap

_MAGIC = 0x444F524B
FSID = 0x5EED
_SECOND = 10**9


@dataclass
class Cookie:
    """A cookie in the caller's memory. `change` is the change counter, which the structures have no field for."""

    via: str
    fields: dict[str, int] = field(default_factory=dict)
    change: int = 0

    def copy(self) -> Cookie:
        """What a child process gets."""
        return Cookie(self.via, dict(self.fields), self.change)


def _looks(inode: Inode, via: str) -> dict[str, int]:
    found = {
        "ino": inode.number,
        "gen": inode.generation,
        "mtime": inode.mtime // _SECOND,
        "mtime_nsec": inode.mtime % _SECOND,
        "ctime": inode.ctime // _SECOND,
        "ctime_nsec": inode.ctime % _SECOND,
    }
    return found | ({"size": inode.size} if via == "swapext" else {"fsid": FSID, "magic": _MAGIC})


class Cookies(Remap):
    """A file system that hands out cookies and knows whether they are fresh."""

    def take_cookie(self, inode: Inode, via: str) -> Cookie:
        """What the file looks like now. From here on a store through a mapping faults, so that none goes unnoticed."""
        self.check_alive()
        self.write_protect(inode, 0, self.whole(inode))
        inode.queried = True
        return Cookie(via, _looks(inode, via), inode.change)

    def fresh(self, inode: Inode, cookie: Cookie) -> bool:
        """Whether the file is the one that the cookie was taken of, and did not change since."""
        if cookie.fields != _looks(inode, cookie.via):
            return False
        return not self.personality.cookie_counts or cookie.change == inode.change
