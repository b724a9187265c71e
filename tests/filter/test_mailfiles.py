"""Messages in files: mbox, Maildir, folders and single ones."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from postroom.filter import mailfiles
from postroom.filter.mailfiles import messages

ONE = b"Subject: one\n\nhello\n"
TWO = b"Subject: two\n\nFrom here on it is text\n\nFrom: nobody\n"


def mbox(*found: bytes) -> bytes:
    return b"".join(
        b"From a@b.test Sat Nov 22 11:00:00 2026\n" + one.replace(b"\nFrom ", b"\n>From ") + b"\n" for one in found
    )


def test_an_mbox(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(mbox(ONE, TWO, b"Subject: three\n\n>From the start\n"))
    assert list(messages(path)) == [ONE, TWO, b"Subject: three\n\nFrom the start\n"]
    path.write_bytes(mbox(ONE, TWO).replace(b"\n", b"\r\n"))
    assert list(messages(path)) == [ONE.replace(b"\n", b"\r\n"), TWO.replace(b"\n", b"\r\n")]


@given(
    st.lists(st.binary(max_size=60).map(lambda body: b"Subject: x\n\n" + body.replace(b"\r", b"") + b"\n"), max_size=5)
)
def test_what_is_put_into_an_mbox_comes_out(found: list[bytes]) -> None:
    import tempfile

    quoted = [one for one in found if b"\n>" not in one and b"\nFrom" not in one]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mbox"
        path.write_bytes(mbox(*quoted))
        assert list(messages(path)) == quoted


def test_a_maildir_with_a_folder(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp", ".Archive/cur", ".Archive/new"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cur" / "1:2,S").write_bytes(ONE)
    (tmp_path / "new" / "2").write_bytes(TWO)
    (tmp_path / "tmp" / "3").write_bytes(b"not there yet")
    (tmp_path / ".Archive" / "cur" / "4").write_bytes(b"Subject: four\n\n")
    (tmp_path / "dovecot-uidlist").write_bytes(b"3 V1")
    (tmp_path / "cur" / "link").symlink_to(tmp_path / "tmp" / "3")
    assert list(messages(tmp_path)) == [ONE, TWO, b"Subject: four\n\n"]


def test_a_folder_of_messages(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.eml").write_bytes(ONE)
    (tmp_path / "b" / "c.eml").write_bytes(TWO)
    (tmp_path / "b" / "empty").write_bytes(b"\n")
    (tmp_path / ".hidden").write_bytes(b"x")
    assert list(messages(tmp_path)) == [ONE, TWO]
    assert list(messages(tmp_path / "a.eml")) == [ONE]


def test_what_is_too_large_is_passed_over(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr(mailfiles, "LARGEST", 40)  # type: ignore[attr-defined]
    path = tmp_path / "mbox"
    path.write_bytes(mbox(ONE, b"Subject: large\n\n" + b"x\n" * 50, ONE))
    assert list(messages(path)) == [ONE, ONE]
    path.write_bytes(b"Subject: large\n\n" + b"x\n" * 50)
    assert list(messages(path)) == []
