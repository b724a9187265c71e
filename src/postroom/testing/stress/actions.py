"""Random steps of one client, out of what it believes.

Removing is announced to the ledger when the step is made, so that a message that goes missing without anybody's doing
is noticed at the end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from postroom.testing.stress.client import Client, Step
from postroom.testing.stress.ledger import Fact
from postroom.testing.stress.words import printed

FLAGS: Final = ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "$one", "$two")
#: names that the mailboxes have in turn
NAMES: Final = ("Stress/a", "Stress/b", "Stress/c", "Stress/d/e", "Stress/f")
_KEYS: Final = ("ALL", "SEEN", "UNSEEN", "FLAGGED", "UNFLAGGED", "ANSWERED", "DELETED", "UNDELETED", "KEYWORD $one")
_ITEMS: Final = (
    "(FLAGS BODY.PEEK[])",
    "(ENVELOPE BODYSTRUCTURE RFC822.SIZE)",
    "(BODY[])",
    "(FLAGS MODSEQ INTERNALDATE)",
    "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] FLAGS)",
)


class Actions:
    """What one client comes up with."""

    def __init__(self, client: Client, seed: int, boxes: Sequence[str], *, sort: bool) -> None:
        """boxes: names of mailboxes as this client calls them; sort: the server has SORT."""
        self._client = client
        self._random = random.Random(seed)  # noqa: S311 - steps, not secrets
        self._boxes = boxes
        self._count = 0
        makers: list[tuple[int, Callable[[], Step | None]]] = [
            (10, self._append),
            (14, self._store),
            (8, self._copy),
            (5, self._expunge),
            (8, self._fetch),
            (8, self._search),
            (4, self._status),
            (3, self._idle),
            (2, self._select),
            (1, self._rename),
            (3, self._replace),
            (2, self._cut),
            (2, self._noop),
            (4 if sort else 0, self._sort),
            (2, self._notify),
        ]
        self._makers = [maker for weight, maker in makers for _ in range(weight)]

    def next(self) -> Step:
        """The next step."""
        client = self._client
        if client.belief is None:
            return self._select()
        if client.belief.missing and self._random.random() < 0.5:
            return self._learn()
        while True:
            step = self._random.choice(self._makers)()
            if step is not None:
                return step

    # --- out of what is known

    def _some(self, most: int = 5) -> list[int]:
        belief = self._client.belief
        known = belief.known if belief is not None else []
        return sorted(self._random.sample(known, min(len(known), self._random.randint(1, most))))

    def _set(self, uids: list[int]) -> tuple[str, str]:
        """How a command names them: ("UID ", UIDs), or ("", numbers) where numbers mean something."""
        belief = self._client.belief
        if belief is None or belief.uidonly or self._client.watched or self._random.random() < 0.6:
            return "UID ", printed(uids)
        return "", printed([belief.uids.index(uid) + 1 for uid in uids])

    def _box(self) -> str:
        return self._random.choice(self._boxes)

    def _text(self) -> bytes:
        self._count += 1
        size = self._random.choice((1, 10, 300, 15_000))
        head = b"Subject: %d of client %d\r\nMessage-ID: <%d.%d@stress>\r\n\r\n"
        client = self._client.number
        return head % (self._count, client, self._count, client) + b"0123456789abcde\r\n" * size

    def _doom(self, uids: list[int]) -> None:
        if self._client.belief is not None:
            self._client.ledger.box(self._client.belief.box).doomed.update(uids)

    def _write(self, uids: list[int]) -> None:
        if self._client.belief is not None:
            writers = self._client.ledger.box(self._client.belief.box).writers
            for uid in uids:
                writers.setdefault(uid, set()).add(self._client.number)

    # --- steps

    def _learn(self) -> Step:
        belief = self._client.belief
        assert belief is not None
        if belief.uidonly or self._client.watched:
            return Step("fetch", b"UID FETCH 1:* (UID FLAGS)")
        unknown = [place for place, uid in enumerate(belief.uids, 1) if uid not in belief.flags]
        return Step("fetch", f"FETCH {printed(unknown)} (UID FLAGS)".encode())

    def _append(self) -> Step:
        name = self._box()
        facts, text = [], f'APPEND "{name}"'.encode()
        for _ in range(self._random.choice((1, 1, 1, 3))):
            octets = self._text()
            fact = Fact.of(octets)
            facts.append([fact.size, fact.digest.hex()])
            flags = " ".join(self._random.sample(FLAGS[:3], self._random.randint(0, 2)))
            text += f" ({flags}) {{{len(octets)}+}}\r\n".encode() + octets
        return Step("append", text, {"name": name, "facts": facts})

    def _replace(self) -> Step | None:
        uids = self._some(1)
        if not uids:
            return None
        name, octets = self._box(), self._text()
        how, number = self._set(uids)
        fact = Fact.of(octets)
        text = f'{how}REPLACE {number} "{name}" {{{len(octets)}+}}\r\n'.encode() + octets
        return Step("append", text, {"name": name, "facts": [[fact.size, fact.digest.hex()]], "replaces": uids[0]})

    def _store(self) -> Step | None:
        uids = self._some()
        if not uids:
            return None
        self._write(uids)
        how = self._random.choice(("+", "-", "", "+"))
        flags = self._random.sample(FLAGS, self._random.randint(1, 2))
        if "\\Deleted" in flags and how != "-":
            self._doom(uids)
        silent = self._random.random() < 0.3
        prefix, named = self._set(uids)
        since = ""
        belief = self._client.belief
        if belief is not None and prefix and self._random.random() < 0.2:
            since = f"(UNCHANGEDSINCE {max(belief.modseqs.get(uid, 0) for uid in uids)}) "
        text = f"{prefix}STORE {named} {since}{how}FLAGS{'.SILENT' if silent else ''} ({' '.join(flags)})"
        note = {"uids": uids, "how": how, "flags": flags, "silent": silent}
        return Step("store", text.encode(), note)

    def _copy(self) -> Step | None:
        uids = self._some()
        if not uids:
            return None
        move, name = self._random.random() < 0.4, self._box()
        prefix, named = self._set(uids)
        verb = "MOVE" if move else "COPY"
        return Step("copy", f'{prefix}{verb} {named} "{name}"'.encode(), {"name": name, "move": move})

    def _expunge(self) -> Step:
        uids = self._some(20)
        if uids and self._random.random() < 0.5:
            return Step("expunge", f"UID EXPUNGE {printed(uids)}".encode())
        return Step("expunge", b"EXPUNGE")

    def _fetch(self) -> Step | None:
        uids = self._some()
        if not uids:
            return None
        self._write(uids)  # \\Seen
        prefix, named = self._set(uids)
        return Step("fetch", f"{prefix}FETCH {named} {self._random.choice(_ITEMS)}".encode())

    def _search(self) -> Step:
        key = self._random.choice(_KEYS)
        belief = self._client.belief
        plain = belief is not None and not (belief.uidonly or self._client.watched)
        by_number = plain and self._random.random() < 0.3
        returns = "" if self._random.random() < 0.5 else "RETURN (ALL) "
        text = f"{'' if by_number else 'UID '}SEARCH {returns}{key}"
        return Step("search", text.encode(), {"key": key, "numbers": by_number})

    def _sort(self) -> Step:
        key = self._random.choice(_KEYS)
        by = self._random.choice(("SIZE", "ARRIVAL", "SUBJECT", "DATE"))
        return Step("search", f"UID SORT ({by}) UTF-8 {key}".encode(), {"key": key, "sort": by})

    def _status(self) -> Step:
        name = self._box()
        text = f'STATUS "{name}" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)'
        return Step("status", text.encode(), {"name": name})

    def _idle(self) -> Step:
        return Step("idle", b"", {"seconds": round(self._random.random() / 10, 3)})

    def _noop(self) -> Step:
        return Step("noop", b"NOOP")

    def _select(self) -> Step:
        name = self._box()
        return Step("select", f'SELECT "{name}"'.encode(), {"name": name})

    def _rename(self) -> Step | None:
        own = [name for name in self._boxes if name.startswith("Stress/")]
        if not own:
            return None
        old, new = self._random.sample(own, 2)
        return Step("rename", f'RENAME "{old}" "{new}"'.encode(), {"old": old, "new": new})

    def _notify(self) -> Step | None:
        if not self._client.manner.watching or self._client.watched:
            return None
        events = "MessageNew MessageExpunge FlagChange"
        others = f"({events} MailboxName)"
        text = f"NOTIFY SET STATUS (selected ({events})) (subtree (Stress Users) {others}) (mailboxes INBOX {others})"
        return Step("notify", text.encode())

    def _cut(self) -> Step:
        """Gone in the middle of a command."""
        kind = self._random.choice(("noop", "append", "copy", "expunge"))
        step = {"append": self._append, "copy": self._copy, "expunge": self._expunge}.get(kind, self._noop)()
        if step is None or step.kind == "noop":
            return Step("cut", b"NOOP")
        if step.kind == "append":
            return Step("cut", step.text, {"facts": step.note["facts"]})
        belief = self._client.belief
        return Step("cut", step.text, {"doomed": belief.known if belief is not None and step.note.get("move") else []})
