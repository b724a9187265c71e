"""One client: it performs steps, believes what it is told, and checks each answer against what it believed.

A step is a command as text and what must be known to check its answer, so that a step from a file is checked like one
made up a moment ago.
On failure: Lie; Closed when the server hung up.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from postroom.testing.stress.belief import RECENT, Belief
from postroom.testing.stress.ledger import Box, Fact, Ledger, Lie
from postroom.testing.stress.talk import Closed, Talk
from postroom.testing.stress.words import codes, numbers, pairs, split

#: what a step may be answered with besides OK; anything else is a fault
_MAY_FAIL: Final = (
    b"EXPUNGEISSUED",
    b"NONEXISTENT",
    b"TRYCREATE",
    b"ALREADYEXISTS",
    b"OVERQUOTA",
    b"CANNOT",
    b"no such message",
)


@dataclass(frozen=True, slots=True)
class Step:
    """kind: how it is checked; text: the command without tag and line end; note: numbers and words as JSON has them."""

    kind: str
    text: bytes = b""
    note: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a client behaves."""

    login: str
    password: str
    compress: bool = False
    qresync: bool = False
    uidonly: bool = False
    watching: bool = False  # NOTIFY


@dataclass(frozen=True, slots=True)
class Server:
    """Where clients connect."""

    host: str
    port: int
    tls: ssl.SSLContext


class Client:
    """One of many."""

    def __init__(self, number: int, server: Server, manner: Manner, ledger: Ledger) -> None:
        self.number = number
        self.manner = manner
        self.ledger = ledger
        self.belief: Belief | None = None
        self.name = ""  # of the selected mailbox, when it was selected
        self.told: dict[str, dict[bytes, int]] = {}  # by STATUS, of mailboxes by name
        self.watched = False
        self.steps = 0
        self._server = server
        self._talk: Talk | None = None
        self._tag = 0
        self._rows: list[tuple[int, frozenset[bytes]]] = []  # of the command in progress: UID and flags

    @property
    def talk(self) -> Talk:
        """The connection. Raises Closed when there is none."""
        if self._talk is None:
            raise Closed
        return self._talk

    @property
    def log(self) -> list[str]:
        """What was said last."""
        return list(self._talk.log) if self._talk is not None else []

    def close(self) -> None:
        """Hang up."""
        if self._talk is not None:
            self._talk.cut()

    def owner(self, name: str) -> str:
        """Whose mailbox a name means."""
        return name.split("/")[1] if name.startswith("Users/") else self.manner.login

    # --- octets

    async def say(self, text: bytes, *, expunge_ok: bool = True) -> tuple[bytes, list[bytes]]:
        """A command to its tagged answer, and everything told before it."""
        self._tag += 1
        tag = b"c%d" % self._tag
        self._rows = []
        self.talk.send(tag + b" " + text + b"\r\n")
        told = []
        while not (line := await self.talk.read()).startswith(tag + b" "):
            told.append(line)
            self.hear(line, expunge_ok=expunge_ok)
        answer = line[len(tag) + 1 :]
        if b"HIGHESTMODSEQ" in codes(answer) and self.belief is not None:
            self.belief.told_highest(int(codes(answer)[b"HIGHESTMODSEQ"]))
        return answer, told

    def hear(self, line: bytes, *, expunge_ok: bool) -> None:
        """An untagged response. Raises Lie, Closed at BYE."""
        if line.startswith(b"* BYE"):
            raise Closed(line)
        if line.startswith(b"* STATUS "):
            _, _, name, items = split(line)
            self.told.setdefault(name.decode(), {}).update({key: int(value) for key, value in pairs(items).items()})
            return
        if line.startswith(b"* LIST "):
            self._listed(split(line))
            return
        if b"[CLOSED]" in line:
            self._left()
        elif self.belief is not None:
            self.belief.hear(line, expunge_ok=expunge_ok or self.watched)
            if b"FETCH (" in line and b"FLAGS (" in line:
                self._note_row(line)

    def _note_row(self, line: bytes) -> None:
        number = int(line.split(b" ", 2)[1])
        [items] = split(line[line.index(b"FETCH") + 6 :])
        found = pairs(items)
        assert self.belief is not None
        uid = number if self.belief.uidonly else int(found.get(b"UID", 0)) or self.belief.uids[number - 1]
        self._rows.append((uid, frozenset(found[b"FLAGS"]) - {RECENT}))

    def _listed(self, words: list[Any]) -> None:
        """Names that change are known to a client that watches (RFC 5465 5.4)."""
        name, attributes = words[4].decode(), words[2]
        for tag, old in zip(words[5][::2], words[5][1::2], strict=True) if len(words) > 5 else ():
            if tag.upper() == b"OLDNAME":
                self.renamed(old[0].decode(), name)
        if b"\\NonExistent" in attributes:
            self.told.pop(name, None)

    def renamed(self, old: str, new: str) -> None:
        """A mailbox, and all below it, is called something else."""
        for known in list(self.told):
            if known == old or known.startswith(old + "/"):
                self.told[new + known[len(old) :]] = self.told.pop(known)

    # --- steps

    async def perform(self, step: Step) -> None:
        """Do it and check what comes of it. Raises Lie, Closed."""
        self.steps += 1
        special: dict[str, Callable[[Step], Awaitable[None]]] = {
            "open": self._open,
            "cut": self._cut,
            "idle": self._idle,
            "select": self._select,
            "notify": self._notify,
        }
        if step.kind in special:
            await special[step.kind](step)
            return
        floors = {box: (known.uidnext, known.highest) for box, known in self.ledger.boxes.items()}
        answer, told = await self.say(step.text, expunge_ok=_expunge_ok(step.text))
        if not answer.startswith(b"OK"):
            if not answer.startswith(b"NO ") or not any(code in answer for code in _MAY_FAIL):
                raise Lie(f"{step.text[:200]!r} was answered {answer!r}")
            return
        check = getattr(self, f"_check_{step.kind}", None)
        if check is not None:
            check(step, answer, told, floors)

    async def _open(self, step: Step) -> None:
        """Connect and log in; a QRESYNC client says what it knew (RFC 7162 3.2.5)."""
        self._talk = await Talk.open(self._server.host, self._server.port, self._server.tls)
        self.watched = False
        manner, before = self.manner, self.belief
        self.belief = None
        await self._must(b"LOGIN %b %b" % (manner.login.encode(), manner.password.encode()))
        if manner.compress:
            await self._must(b"COMPRESS DEFLATE")
            self._talk.compress()
        enabled = b" ".join([b"QRESYNC"] * manner.qresync + [b"UIDONLY"] * manner.uidonly)
        if enabled:
            await self._must(b"ENABLE " + enabled)
        if step.note.get("back") and before is not None and manner.qresync:
            await self._come_back(before)

    async def _must(self, text: bytes) -> list[bytes]:
        answer, told = await self.say(text)
        if not answer.startswith(b"OK"):
            raise Lie(f"{text!r} was answered {answer!r}")
        return told

    async def _come_back(self, before: Belief) -> None:
        """The mailbox again, with what vanished and changed meanwhile; then what is believed must be true."""
        text = b'SELECT "%b" (QRESYNC (%d %d))' % (self.name.encode(), before.box[1], before.highest)
        belief = Belief(self.ledger, before.box, qresync=True, uidonly=self.manner.uidonly)
        answer, told = await self.say(text)
        if not answer.startswith(b"OK") or b"UIDVALIDITY" not in codes(b" ".join(told)):
            return  # renamed meanwhile
        if int(codes(b" ".join(told))[b"UIDVALIDITY"]) != before.box[1]:
            return  # another one has its name now
        known = {uid: flags for uid, flags in before.flags.items() if uid in before.uids}
        for line in told:
            if line.startswith(b"* VANISHED (EARLIER) "):
                for uid in numbers(line.split(b" ")[3]):
                    known.pop(uid, None)
        found, said = await self._present()
        lost = known.keys() - found
        if lost:
            raise Lie(f"UIDs {sorted(lost)} are gone since {before.highest}, which VANISHED (EARLIER) did not say")
        belief.uids = sorted(found)
        belief.flags = known
        self.belief = belief
        for line in told:
            if b"FETCH (" in line or b"[HIGHESTMODSEQ " in line:
                belief.hear(line, expunge_ok=False)
        for line in said:
            belief.hear(line, expunge_ok=True)

    async def _present(self) -> tuple[set[int], list[bytes]]:
        """The UIDs there are, and what else was said with them."""
        told = await self._must(b"UID SEARCH RETURN (ALL) ALL")
        [line] = [one for one in told if one.startswith(b"* ESEARCH")]
        found = set(numbers(line.rsplit(b"ALL ", 1)[1])) if b"ALL " in line else set()
        return found, [other for other in told if other is not line]

    async def _cut(self, step: Step) -> None:
        """A command whose answer never comes: it may have been done, or not."""
        note = step.note
        if self.belief is not None:
            self.ledger.box(self.belief.box).doomed.update(note.get("doomed", ()))
        self.ledger.maybe.update(bytes.fromhex(digest) for _, digest in note.get("facts", ()))
        self._tag += 1
        self.talk.send(b"c%d " % self._tag + step.text + b"\r\n")
        self.talk.cut()

    async def _idle(self, step: Step) -> None:
        self._tag += 1
        tag = b"c%d " % self._tag
        self.talk.send(tag + b"IDLE\r\n")
        while not (line := await self.talk.read()).startswith(b"+"):
            self.hear(line, expunge_ok=True)
        while await self.talk.more(step.note["seconds"]):
            self.hear(await self.talk.read(), expunge_ok=True)
        self.talk.send(b"DONE\r\n")
        while not (line := await self.talk.read()).startswith(tag):
            self.hear(line, expunge_ok=True)

    async def leave(self) -> None:
        """No mailbox is selected; what it was is known as it was last seen."""
        answer, _ = await self.say(b"UNSELECT")
        if not answer.startswith(b"OK"):
            raise Lie(f"UNSELECT was answered {answer!r}")
        self._left()

    def _left(self) -> None:
        belief, self.belief = self.belief, None
        if belief is not None and self.watched:
            for name, found in self.told.items():
                if (self.owner(name), found.get(b"UIDVALIDITY")) == belief.box:
                    found[b"MESSAGES"] = len(belief.uids)

    async def _select(self, step: Step) -> None:
        floors = {box: (known.uidnext, known.highest) for box, known in self.ledger.boxes.items()}
        answer, told = await self.say(step.text)
        self._left()
        if not answer.startswith(b"OK"):
            return  # renamed meanwhile
        told = told[1 + max((place for place, line in enumerate(told) if b"[CLOSED]" in line), default=-1) :]
        found = codes(b" ".join(told))
        self.name = step.note["name"]
        box: Box = (self.owner(self.name), int(found[b"UIDVALIDITY"]))
        self.ledger.named(box, self.name)
        _not_below(floors, box, int(found[b"UIDNEXT"]), int(found[b"HIGHESTMODSEQ"]))
        self.belief = Belief(self.ledger, box, qresync=self.manner.qresync, uidonly=self.manner.uidonly)
        for line in told:
            self.belief.hear(line, expunge_ok=False)

    async def _notify(self, step: Step) -> None:
        """Without a selected mailbox, so that STATUS tells of all of them."""
        if self.belief is not None:
            await self.leave()
        self.told.clear()
        await self._must(step.text)
        self.watched = True

    # --- checks

    def _check_append(self, step: Step, answer: bytes, told: list[bytes], _floors: Any) -> None:
        found = codes(b" ".join([answer, *told]))  # REPLACE tells it untagged
        validity, uids = found[b"APPENDUID"].split(b" ")
        box = (self.owner(step.note["name"]), int(validity))
        facts = [Fact(size, bytes.fromhex(digest)) for size, digest in step.note["facts"]]
        for uid, fact in zip(numbers(uids), facts, strict=True):
            self.ledger.made(box, uid, fact)
            self.ledger.digests.add(fact.digest)
        if "replaces" in step.note and self.belief is not None:
            self.ledger.leaves(self.belief.box, step.note["replaces"], f"{step.text[:60]!r} of client {self.number}")

    def _check_copy(self, step: Step, answer: bytes, told: list[bytes], _floors: Any) -> None:
        found = codes(b" ".join([answer, *told]))
        if b"COPYUID" not in found or self.belief is None:
            return
        validity, sources, targets = found[b"COPYUID"].split(b" ")
        box = (self.owner(step.note["name"]), int(validity))
        here = self.ledger.box(self.belief.box)
        for source, target in zip(numbers(sources), numbers(targets), strict=True):
            self.ledger.made(box, target, here.facts.get(source))
            if source in here.doomed or source not in here.present:  # \\Deleted goes along
                self.ledger.box(box).doomed.add(target)
            if step.note["move"]:
                self.ledger.leaves(self.belief.box, source, f"{step.text[:60]!r} of client {self.number}")

    def _check_store(self, step: Step, answer: bytes, _told: list[bytes], _floors: Any) -> None:
        """The first row of each message shows what was asked for, unless others work on its flags as well."""
        belief, note = self.belief, step.note
        assert belief is not None
        known = self.ledger.box(belief.box)
        how, flags = note["how"], frozenset(flag.encode() for flag in note["flags"])
        refused = set(numbers(codes(answer)[b"MODIFIED"])) if b"MODIFIED" in codes(answer) else set()
        uids = [uid for uid in note["uids"] if uid not in refused]
        if note["silent"]:
            shown = {uid for uid, _ in self._rows}
            belief.applied([uid for uid in uids if uid not in shown], how, flags)
            return
        first: dict[int, frozenset[bytes]] = {}
        for uid, now in self._rows:
            first.setdefault(uid, now)
        for uid in uids:
            if known.writers.get(uid, set()) - {self.number}:
                continue
            now = first.get(uid, flags if how != "-" else frozenset())
            free = frozenset((b"\\Seen",)) if known.leaky else frozenset()  # a POP3 client downloads it meanwhile
            right = {"+": flags <= now, "-": not flags & now - free, "": now - free == flags - free}
            if not right[how]:
                raise Lie(f"{step.text!r}: UID {uid} has {sorted(now)}")

    def _check_search(self, step: Step, _answer: bytes, told: list[bytes], _floors: Any) -> None:
        """What was told before the result is what the result is about."""
        results = [line for line in told if line.startswith((b"* SEARCH", b"* ESEARCH", b"* SORT"))]
        if not results or self.belief is None or told[-1] is not results[0]:
            return  # news came behind it
        words = results[0].split(b" ")[2:]
        if results[0].startswith(b"* ESEARCH"):
            found = list(numbers(results[0].rsplit(b"ALL ", 1)[1])) if b"ALL " in results[0] else []
        else:
            found = [int(word) for word in words if word.isdigit()]
        if step.note.get("numbers"):
            found = [self.belief.uids[number - 1] for number in found]
        self.belief.check_found(step.note["key"], {uid for uid in found if uid})
        if len(found) != len(set(found) - {0}) + found.count(0):
            raise Lie(f"{step.text!r} names messages twice: {found}")
        if step.note.get("sort") == "SIZE":
            facts = self.ledger.box(self.belief.box).facts
            sizes = [facts[uid].size for uid in found if uid in facts]
            if sizes != sorted(sizes):
                raise Lie(f"{step.text!r} is not in order: {sizes}")

    def _check_status(self, step: Step, _answer: bytes, told: list[bytes], floors: dict[Box, tuple[int, int]]) -> None:
        """UIDNEXT and HIGHESTMODSEQ only grow, whoever asks which worker."""
        for line in told:
            if line.startswith(b"* STATUS ") and b"UIDVALIDITY" in line and b"UIDNEXT" in line:
                _, _, name, items = split(line)
                found = {key: int(value) for key, value in pairs(items).items()}
                if name.decode() == step.note["name"] and b"HIGHESTMODSEQ" in found:
                    box = (self.owner(name.decode()), found[b"UIDVALIDITY"])
                    _not_below(floors, box, found[b"UIDNEXT"], found[b"HIGHESTMODSEQ"])
                    self.ledger.numbers(box, uidnext=found[b"UIDNEXT"], highest=found[b"HIGHESTMODSEQ"])

    def _check_rename(self, step: Step, _answer: bytes, _told: list[bytes], _floors: Any) -> None:
        self.renamed(step.note["old"], step.note["new"])


def _not_below(floors: dict[Box, tuple[int, int]], box: Box, uidnext: int, highest: int) -> None:
    lowest, modseq = floors.get(box, (1, 0))
    if uidnext < lowest or highest < modseq:
        raise Lie(f"{box}: UIDNEXT {uidnext} and HIGHESTMODSEQ {highest}, and there were {lowest} and {modseq} before")


def _expunge_ok(text: bytes) -> bool:
    """RFC 9051 7.5.1."""
    return text.split(b" ", 1)[0] not in (b"FETCH", b"STORE", b"SEARCH", b"SORT", b"THREAD")
