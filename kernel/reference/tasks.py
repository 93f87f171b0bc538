"""Who runs: the main process and actors, one at a time, handed over explicitly; and what they wait for.

Nothing here depends on time: an actor runs when the main process gives it its turn (at the
entry of each of its calls, and while a call holds its locks), until it has made a pass, waits, or ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kernel.protocol import ActorBody


class Deadlock(Exception):
    """A task would wait for itself. `chain`: what led to it, outermost first."""

    def __init__(self, what: str, chain: tuple[str, ...]) -> None:
        self.what, self.chain = what, chain
        super().__init__(f"{what}, inside " + " > ".join(chain))


class Killed(BaseException):
    """The task was ended from outside."""


class Task:
    """A process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.privileged = True
        """Root; an actor can become an ordinary user."""
        self.context: list[str] = []
        """What it is inside of, outermost first."""
        self.waiting = ""
        """What it waits for; empty while it can run."""
        self.ready: Callable[[], bool] = lambda: True
        self.ended = self.stopping = self.killed = False
        self.lines: list[str] = []
        self.failure: BaseException | None = None
        self.turn = threading.Semaphore(0)
        self.thread: threading.Thread | None = None


class Scheduler:
    """Gives turns."""

    def __init__(self) -> None:
        self.main = Task("main")
        self.current = self.main
        self.actors: dict[str, Task] = {}

    def start(self, name: str, body: ActorBody, *, prepare: Callable[[Task], None]) -> None:
        """Starts an actor and gives it its first turn."""
        task = Task(name)
        self.actors[name] = task
        prepare(task)

        def run() -> None:
            task.turn.acquire()
            try:
                if not task.killed:
                    body(lambda: self._pass_ended(task), task.lines.append)
            except Killed:
                pass
            except BaseException as error:  # told to whoever waits for it
                task.failure = error
            task.ended = True
            self._hand_back()

        task.thread = threading.Thread(target=run, name=name, daemon=True)
        task.thread.start()
        self._give_turn(task)

    def preempt(self) -> None:
        """Lets every actor that can run make a pass. Only the main process gives turns."""
        if self.current is self.main and self.actors:
            for task in list(self.actors.values()):
                if not task.ended and task.ready():
                    self._give_turn(task)

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Sleeps until something holds. Where nobody can bring it about, that is a deadlock."""
        task = self.current
        if ready():
            return
        if task is self.main:
            for _ in range(1000):
                self.preempt()
                if ready():
                    return
            raise Deadlock(f"waits for {what}, which nobody brings about", tuple(task.context))
        while not ready():
            task.waiting, task.ready = what, ready
            self._hand_back()
            task.turn.acquire()
            if task.killed:
                raise Killed
        task.waiting, task.ready = "", lambda: True

    def stop(self, name: str) -> tuple[str, ...]:
        """Lets an actor end, and returns what it reported."""
        task = self.actors[name]
        task.stopping = True
        self.wait(lambda: task.ended, f"the end of {name}")
        del self.actors[name]
        if task.failure is not None:
            raise task.failure
        return tuple(task.lines)

    def kill(self, name: str) -> None:
        """Ends an actor, wherever it is."""
        task = self.actors.pop(name)
        task.killed = task.stopping = True
        if not task.ended:
            self._give_turn(task)

    def _pass_ended(self, task: Task) -> bool:
        """What a looping actor asks after each pass: gives the turn back, and says whether it was told to stop."""
        if not task.stopping:
            self._hand_back()
            task.turn.acquire()
            if task.killed:
                raise Killed
        return task.stopping

    def _give_turn(self, task: Task) -> None:
        self.current = task
        task.turn.release()
        self.main.turn.acquire()
        self.current = self.main

    def _hand_back(self) -> None:
        self.main.turn.release()

    @contextmanager
    def inside(self, what: str) -> Iterator[None]:
        """The present task is inside of something meanwhile."""
        context = self.current.context
        context.append(what)
        try:
            yield
        finally:
            context.pop()
