"""The contract of what the spam filter learns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.store.api import EVERYBODY, FilterRow, Learned, Lesson, NotFound, SiteScriptRow, Standing, Store
from postroom.store.api.training import HALF_LIFE, LESSONS_KEPT, RARE_KEPT

SPAM = Lesson(id="one", tokens=(1, 2, 4294967295), spam=True)
HAM = Lesson(id="two", tokens=(2, 3), spam=False)


class TrainingContract:
    """What TrainingStore promises."""

    async def test_counts(self, store: Store) -> None:
        training = store.training
        assert training.learned(EVERYBODY, [1, 2]) == Learned(counts=((0, 0), (0, 0)))
        assert await training.learn(EVERYBODY, [SPAM, HAM, SPAM], 1.0) == 2
        assert await training.learn(EVERYBODY, [SPAM], 2.0) == 0
        found = training.learned(EVERYBODY, [1, 2, 3, 4, 4294967295])
        assert found == Learned(spam=1, ham=1, counts=((1, 0), (1, 1), (0, 1), (0, 0), (1, 0)))
        assert training.lesson(EVERYBODY, "one") is True
        assert training.lesson(EVERYBODY, "two") is False
        assert training.lesson(EVERYBODY, "three") is None
        assert training.learned(EVERYBODY, []) == Learned(spam=1, ham=1)

    async def test_a_lesson_can_be_turned_round_and_taken_back(self, store: Store) -> None:
        training = store.training
        await training.learn(EVERYBODY, [SPAM, HAM], 1.0)
        wanted = Lesson(id="one", tokens=SPAM.tokens, spam=False)
        assert await training.learn(EVERYBODY, [wanted], 2.0) == 1
        assert training.learned(EVERYBODY, [1, 2, 3]) == Learned(spam=0, ham=2, counts=((0, 1), (0, 2), (0, 1)))
        taken = Lesson(id="one", tokens=SPAM.tokens, spam=None)
        assert await training.learn(EVERYBODY, [taken], 3.0) == 1
        assert await training.learn(EVERYBODY, [taken], 3.0) == 0
        assert training.learned(EVERYBODY, [1, 2, 3]) == Learned(spam=0, ham=1, counts=((0, 0), (0, 1), (0, 1)))
        assert training.lesson(EVERYBODY, "one") is None

    async def test_an_account_has_its_own(self, store: Store) -> None:
        training = store.training
        await store.create_account("acc1", [("INBOX", "")])
        assert training.learned("acc1", [1]) == Learned(counts=((0, 0),))
        await training.learn("acc1", [SPAM], 1.0)
        await training.learn(EVERYBODY, [HAM], 1.0)
        assert training.learned("acc1", [1, 3]) == Learned(spam=1, counts=((1, 0), (0, 0)))
        assert training.learned(EVERYBODY, [1, 3]) == Learned(ham=1, counts=((0, 0), (0, 1)))
        await training.unlearn("acc1")
        assert training.learned("acc1", [1]) == Learned(counts=((0, 0),))
        assert training.lesson("acc1", "one") is None
        assert training.learned(EVERYBODY, [3]).ham == 1
        await store.remove_account("acc1")
        with pytest.raises(NotFound):
            training.learned("acc1", [1])
        with pytest.raises(NotFound):
            await training.learn("acc1", [SPAM], 1.0)

    async def test_standings_fade(self, store: Store) -> None:
        training = store.training
        assert training.standings(["ip:a", "ip:b"], 0.0) == [Standing(), Standing()]
        await training.rate(["ip:a", "domain:x", "ip:a"], 1.0, 0.0, 0.0)
        await training.rate(["ip:a"], 0.0, 2.0, 0.0)
        assert training.standings(["ip:b", "ip:a", "domain:x"], 0.0) == [
            Standing(),
            Standing(good=1.0, bad=2.0),
            Standing(good=1.0),
        ]
        assert training.standings(["ip:a"], HALF_LIFE) == [Standing(good=0.5, bad=1.0)]
        await training.rate(["ip:a"], 1.0, 0.0, HALF_LIFE)
        assert training.standings(["ip:a"], HALF_LIFE) == [Standing(good=1.5, bad=1.0)]
        await training.rate(["domain:x"], -1.0, 0.0, HALF_LIFE)
        assert training.standings(["domain:x"], HALF_LIFE) == [Standing()], "it had faded to a half"

    async def test_what_is_rare_and_old_is_forgotten(self, store: Store) -> None:
        training = store.training
        assert await training.sweep(5.0) == 0
        await training.learn(EVERYBODY, [SPAM, HAM], 1.0)
        await training.rate(["ip:a"], 1.0, 0.0, 1.0)
        assert await training.sweep(RARE_KEPT) == 0
        assert await training.sweep(RARE_KEPT + 2.0) == 3  # 1, 3 and 4294967295
        assert training.learned(EVERYBODY, [1, 2, 3]).counts == ((0, 0), (1, 1), (0, 0))
        assert await training.sweep(LESSONS_KEPT + 2.0) == 3  # two lessons and a standing
        assert training.lesson(EVERYBODY, "one") is None
        assert training.learned(EVERYBODY, [2]) == Learned(spam=1, ham=1, counts=((1, 1),))

    async def test_scripts_of_the_site(self, store: Store) -> None:
        directory = store.directory
        assert await directory.site_scripts("") == ()
        before = directory.generation()
        rows = [
            SiteScriptRow(owner=owner, name=name, text=text, changed=7.5)
            for owner, name, text in (("", "b", b"keep;\xff"), ("", "a", b""), ("x.test", "b", b"stop;"))
        ]
        for row in rows:
            await directory.put_site_script(row)
        assert await directory.site_scripts("") == (rows[1], rows[0])
        assert await directory.site_scripts("x.test") == (rows[2],)
        assert directory.generation() != before
        newer = replace(rows[0], text=b"discard;", changed=8.0)
        await directory.put_site_script(newer)
        await directory.remove_site_script("", "a")
        assert await directory.site_scripts("") == (newer,)
        with pytest.raises(NotFound):
            await directory.remove_site_script("x.test", "a")

    async def test_wishes(self, store: Store) -> None:
        directory = store.directory
        assert await directory.wishes("example.org") is None
        row = FilterRow(owner="example.org", junk=4.5, allow=("a@b.test",), off=True)
        await directory.put_wishes(row)
        await directory.put_wishes(FilterRow(owner="ann@example.org", refuse=0.0, block=("c.test", "d.test")))
        assert await directory.wishes("example.org") == row
        assert [one.owner for one in await directory.all_wishes()] == ["ann@example.org", "example.org"]
        await directory.put_wishes(FilterRow(owner="example.org"))
        assert await directory.wishes("example.org") is None
        assert [one.owner for one in await directory.all_wishes()] == ["ann@example.org"]
