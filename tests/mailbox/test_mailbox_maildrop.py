"""The POP3 drop, alone and beside an IMAP client on the same INBOX."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from postroom.mailbox.errors import LoginTooSoon, MaildropTaken, NeedsUtf8, NoSuchMessage, response_code
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.maildrop import DropPolicy, Maildrop
from postroom.mailbox.service import Account
from postroom.mailbox.view import View
from postroom.message.surrogate import MAX_HEADER
from postroom.store.api import FlagChange, FlagOp, Store
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, POP3_HIDDEN, SEEN


class Reader:
    """Opens drops of the account under test."""

    def __init__(self, account: Account, store: Store, clock: Clock) -> None:
        self.account, self.store, self.clock = account, store, clock
        self.count = 0

    async def __call__(self, policy: DropPolicy | None = None) -> Maildrop:
        self.count += 1
        holder = f"session {self.count}"
        return await Maildrop.open(self.account, self.store.directory, self.clock, holder, policy or DropPolicy())

    async def setting(self, **fields: object) -> None:
        row = await self.store.directory.account("a1")
        assert row is not None
        await self.store.directory.put_account(replace(row, **fields))  # type: ignore[arg-type]


@pytest.fixture
def login(account: Account, store: Store, clock: Clock) -> Reader:
    return Reader(account, store, clock)


def mail(number: int) -> bytes:
    lines = "".join(f"line {line}\r\n" for line in range(1, number + 1))
    return f"Subject: {number}\r\n\r\n{lines}".encode()


async def fill(account: Account, count: int) -> None:
    box = await account.find("INBOX")
    await account.append(box.id, [Incoming(content=Content.of(mail(number))) for number in range(1, count + 1)])


async def flags(account: Account, mailbox: str = "INBOX") -> list[int]:
    box = await account.find(mailbox)
    return [octet for page in (await account.snapshot(box.id)).pages for octet in page.flags]


async def test_what_a_reader_sees(account: Account, login: Reader) -> None:
    await fill(account, 3)
    drop = await login()
    sizes = [len(mail(number)) for number in (1, 2, 3)]
    assert (drop.count, drop.octets, drop.last) == (3, sum(sizes), 3)
    assert list(drop.sizes()) == list(enumerate(sizes, 1))
    assert drop.size(2) == sizes[1]
    assert (await drop.content(3)).read() == mail(3)
    for number in (0, 4, -1):
        with pytest.raises(NoSuchMessage):
            drop.size(number)
    await drop.close()


JOSE = "José".encode()
RAW = b"".join(
    [
        b'From: "' + JOSE + b'" <jose@example.org>\r\nTo: ' + JOSE + b"@example.org\r\nX-Note: " + JOSE,
        b"\r\nSubject: caf\xc3\xa9\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        b"--b\r\n\r\n8-bit text: " + JOSE + b"\r\n",
        b'--b\r\nContent-Disposition: attachment; filename="' + JOSE + b'.pdf"\r\n\r\npdf\r\n--b--\r\n',
    ]
)
SHOWN = b"".join(
    [
        b"From: =?utf-8?B?Sm9zw6k=?=\r\n <jose@example.org>\r\nTo: =?utf-8?B?Sm9zw6lAZXhhbXBsZS5vcmc=?=",
        b"\r\n <invalid@internationalized-address.invalid>\r\nSubject: =?utf-8?B?Y2Fmw6k=?=\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n8-bit text: " + JOSE + b"\r\n",
        b"--b\r\nContent-Disposition: attachment;\r\n filename*=utf-8''Jos%C3%A9.pdf\r\n\r\npdf\r\n--b--\r\n",
    ]
)


async def test_a_reader_without_utf8_gets_surrogates(account: Account, login: Reader) -> None:
    """RFC 6856 2.1: what is announced is what is sent."""
    await fill(account, 1)
    more = b"x" * 70_000
    await account.deliver(Content.of(RAW), queue_id="q1", recipient="r")
    await account.deliver(Content.of(RAW + more), queue_id="q2", recipient="r")
    sizes = [len(mail(1)), len(SHOWN), len(SHOWN + more)]
    for _ in range(2):  # the second time sizes are known
        drop = await login()
        assert ([size for _, size in drop.sizes()], drop.octets) == (sizes, sum(sizes))
        for number, data in enumerate((mail(1), SHOWN, SHOWN + more), 1):
            content = await drop.content(number)
            assert (content.read(), content.size) == (data, len(data))
        names = await drop.uidls()
        drop.mark(2)
        assert drop.octets == sizes[0] + sizes[2]
        await drop.close()
    drop = await login(DropPolicy(utf8=True))
    assert [size for _, size in drop.sizes()] == [len(mail(1)), len(RAW), len(RAW + more)]
    assert [(await drop.content(number)).read() for number in (2, 3)] == [RAW, RAW + more]
    assert await drop.uidls() == names
    await drop.close()


async def test_the_mark_of_8_bit_headers_stays(account: Account, login: Reader) -> None:
    """Whatever an IMAP client does with the message."""
    await account.deliver(Content.of(RAW), queue_id="q1", recipient="r")
    inbox, trash = await account.find("INBOX"), await account.find("Trash")
    await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.REPLACE, bits=SEEN))
    await account.move(inbox.id, [1], trash.id)
    await account.copy(trash.id, [1], inbox.id)
    await fill(account, 1)
    drop = await login()
    assert [size for _, size in drop.sizes()] == [len(SHOWN), len(mail(1))]
    drop.mark(1)
    await drop.close()
    await login.setting(pop3_delete="keep")
    drop = await login()
    drop.mark(2)
    await drop.commit()
    await account.deliver(Content.of(RAW), queue_id="q2", recipient="r")
    drop = await login()
    assert [size for _, size in drop.sizes()] == [len(SHOWN), len(SHOWN)]
    await drop.close()


async def test_trace_fields_may_be_the_only_8_bit_ones(account: Account, login: Reader, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(mail(1))
    trace = b"Return-Path: <" + JOSE + b"@example.org>\r\n"
    lying = Content(size=len(mail(1)), path=str(tmp_path / "mail"), digest=sha256(mail(1)).digest())
    for number, content in enumerate((Content.of(mail(1)), lying)):
        await account.deliver(content.with_prefix(trace), queue_id=f"q{number}", recipient="r")
    drop = await login()
    for number in (1, 2):
        data = (await drop.content(number)).read()
        assert data.isascii()
        assert data.endswith(mail(1))
        assert len(data) == drop.size(number)
    await drop.close()


async def test_a_header_too_large_to_convert(account: Account, login: Reader) -> None:
    data = b"Subject: " + JOSE + b"\r\nX: " + b"x" * MAX_HEADER + b"\r\n\r\nbody\r\n"
    await account.deliver(Content.of(data), queue_id="q", recipient="r")
    drop = await login()
    assert drop.size(1) == len(data)
    with pytest.raises(NeedsUtf8) as caught:
        await drop.content(1)
    assert response_code(caught.value) == b"UTF8"
    await drop.close()


async def test_marks_until_quit(account: Account, login: Reader) -> None:
    await fill(account, 3)
    drop = await login()
    drop.mark(2)
    assert (drop.count, drop.last) == (2, 3)
    assert drop.octets == len(mail(1)) + len(mail(3))
    assert [number for number, _ in drop.sizes()] == [1, 3]
    assert [number for number, _ in await drop.uidls()] == [1, 3]
    for call in (drop.size, drop.mark):
        with pytest.raises(NoSuchMessage):
            call(2)
    with pytest.raises(NoSuchMessage):
        await drop.content(2)
    drop.reset()
    assert (drop.count, drop.octets) == (3, sum(len(mail(number)) for number in (1, 2, 3)))
    drop.mark(1)
    drop.mark(3)
    committed = await drop.commit()
    assert (committed.removed, committed.left) == (2, 1)
    again = await login()
    assert [size for _, size in again.sizes()] == [len(mail(2))]
    await again.close()


async def test_a_lost_connection_removes_nothing(account: Account, login: Reader) -> None:
    # RFC 1939 6
    await fill(account, 2)
    drop = await login()
    drop.mark(1)
    await drop.content(2)
    await drop.close()
    await drop.close()
    again = await login()
    assert again.count == 2
    await again.close()
    assert await flags(account) == [0, SEEN]


async def test_one_reader_at_a_time(account: Account, login: Reader, clock: Clock) -> None:
    drop = await login(DropPolicy(lease=100))
    with pytest.raises(MaildropTaken) as fault:
        await login()
    assert response_code(fault.value) == b"IN-USE"
    clock.time += 90  # type: ignore[attr-defined]
    assert await drop.renew()
    clock.time += 90  # type: ignore[attr-defined]
    with pytest.raises(MaildropTaken):
        await login()
    clock.time += 20  # type: ignore[attr-defined] # the holder was killed and is never heard of again
    other = await login()
    assert not await drop.renew()
    await drop.close()  # does not take the lock from its new holder
    with pytest.raises(MaildropTaken):
        await login()
    await other.commit()
    await (await login()).close()


async def test_login_delay(account: Account, login: Reader, clock: Clock, store: Store) -> None:
    policy = DropPolicy(login_delay=60)
    await (await login(policy)).commit()
    clock.time += 59  # type: ignore[attr-defined]
    with pytest.raises(LoginTooSoon) as fault:
        await login(policy)
    assert response_code(fault.value) == b"LOGIN-DELAY"
    clock.time += 1  # type: ignore[attr-defined]
    await (await login(policy)).close()
    row = await store.directory.account("a1")
    assert row is not None
    assert row.pop3_last_login == clock.now()


async def test_unique_ids_stay(account: Account, login: Reader) -> None:
    await fill(account, 3)
    drop = await login()
    before = dict(await drop.uidls())
    assert len(set(before.values())) == 3
    assert await drop.uidl(2) == before[2]
    assert all(1 <= len(name) <= 70 and name.isascii() and name.isprintable() for name in before.values())
    await drop.close()
    inbox, sent = await account.find("INBOX"), await account.find("Sent")
    moved = await account.move(inbox.id, [1, 2], sent.id)
    await account.move(sent.id, [moved.target[1]], inbox.id)
    drop = await login()
    assert dict(await drop.uidls()) == {1: before[3], 2: before[2]}
    await drop.close()


async def test_copies_of_one_message_are_told_apart(account: Account, login: Reader) -> None:
    await fill(account, 1)
    inbox = await account.find("INBOX")
    await account.copy(inbox.id, [1], inbox.id)
    drop = await login()
    names = [name for _, name in await drop.uidls()]
    assert len(set(names)) == 2
    await drop.close()
    drop = await login()
    assert [name for _, name in await drop.uidls()] == names
    await drop.close()


@pytest.mark.parametrize("how", ["delete", "trash", "keep"])
async def test_what_deleting_means(account: Account, login: Reader, how: str) -> None:
    await fill(account, 3)
    await login.setting(pop3_delete=how)
    drop = await login()
    drop.mark(2)
    assert (await drop.commit()).left == 2
    drop = await login()
    assert drop.count == 2
    await drop.close()
    trash = await flags(account, "Trash")
    inbox = await flags(account)
    if how == "keep":
        assert (inbox, trash) == ([0, POP3_HIDDEN, 0], [])
    else:
        assert (inbox, len(trash)) == ([0, 0], how == "trash")


async def test_trash_is_made_when_there_is_none(account: Account, login: Reader) -> None:
    await account.delete("Trash")
    await fill(account, 1)
    await login.setting(pop3_delete="trash")
    drop = await login()
    drop.mark(1)
    await drop.commit()
    trash = await account.special("\\Trash")
    assert trash is not None
    assert trash.messages == 1


@pytest.mark.parametrize("seen", [True, False])
async def test_retrieved_is_seen_if_the_account_wants_it(account: Account, login: Reader, seen: bool) -> None:
    await fill(account, 3)
    await login.setting(pop3_seen=seen)
    drop = await login()
    await drop.content(1)
    await drop.content(3)
    await drop.content(2, seen=False)
    await drop.commit()
    assert await flags(account) == ([SEEN, 0, SEEN] if seen else [0, 0, 0])


async def test_pop3_and_imap_on_one_mailbox_at_once(account: Account, login: Reader) -> None:
    await fill(account, 4)
    inbox = await account.find("INBOX")
    view = View(await account.snapshot(inbox.id))
    drop = await login()
    names = dict(await drop.uidls())

    # IMAP expunges 1 and flags 2, and mail arrives: the drop does not move
    await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.ADD, bits=DELETED))
    await account.expunge(inbox.id)
    change = FlagChange(op=FlagOp.ADD, bits=FLAGGED)
    view.stored(await account.store_flags(inbox.id, [2], change), [2], change, silent=True)
    await fill(account, 1)
    assert (drop.count, dict(await drop.uidls())) == (4, names)
    assert (await drop.content(1)).read() == mail(1)  # gone from INBOX, not yet from this drop
    await drop.content(2)
    drop.mark(1)
    drop.mark(3)

    told = view.changes(await account.snapshot(inbox.id), expunge_ok=True)
    assert (list(told.expunged), told.exists, list(told.flags)) == ([1], 4, [])

    assert (await drop.commit()).removed == 2
    told = view.changes(await account.snapshot(inbox.id), expunge_ok=False)
    # 2 is now number 1; 3 went, but that is not told yet
    assert [row[:3] for row in told.flags] == [(1, 2, FLAGGED | SEEN)]
    assert (told.expunged, view.snapshot.uid(2), list(view.ghosts)) == ((), 3, [3])
    told = view.changes(await account.snapshot(inbox.id), expunge_ok=True)
    assert (list(told.expunged), list(told.vanished)) == ([2], [3])
    assert len(view) == 3

    drop = await login()
    assert [name for _, name in await drop.uidls()][:2] == [names[2], names[4]]
    await drop.close()


async def test_what_pop3_hides_imap_still_shows(account: Account, login: Reader) -> None:
    await login.setting(pop3_delete="keep", pop3_seen=False)
    await fill(account, 2)
    inbox = await account.find("INBOX")
    view = View(await account.snapshot(inbox.id))
    drop = await login()
    drop.mark(1)
    await drop.commit()
    assert not view.changes(await account.snapshot(inbox.id), expunge_ok=True)
    # an IMAP client that replaces flags does not bring it back to POP3
    await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.REPLACE, bits=SEEN))
    drop = await login()
    assert drop.count == 1
    await drop.close()
