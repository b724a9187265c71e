"""The file behind \\Recent: shared by processes, and never in the way."""

from __future__ import annotations

from pathlib import Path

from postroom.store.embedded.recent import RecentMarks


def test_another_process_sees_what_was_told(tmp_path: Path) -> None:
    one, other = (RecentMarks(str(tmp_path / "recent")) for _ in range(2))
    assert one.take(7, 10, claim=True) == 0
    assert other.take(7, 12, claim=False) == 10
    assert other.take(7, 12, claim=True) == 10
    assert one.take(7, 13, claim=True) == 12
    assert one.take(8, 13, claim=True) == 0


def test_a_file_that_cannot_be_used_makes_everything_recent_once(tmp_path: Path) -> None:
    marks = RecentMarks(str(tmp_path / "nowhere" / "recent"))
    assert marks.take(1, 10, claim=False) == 0
    assert marks.take(1, 10, claim=True) == 0
    assert marks.take(1, 10, claim=True) == 10
    (tmp_path / "recent").write_bytes(b"\x07")  # cut off
    assert RecentMarks(str(tmp_path / "recent")).take(0, 10, claim=True) == 7
