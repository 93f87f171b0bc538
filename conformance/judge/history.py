"""What the calls of a trial did to files, as far as the judge must know to be fair.

Which file a descriptor or mapping is of; which files may have had dirty pages before a step
(writeback may then change their extent maps without any call having done it); which were swap
areas (what the kernel wrote into them is undefined afterwards); which lost their name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_args, get_origin

from conformance.judge.record import Record
from conformance.model.codec import hints
from conformance.model.trial import Actor
from kernel import calls
from kernel.calls import Call
from kernel.pattern import UNIT
from kernel.units import PAGE, FdName, FileName, MapName, Span

CLEAN: frozenset[type[Call]] = frozenset(
    {
        calls.Open,
        calls.OpenByHandle,
        calls.OpenOther,
        calls.Close,
        calls.Read,
        calls.Fsync,
        calls.Sync,
        calls.DropCaches,
        calls.Map,
        calls.Load,
        calls.Protect,
        calls.Unmap,
        calls.Chmod,
        calls.SetXattr,
        calls.Utimes,
        calls.Rename,
        calls.Link,
        calls.Unlink,
        calls.SetFlags,
        calls.Snapshot,
        calls.Tamper,
        calls.Freeze,
        calls.Thaw,
        calls.Shutdown,
        calls.Remount,
        calls.Cycle,
        calls.Unmount,
        calls.Mkswap,
        calls.Swapon,
        calls.Swapoff,
        calls.SwapLoad,
        calls.SwaponOther,
        calls.Start,
        calls.Blocked,
        calls.Stop,
        calls.Provoke,
    }
)
"""Calls that leave no dirty pages of a file behind. Of a call that is not listed it is assumed that it may."""

WRITES_ALL_OUT: frozenset[type[Call]] = frozenset({calls.Sync, calls.Cycle, calls.Unmount, calls.Freeze})
"""Calls after which, when they succeed, no file has dirty pages."""

_NAMES = (FdName, FileName, MapName)
_known_fields: dict[type, tuple[tuple[str, object], ...]] = {}


def _name_fields(kind: type) -> tuple[tuple[str, object], ...]:
    """The fields of a call that name a descriptor, file or mapping, with which of them."""
    if kind in _known_fields:
        return _known_fields[kind]
    found: list[tuple[str, object]] = []
    for name, hint in hints(kind).items():
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        found += [(name, option) for option in (inner, *get_args(inner)) if option in _NAMES]
    _known_fields[kind] = tuple(found)
    return _known_fields[kind]


@dataclass(frozen=True)
class Files:
    """Which file each descriptor and mapping is of."""

    fds: dict[str, str]
    maps: dict[str, str]

    def of(self, call: Call) -> frozenset[str]:
        """The files that a call names, directly or by descriptor or mapping."""
        found: set[str] = set()
        for field, kind in _name_fields(type(call)):
            name = getattr(call, field)
            if isinstance(name, str):
                found.add(self.maps.get(name, name) if kind is MapName else self.fds.get(name, name))
        return frozenset(found)

    def learn(self, call: Call) -> None:
        """Takes note of what a call opened or mapped."""
        if isinstance(call, (calls.Open, calls.OpenByHandle)):
            self.fds[call.name] = call.file
        elif isinstance(call, calls.Map):
            self.maps[call.name] = self.fds.get(call.file, call.file)


class History:
    """What is known of the files of one trial at each of its steps."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.files = Files({}, {})
        self.swapped: set[str] = set()
        """Files that were active swap areas, and those that may have got extents or bytes of one."""
        self.headers: set[str] = set()
        """Files into which a swap header was written, and those that may have got it."""
        self.whole_headers: set[str] = set()
        """Files that have been swap areas since a header was written, and nothing else: it must be intact."""
        self.all_remapped = False
        """A call changed the mapping of all files, those included that no call names."""
        self.nameless: set[str] = set()
        """Files whose own name was removed or given to another."""
        self.copied: set[str] = set()
        """Private mappings whose pages the kernel copied at once: writable ones that were locked."""
        self.ragged = any(spec.size % UNIT for spec in record.trial.files)
        """Something was written that did not begin or end on a unit of a pattern, which then reads as unknown bytes."""
        self._dirty: dict[int, frozenset[str]] = {}
        self._touched_by: dict[str, frozenset[str]] = {}
        self._walk()

    def dirty(self, step: int) -> frozenset[str]:
        """The files that may have had dirty pages just before a step; 0: at the start; -1: at the end."""
        return self._dirty[step] if step in self._dirty else self._dirty[-1]

    def dirty_at(self, at: str, step: int) -> frozenset[str]:
        """The same for a moment that was observed after `step` was the last one begun."""
        if at.startswith("before "):
            return self.dirty(int(at.removeprefix("before ")))
        following = [known.number for known in self.record.trial.steps if known.number > step]
        return self.dirty(following[0] if following else -1) if step else self._dirty[0]

    def _walk(self) -> None:
        trial = self.record.trial
        for actor in trial.actors:
            self._touched_by[actor.name] = frozenset(self._touches(actor))
        dirty = {spec.name for spec in trial.files if any(segment.kind == "delalloc" for segment in spec.segments)}
        self._dirty[0] = frozenset(dirty)
        for step in trial.steps:
            running = self.record.running_at.get(step.number, frozenset())
            dirty.update(*(self._touched_by[name] for name in running))
            self._dirty[step.number] = frozenset(dirty)
            done = self.record.steps.get(step.number)
            call, named = step.call, self.files.of(step.call)
            if type(call) not in CLEAN:
                dirty |= named
                if done is not None and done.outcome.ok and not isinstance(call, calls.Sabotage):
                    self.whole_headers -= named
            self.ragged = self.ragged or _is_ragged(call)
            if isinstance(call, calls.Start):
                dirty |= self._touched_by.get(call.actor, frozenset())
            if done is None or not done.outcome.ok:
                continue
            self._succeeded(call, named)
            if type(call) in WRITES_ALL_OUT:
                dirty.clear()
            elif isinstance(call, calls.Fsync):
                dirty -= named
        self._dirty[-1] = frozenset(dirty)

    def _succeeded(self, call: Call, named: frozenset[str]) -> None:
        self.files.learn(call)
        if isinstance(call, calls.Map) and call.kind == "private" and call.access == "write" and call.locked:
            self.copied.add(call.name)
        elif isinstance(call, calls.Swapon):
            self.swapped.add(call.file)
            self.whole_headers |= named & self.headers
        elif isinstance(call, calls.Mkswap):
            if not call.mapped:  # what a mapping holds behind the end of the file is lost
                self.headers |= named
        elif isinstance(call, (calls.SubvolumeSnapshot, calls.Balance)):
            self.all_remapped = True
        elif isinstance(call, calls.Unlink) and call.name == "own":
            self.nameless.add(call.file)
        elif isinstance(call, calls.Rename) and call.over is not None:
            self.nameless.add(call.over)
        elif call.remaps or isinstance(call, (calls.Clone, calls.CopyRange)):
            for spread in (self.swapped, self.headers):
                if spread & named:
                    spread |= named

    def _touches(self, actor: Actor) -> Iterator[str]:
        """The files that an actor may leave dirty pages in."""
        own = Files(dict(self.files.fds), dict(self.files.maps))
        for step in self.record.trial.steps:
            own.learn(step.call)
        for step in actor.steps:
            own.learn(step.call)
            self.ragged = self.ragged or _is_ragged(step.call)
            if type(step.call) not in CLEAN:
                yield from own.of(step.call)


def _is_ragged(call: Call) -> bool:
    """Whether a call's ranges cut a unit of a pattern, which reads as unknown bytes then."""
    if isinstance(call, (calls.Read, calls.Load, calls.Map)):
        return False
    edges: list[int] = []
    for field in dataclasses.fields(call):
        value = getattr(call, field.name)
        if isinstance(value, Span):
            edges += [value.offset, value.end if value.length >= 0 else 0]
    if isinstance(call, calls.Truncate):
        edges.append(call.size)
    return any(edge % UNIT for edge in edges)


def in_header(at: int, length: int) -> bool:
    """Whether a stretch lies in the page that a swap header is in."""
    return at + length <= PAGE
