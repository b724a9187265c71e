"""What the spam filter has learned, in memory, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postroom.store.api.errors import NotFound
from postroom.store.api.training import (
    EVERYBODY,
    HALF_LIFE,
    LESSONS_KEPT,
    RARE_KEPT,
    Learned,
    Lesson,
    Standing,
)


class _Base:
    def __init__(self) -> None:
        self.totals = [0, 0]
        self.tokens: dict[int, tuple[list[int], float]] = {}
        self.lessons: dict[str, tuple[bool, float]] = {}


class MemoryTraining:
    """See postroom.store.api.TrainingStore. exists: is there such an account."""

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self._exists = exists
        self._bases: dict[str, _Base] = {}
        self._standings: dict[str, tuple[float, float, float]] = {}

    def _base(self, account: str) -> _Base:
        if account != EVERYBODY and not self._exists(account):
            self._bases.pop(account, None)
            raise NotFound(f"there is no account {account}")
        return self._bases.setdefault(account, _Base())

    def learned(self, account: str, tokens: Sequence[int]) -> Learned:
        base = self._base(account)
        counts = tuple((found[0][1], found[0][0]) if (found := base.tokens.get(one)) else (0, 0) for one in tokens)
        return Learned(spam=base.totals[1], ham=base.totals[0], counts=counts)

    async def learn(self, account: str, lessons: Sequence[Lesson], now: float) -> int:
        base = self._base(account)
        changed = 0
        for lesson in lessons:
            before = base.lessons.get(lesson.id, (None, 0.0))[0]
            if before is lesson.spam:
                continue
            changed += 1
            if before is not None:
                self._count(base, lesson, before, -1, now)
                del base.lessons[lesson.id]
            if lesson.spam is not None:
                self._count(base, lesson, lesson.spam, 1, now)
                base.lessons[lesson.id] = lesson.spam, now
        return changed

    @staticmethod
    def _count(base: _Base, lesson: Lesson, spam: bool, step: int, now: float) -> None:
        base.totals[spam] = max(base.totals[spam] + step, 0)
        for token in lesson.tokens:
            counts, _ = base.tokens.get(token, ([0, 0], now))
            counts[spam] = max(counts[spam] + step, 0)
            base.tokens[token] = counts, now
            if not any(counts):
                del base.tokens[token]

    def lesson(self, account: str, id: str) -> bool | None:
        found = self._base(account).lessons.get(id)
        return None if found is None else found[0]

    async def unlearn(self, account: str) -> None:
        self._base(account)
        del self._bases[account]

    def standings(self, keys: Sequence[str], now: float) -> list[Standing]:
        return [self._standing(key, now) for key in keys]

    def _standing(self, key: str, now: float) -> Standing:
        good, bad, at = self._standings.get(key, (0.0, 0.0, now))
        left = 0.5 ** (max(now - at, 0.0) / HALF_LIFE)
        return Standing(good=good * left, bad=bad * left)

    async def rate(self, keys: Sequence[str], good: float, bad: float, now: float) -> None:
        for key in dict.fromkeys(keys):
            found = self._standing(key, now)
            self._standings[key] = max(found.good + good, 0.0), max(found.bad + bad, 0.0), now

    async def sweep(self, now: float) -> int:
        base = self._base(EVERYBODY)
        rare = [one for one, (counts, at) in base.tokens.items() if sum(counts) <= 1 and at < now - RARE_KEPT]
        old = [one for one, (_, at) in base.lessons.items() if at < now - LESSONS_KEPT]
        light = [key for key in self._standings if (s := self._standing(key, now)).good + s.bad < 0.01]
        for token in rare:
            del base.tokens[token]
        for lesson in old:
            del base.lessons[lesson]
        for key in light:
            del self._standings[key]
        return len(rare) + len(old) + len(light)
