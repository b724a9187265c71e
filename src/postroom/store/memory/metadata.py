"""Annotations of an account in a dictionary (see store.api.account.Annotation)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.store.api import Annotation, AnnotationLimits, NewAnnotation, OverQuota, TooManyAnnotations

#: mailbox, login, entry in lower case
_Key = tuple[int, str, str]


class Annotations:
    """All of one account."""

    def __init__(self) -> None:
        self._held: dict[_Key, Annotation] = {}

    def of(self, mailbox: int, login: str) -> list[Annotation]:
        """Those of a mailbox that a log-in sees."""
        return [
            held
            for (box, whose, _), held in sorted(self._held.items())
            if box == mailbox and whose in ("", login) and held.value is not None
        ]

    def since(self, login: str, since: int) -> list[Annotation]:
        """Those that changed after a MODSEQ."""
        changed = [
            (held.modseq, key[0], key[2], key[1], held)
            for key, held in self._held.items()
            if held.modseq > since and key[1] in ("", login)
        ]
        return [entry[4] for entry in sorted(changed, key=lambda entry: entry[:4])]

    def octets(self) -> int:
        """Of names and values."""
        return sum(_size(held) for held in self._held.values())

    def check(self, mailbox: int, changes: Sequence[NewAnnotation], limits: AnnotationLimits) -> None:
        """Raises TooManyAnnotations, OverQuota."""
        after = Annotations()
        after._held = dict(self._held)
        after.set(mailbox, changes, 0)
        for login in {change.login for change in changes}:
            count = after._count(mailbox, login)
            if count > max(limits.count, self._count(mailbox, login)):
                raise TooManyAnnotations(str(count))
        grown = [
            login
            for login in {change.login for change in changes}
            if after._of(mailbox, login) > self._of(mailbox, login)
        ]
        if grown and after.octets() > limits.octets:
            raise OverQuota(str(after.octets()))

    def _count(self, mailbox: int, login: str) -> int:
        return sum(key[:2] == (mailbox, login) and held.value is not None for key, held in self._held.items())

    def _of(self, mailbox: int, login: str) -> int:
        return sum(_size(held) for key, held in self._held.items() if key[:2] == (mailbox, login))

    def set(self, mailbox: int, changes: Sequence[NewAnnotation], modseq: int) -> None:
        """Set and remove entries."""
        for change in changes:
            key = (mailbox, change.login, change.name.lower())
            name = self._held[key].name if key in self._held else change.name
            self._held[key] = Annotation(mailbox, change.login, name, change.value, modseq)

    def copy(self, source: int, target: int, modseq: int) -> None:
        """Everybody's, where there are none."""
        for (box, login, entry), held in list(self._held.items()):
            if box == source and held.value is not None:
                copied = Annotation(target, login, held.name, held.value, modseq)
                self._held.setdefault((target, login, entry), copied)

    def drop(self, mailbox: int) -> None:
        """The mailbox is gone."""
        self._held = {key: held for key, held in self._held.items() if key[0] != mailbox}


def _size(held: Annotation) -> int:
    return 0 if held.value is None else len(held.name) + len(held.value)
