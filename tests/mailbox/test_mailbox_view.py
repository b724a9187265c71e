"""Views: whatever happens, a client that believes what it is told has the true mailbox in the end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailbox_model import Mailbox

from postroom.mailbox.view import Changes, Rows, View
from postroom.store.api import FlagChange, FlagOp, Page, Snapshot, StoreFlagsResult
from postroom.values.flags import DELETED, FLAGGED, POP3_HIDDEN, SEEN, VISIBLE
from postroom.wire.imap.commands import STAR


class Client:
    """Knows only what the server told it."""

    def __init__(self, snapshot: Snapshot, *, condstore: bool) -> None:
        self.view = View(snapshot, condstore=condstore)
        self.uids: list[int | None] = []
        self.flags: list[tuple[int, int] | None] = []
        self.modseqs: list[int | None] = []
        self.names = snapshot.keywords
        self._more(len(snapshot))
        self.fetch_all()

    def _more(self, count: int) -> None:
        assert count >= len(self.uids), "EXISTS never reduces the number (RFC 9051 5.2)"
        for column in (self.uids, self.flags, self.modseqs):
            column.extend([None] * (count - len(column)))  # type: ignore[attr-defined]

    def fetch_all(self) -> None:
        """UID FETCH 1:* (FLAGS): answered by the view."""
        self.rows(self.view.resolve(((1, STAR),), uid=True).rows())

    def rows(self, rows: Rows) -> None:
        for seq, uid, flags, keywords, modseq in rows:
            assert self.uids[seq - 1] in (None, uid), "a FETCH with the wrong number"
            assert keywords < 1 << len(self.names), "a keyword that was never announced"
            self.uids[seq - 1] = uid
            self.flags[seq - 1] = (flags & VISIBLE, keywords)
            self.modseqs[seq - 1] = modseq

    def hear(self, changes: Changes) -> None:
        vanished = []
        for seq in changes.expunged:
            for column in (self.flags, self.modseqs):
                column.pop(seq - 1)
            vanished.append(self.uids.pop(seq - 1))
        assert all(uid in (None, told) for uid, told in zip(vanished, changes.vanished, strict=True))
        if changes.keywords is not None:
            self.names = changes.keywords
        if changes.exists is not None:
            self._more(changes.exists)
        self.rows(changes.flags)

    def store(self, box: Mailbox, uids: list[int], change: FlagChange, *, silent: bool) -> None:
        self.take(box.store(uids, change), uids, change, silent=silent)

    def take(self, result: StoreFlagsResult, uids: list[int], change: FlagChange, *, silent: bool) -> None:
        """The replies to the client's own STORE."""
        stored = self.view.stored(result, uids, change, silent=silent)
        if stored.keywords is not None:
            self.names = stored.keywords
        bits = sum(1 << self.names.index(name) for name in change.keywords if name in self.names)
        if silent:
            for uid in uids:  # the client's own reckoning
                if uid in self.uids and uid not in result.modified:
                    self._reckon(self.uids.index(uid), change, bits)
        self.rows(stored.rows)
        if self.view.condstore:
            for seq, uid, _, _, modseq in stored.applied.rows():
                assert self.uids[seq - 1] in (None, uid)
                self.modseqs[seq - 1] = modseq

    def _reckon(self, place: int, change: FlagChange, bits: int) -> None:
        known = self.flags[place]
        if change.op is FlagOp.REPLACE:
            self.flags[place] = (change.bits, bits)
        elif known is not None and change.op is FlagOp.ADD:
            self.flags[place] = (known[0] | change.bits, known[1] | bits)
        elif known is not None:
            self.flags[place] = (known[0] & ~change.bits, known[1] & ~bits)

    def agrees(self) -> None:
        """The server's idea of this client is this client."""
        page_rows = self.view.resolve(((1, STAR),), uid=True).rows()
        assert len(page_rows) == len(self.uids)
        for seq, uid, flags, keywords, modseq in page_rows:
            assert self.uids[seq - 1] in (None, uid)
            if uid in self.view.ghosts or self.flags[seq - 1] is None:
                continue
            assert self.flags[seq - 1] == (flags & VISIBLE, keywords)
            if self.view.condstore:
                assert self.modseqs[seq - 1] == modseq


def _change(rng: random.Random, modseq: int) -> FlagChange:
    return FlagChange(
        op=rng.choice(list(FlagOp)),
        bits=rng.choice([0, SEEN, DELETED, SEEN | FLAGGED]),
        keywords=rng.choice([(), (), ("$Junk",), ("Work", "$Junk")]),
        unchanged_since=rng.choice([None, None, modseq - rng.randrange(6)]),
    )


def _some(rng: random.Random, uids: list[int]) -> list[int]:
    how = rng.random()
    if how < 0.25:
        return list(uids)
    return sorted(rng.sample(uids, rng.randrange(len(uids) + 1)))


def _step(rng: random.Random, box: Mailbox, clients: list[Client], older: list[Snapshot]) -> None:
    client = rng.choice(clients)
    action = rng.random()
    if action < 0.2:
        for _ in range(rng.choice([1, 1, 3, 9])):
            box.append(rng.choice([0, SEEN]))
    elif action < 0.35:
        box.expunge(set(_some(rng, [m.uid for m in box.messages])) if rng.random() < 0.9 else set(range(box.uidnext)))
    elif action < 0.4:
        box.repage(rng.choice([1, 3, 4, 50]))
    elif action < 0.5:  # somebody without a view
        box.store(_some(rng, [m.uid for m in box.messages]), _change(rng, box.modseq))
    elif action < 0.75:
        uids = [uid for uid in client.uids if uid is not None]
        client.store(box, _some(rng, uids), _change(rng, box.modseq), silent=rng.random() < 0.6)
        client.agrees()
    elif action < 0.8:
        client.fetch_all()
    else:
        new = box.snapshot() if rng.random() < 0.8 else rng.choice(older)
        client.hear(client.view.changes(new, expunge_ok=rng.random() < 0.4))
        client.agrees()
    older.append(box.snapshot())
    del older[:-4]


@given(st.integers(0, 2**32), st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_who_believes_what_it_is_told_has_the_true_mailbox(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    box = Mailbox(rng.choice([1, 2, 4, 7]))
    for _ in range(rng.randrange(12)):
        box.append(rng.choice([0, SEEN]))
    clients = [Client(box.snapshot(), condstore=place == 2) for place in range(3)]
    older = [box.snapshot()]
    for _ in range(steps):
        _step(rng, box, clients, older)
    for client in clients:
        client.hear(client.view.changes(box.snapshot(), expunge_ok=True))
        client.agrees()
        if None in client.uids:
            client.fetch_all()
        assert client.uids == [message.uid for message in box.messages]
        assert client.flags == [(message.flags, message.keywords) for message in box.messages]
        if client.view.condstore:
            assert client.modseqs == [message.modseq for message in box.messages]
        assert client.view.modseq == box.modseq
        assert not client.view.ghosts


def _box(count: int, size: int = 4) -> Mailbox:
    box = Mailbox(size)
    for _ in range(count):
        box.append()
    return box


def test_expunges_are_announced_one_after_the_other() -> None:
    # RFC 7162 3.2.10.2: UIDs 505, 507, 510, 625 at 3, 4, 7, 11 are told as 3, 3, 5, 8
    box = _box(11)
    view = View(box.snapshot())
    box.expunge({3, 4, 7, 11})
    changes = view.changes(box.snapshot(), expunge_ok=True)
    assert list(changes.expunged) == [3, 3, 5, 8]
    assert list(changes.vanished) == [3, 4, 7, 11]
    assert changes.exists is None
    assert not view.changes(box.snapshot(), expunge_ok=True)


def test_while_expunges_wait_the_rest_is_told_in_old_numbers() -> None:
    box = _box(6)
    view = View(box.snapshot())
    box.expunge({2})
    box.append()
    box.store([3], FlagChange(op=FlagOp.ADD, bits=SEEN))
    changes = view.changes(box.snapshot(), expunge_ok=False)
    assert changes.expunged == ()
    assert changes.exists == 7
    assert [row[:3] for row in changes.flags] == [(3, 3, SEEN)]
    assert list(view.ghosts) == [2]
    assert view.snapshot.uid(2) == 2  # the ghost can still be fetched
    assert view.snapshot.uid(7) == 7
    assert view.modseq < box.modseq
    later = view.changes(box.snapshot(), expunge_ok=True)
    assert (list(later.expunged), later.exists, len(later.flags)) == ([2], None, 0)
    assert view.modseq == box.modseq


def test_a_message_that_came_and_went_is_never_mentioned() -> None:
    # RFC 7162 3.2.10.2: VANISHED only names messages that were announced
    box = _box(3)
    view = View(box.snapshot())
    box.append()
    box.expunge({4})
    assert not view.changes(box.snapshot(), expunge_ok=True)


def test_own_silent_change_is_not_told_back_but_others_are() -> None:
    # RFC 9051 6.4.6
    box = _box(5)
    view = View(box.snapshot())
    box.store([2], FlagChange(op=FlagOp.ADD, bits=FLAGGED))
    change = FlagChange(op=FlagOp.ADD, bits=SEEN)
    stored = view.stored(box.store([1, 2, 3], change), [1, 2, 3], change, silent=True)
    # the client believes 2 has \Seen alone; it has \Flagged too
    assert [row[:3] for row in stored.rows] == [(2, 2, SEEN | FLAGGED)]
    assert stored.applied.uids() == [1, 2, 3]
    box.store([5], FlagChange(op=FlagOp.ADD, bits=DELETED))
    assert [row[:3] for row in view.changes(box.snapshot(), expunge_ok=False).flags] == [(5, 5, DELETED)]


def test_a_store_that_is_not_silent_answers_for_every_message() -> None:
    box = _box(5)
    view = View(box.snapshot())
    box.store([1], FlagChange(op=FlagOp.ADD, bits=SEEN))
    change = FlagChange(op=FlagOp.ADD, bits=SEEN)
    stored = view.stored(box.store([1, 2], change), [1, 2], change, silent=False)
    assert [row[:3] for row in stored.rows] == [(1, 1, SEEN), (2, 2, SEEN)]
    assert not view.changes(box.snapshot(), expunge_ok=True)


def test_refused_by_unchangedsince_is_told_as_anothers_change() -> None:
    # RFC 7162 3.1.3: an unsolicited FETCH for the messages that failed is recommended
    box = _box(3)
    view = View(box.snapshot(), condstore=True)
    since = box.modseq
    box.store([2], FlagChange(op=FlagOp.ADD, bits=FLAGGED))
    change = FlagChange(op=FlagOp.ADD, bits=SEEN, unchanged_since=since)
    result = box.store([1, 2], change)
    stored = view.stored(result, [1, 2], change, silent=True)
    assert stored.applied.uids() == [1]
    assert not stored.rows
    assert [row[:3] for row in view.changes(result.snapshot, expunge_ok=False).flags] == [(2, 2, FLAGGED)]


def test_new_keywords_are_announced_before_they_are_used() -> None:
    box = _box(2)
    view = View(box.snapshot())
    box.store([1], FlagChange(op=FlagOp.ADD, bits=0, keywords=("$Junk",)))
    changes = view.changes(box.snapshot(), expunge_ok=False)
    assert changes.keywords == ("$Junk",)
    assert [(row[0], row[3]) for row in changes.flags] == [(1, 1)]
    assert view.snapshot.keyword_names(1) == ["$Junk"]


def test_what_pop3_hides_is_no_news() -> None:
    box = _box(3)
    view = View(box.snapshot())
    box.store([1, 2], FlagChange(op=FlagOp.ADD, bits=POP3_HIDDEN))
    assert not view.changes(box.snapshot(), expunge_ok=True)


def test_modseq_alone_is_news_to_a_condstore_client_only() -> None:
    box = _box(3)
    plain, condstore = View(box.snapshot()), View(box.snapshot(), condstore=True)
    box.store([1], FlagChange(op=FlagOp.ADD, bits=SEEN))
    box.store([1], FlagChange(op=FlagOp.REMOVE, bits=SEEN))
    assert not plain.changes(box.snapshot(), expunge_ok=True)
    assert [row[4] for row in condstore.changes(box.snapshot(), expunge_ok=True).flags] == [box.modseq]


def test_an_older_snapshot_takes_nothing_back() -> None:
    box = _box(3)
    old = box.snapshot()
    view = View(old)
    box.append()
    assert view.changes(box.snapshot(), expunge_ok=True).exists == 4
    assert not view.changes(old, expunge_ok=True)
    assert len(view) == 4


def test_shared_pages_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    box = _box(400, 4)
    old = box.snapshot()
    view = View(old)
    box.store([399], FlagChange(op=FlagOp.ADD, bits=SEEN))
    new = box.snapshot()
    touched = [page for page in [*old.pages, *new.pages] if 399 in page.uids]
    reads: list[Page] = []
    monkeypatch.setattr("postroom.mailbox.difference.joined", lambda pages: (reads.extend(pages), pages[0])[1])
    assert len(view.changes(new, expunge_ok=True).flags) == 1
    assert reads == touched


@pytest.mark.parametrize("op", list(FlagOp))
@pytest.mark.parametrize("keywords", [(), ("$junk",), ("Work", "$Junk")])
@pytest.mark.parametrize("bits", [0, SEEN, SEEN | DELETED])
@pytest.mark.parametrize("pages", [1, 2, 9])
def test_a_client_that_knows_everything_hears_nothing_of_its_silent_change(
    op: FlagOp, keywords: tuple[str, ...], bits: int, pages: int
) -> None:
    box = _box(9, pages)
    box.store([2, 3], FlagChange(op=FlagOp.ADD, bits=FLAGGED | SEEN, keywords=("$Junk", "Work")))
    box.store([4], FlagChange(op=FlagOp.ADD, bits=POP3_HIDDEN))
    view = View(box.snapshot(), condstore=True)
    change = FlagChange(op=op, bits=bits, keywords=tuple(word.replace("junk", "Junk") for word in keywords))
    told = FlagChange(op=op, bits=bits, keywords=keywords)
    stored = view.stored(box.store([1, 2, 4, 9], change), [1, 2, 4, 9], told, silent=True)
    assert not stored.rows
    assert stored.applied.uids() == [1, 2, 4, 9]
    assert not view.changes(box.snapshot(), expunge_ok=True)
