"""A coarse floor under how well made mail is told apart; docs/filter.md has the figures that count."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.testing.spam import folders
from postroom.testing.spam.make import samples
from postroom.testing.spam.measure import measured
from postroom.testing.spam.templates import HELD, TRAIN, sentences, templates

COUNT = 110


def both(part: str, seed: int = 7) -> list:  # type: ignore[type-arg]
    return [*samples(part, True, COUNT, seed), *samples(part, False, COUNT, seed)]


async def test_made_mail_is_told_apart(tmp_path: Path) -> None:
    outcome = await measured(both(TRAIN), both(HELD), tmp_path)
    assert outcome.learned == 2 * COUNT
    assert outcome.share(False, 5.0) == 0, outcome.wrong(5.0)
    assert outcome.share(True, 5.0) > 0.2, outcome.wrong(5.0)
    assert outcome.caught(0.01) > 0.5
    assert outcome.lost(0.90) < 0.2


async def test_mail_like_that_which_was_learned_is_known(tmp_path: Path) -> None:
    """Other messages of the same campaigns."""
    outcome = await measured(both(TRAIN), both(TRAIN, 8), tmp_path)
    assert outcome.share(False, 5.0) == 0, outcome.wrong(5.0)
    assert outcome.share(True, 5.0) > 0.8, outcome.wrong(5.0)


def test_made_mail_is_the_same_every_time_and_its_parts_share_nothing() -> None:
    assert [one.octets for one in both(HELD)] == [one.octets for one in both(HELD)]
    for spam in (True, False):
        train, held = ([one for one in templates(spam) if one.part == part] for part in (TRAIN, HELD))
        assert not {one.subject for one in train} & {one.subject for one in held}
    for language in ("en", "de", "fr", "es", "ru"):
        assert not set(sentences(TRAIN, language)) & set(sentences(HELD, language))


def test_a_corpus_on_disk_is_read(tmp_path: Path) -> None:
    for part in (TRAIN, HELD):
        for kind in ("ham", "spam"):
            (tmp_path / part / kind).mkdir(parents=True)
            told = "X-Spam-Status: Yes,\n\tno\n"
            text = f"From x Thu Aug 22 12:36:23 2002\nFrom: A <A@{kind}.test>\n{told}Subject: x\n\nhello\n"
            (tmp_path / part / kind / "1").write_text(text)
    (found,) = folders.read(tmp_path, HELD, True)
    assert found.octets == b"From: A <A@spam.test>\r\nSubject: x\r\n\r\nhello\r\n"
    assert (found.author, found.spam) == ("a@spam.test", True)
    with pytest.raises(FileNotFoundError, match="easy-ham-1"):
        next(folders.read(tmp_path / "train", HELD, True))
