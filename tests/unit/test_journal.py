"""Journals: whole lines, whoever writes and whoever dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.errors import TraceError
from conformance.reports.events import Doing, Finished, Running
from conformance.reports.journal import Journal, Tail, read_lines

DOING = Doing(1.5, "gw0", "booting", 17)
RUNNING = Running(2.0, "gw0", "a@b:c")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    tail = Tail(tmp_path / "events")
    assert tail.events() == []
    journal.add(DOING)
    journal.add(RUNNING)
    assert tail.events() == [DOING, RUNNING]
    assert tail.events() == []
    journal.add(Finished(3.0))
    assert tail.events() == [Finished(3.0)]
    journal.close()


def test_a_tail_of_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Tail(tmp_path / "nothing").events() == []


def test_a_part_of_a_line_is_not_read_and_the_next_writer_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "events"
    journal, tail = Journal(path), Tail(path)
    journal.add(DOING)
    with path.open("ab") as killed:
        killed.write(b'{"event":"judged","verdict":' + b"x" * 10_000)
    assert tail.events() == [DOING]
    assert [value for _, value in read_lines(path)] == [{"event": "doing", **_fields()}]
    journal.add(RUNNING)
    assert tail.events() == [RUNNING]
    assert len(path.read_bytes().splitlines()) == 2
    journal.close()


def _fields() -> dict[str, object]:
    return {"at": 1.5, "worker": "gw0", "what": "booting", "process": 17}


def test_a_file_that_is_one_part_of_a_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"{" * 9000)
    journal = Journal(path)
    journal.add(DOING)
    journal.close()
    assert Tail(path).events() == [DOING]


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "events"
    script = (
        "import sys; from pathlib import Path; from conformance.reports.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(40): journal.add_line('\"' + sys.argv[2] * 100_000 + '\"')\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), letter]) for letter in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = [str(value) for _, value in read_lines(path)]
    assert len(lines) == 120
    assert all(line == line[0] * 100_000 for line in lines)


def test_reading_says_which_line_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text('{"a": 1}\nnot json\n')
    with pytest.raises(TraceError, match="events, line 2: expected JSON, found b'not json"):
        list(read_lines(path))


def test_reading_refuses_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.reports.journal.MAX_LINE", 1 << 20)
    path = tmp_path / "events"
    path.write_bytes(b'"' + b"x" * (2 << 20))
    with pytest.raises(TraceError, match="line 1: expected at most 1 MiB"):
        list(read_lines(path))


def test_reading_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        list(read_lines(tmp_path / "nothing"))
