"""What only the embedded store has: files, several processes, reopening, adoption, damage that check finds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from msgspec import structs
from store_house import STRICT, must_be_sound

from postroom.store.api import (
    AccountRow,
    DeliveredAlready,
    DomainRow,
    FlagChange,
    FlagOp,
    Hint,
    NotFound,
    QueueFilter,
    RecipientState,
    StoreError,
    StoreUnavailable,
)
from postroom.store.embedded import EmbeddedStore
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.working import TAIL
from postroom.testing.store_contract import SettableClock, message, received
from postroom.testing.store_contract.build import open_account, rows, uids
from postroom.values.flags import SEEN

DAY = 86_400.0
LARGE = b"0123456789abcdef" * 5000


@asynccontextmanager
async def opened(data: Path, slot: int | None = 0, **options: object) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(data, slot, options=replace(STRICT, **options), clock=SettableClock())
    try:
        yield store
    finally:
        await store.close()


def mail_db(data: Path, account: str = "acc1") -> Path:
    (found,) = data.glob(f"accounts/*/{account}/mail.db")
    return found


async def test_two_processes_write_one_account(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, 1) as two:
        first, inbox = await open_account(one)
        second = await two.account("acc1")
        for _ in range(5):
            await asyncio.gather(
                *(account.append(inbox.id, [message()]) for account in (first, second) for _ in range(4))
            )
        assert uids(await first.snapshot(inbox.id)) == uids(await second.snapshot(inbox.id)) == list(range(1, 41))
    await must_be_sound(tmp_path)


async def test_pages_another_process_left_alone_are_shared(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, 1) as two:
        first, inbox = await open_account(one)
        await first.append(inbox.id, [message() for _ in range(1600)])
        second = await two.account("acc1")
        before = await second.snapshot(inbox.id)
        await first.store_flags(inbox.id, [1, 1600], FlagChange(op=FlagOp.ADD, bits=SEEN))
        after = await second.snapshot(inbox.id)
        assert [old is new for old, new in zip(before.pages, after.pages, strict=True)] == [False, True, True, False]
        assert after.pages[0].uids is before.pages[0].uids
        mine = (await second.store_flags(inbox.id, [2], FlagChange(op=FlagOp.ADD, bits=SEEN))).snapshot
        assert [old is new for old, new in zip(after.pages, mine.pages, strict=True)] == [False, True, True, True]
        assert rows(await first.snapshot(inbox.id)) == rows(mine)


async def test_the_directory_sees_other_processes_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, None) as two:
        assert await one.directory.account_by_login("a@b") is None
        version = await one.directory.version()
        await two.directory.put_account(AccountRow(id="x", login="a@b", created=0))
        assert await one.directory.version() != version
        assert await one.directory.account_by_login("a@b") is not None


async def test_a_slot_has_one_owner(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(StoreError, match="slot 0"):
            EmbeddedStore(tmp_path, 0)
    async with opened(tmp_path):
        pass


async def test_a_command_owns_no_slot(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as store:
        with pytest.raises(StoreError):
            await store.queue.accept(received("q"))
        assert await store.queue.entries(QueueFilter()) == []


async def test_commands_see_and_change_every_slot(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, 1) as two, opened(tmp_path, None) as command:
        await one.queue.accept(received("q0"))
        await two.queue.accept(received("q1", octets=LARGE))
        found = await command.queue.entries(QueueFilter())
        assert [(entry.id, entry.slot) for entry in found] == [("q0", 0), ("q1", 1)]
        assert found[1].content.read().endswith(LARGE)
        assert await command.queue.change(QueueFilter(), RecipientState.HELD, None) == 2
        assert await one.queue.due(9999.0) == await two.queue.due(9999.0) == []
        assert await two.queue.change(QueueFilter(ids=("q0",)), RecipientState.DROPPED, None) == 1
        assert [entry.id for entry in await one.queue.entries(QueueFilter())] == ["q1"]
    await must_be_sound(tmp_path)


async def test_left_over_slots_are_adopted(tmp_path: Path) -> None:
    async with opened(tmp_path, 3) as old:
        await old.queue.accept(received("q1"))
        await old.queue.accept(received("q2", octets=LARGE))
    async with opened(tmp_path, 2) as busy, opened(tmp_path) as store:
        await busy.queue.accept(received("q3"))
        assert await store.adopt(1) == 2
        assert not (tmp_path / "queue" / "3.db").exists()
        assert [(entry.id, entry.slot) for entry in await store.queue.due(9999.0)] == [("q1", 0), ("q2", 0)]
        assert await store.adopt(1) == 0
        for entry in await store.queue.due(9999.0):
            done = [structs.replace(item, state=RecipientState.DELIVERED) for item in entry.recipients]
            await store.queue.update(entry.id, done)
    assert list((tmp_path / "queue" / "bodies").iterdir()) == []
    await must_be_sound(tmp_path)


async def test_few_files_stay_open(tmp_path: Path) -> None:
    async with opened(tmp_path, open_accounts=2) as store:
        kept = []
        for number in range(6):
            account, inbox = await open_account(store, f"acc{number}")
            kept.append((account, inbox, (await account.append(inbox.id, [message()])).snapshot))
        for _ in range(2):
            for account, inbox, _ in kept:
                await account.append(inbox.id, [message()])
                assert (await store.account(account.id)) is account
        for account, inbox, _ in kept:
            assert len(await account.snapshot(inbox.id)) == 3
        open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
        databases = {name for name in open_files if name.endswith("mail.db") and str(tmp_path) in name}
        assert len(databases) <= 3
    await must_be_sound(tmp_path)


async def test_closing_leaves_a_short_wal(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"x" * 4096) for _ in range(300)])
        wal = mail_db(tmp_path).with_name("mail.db-wal")
        assert wal.stat().st_size > 1_000_000
    assert wal.stat().st_size == 0
    await must_be_sound(tmp_path)


def _is_link(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


async def test_what_a_dead_process_spooled_is_swept(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        spool = store.spool()
        spool.write(LARGE)
        await spool.seal()
    assert len(list((tmp_path / "queue" / "tmp").iterdir())) == 1
    async with opened(tmp_path):
        pass
    await must_be_sound(tmp_path)


async def test_large_bodies_are_linked_not_copied(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        spool = store.spool()
        spool.write(LARGE)
        entry = await store.queue.accept(received("q", octets=await spool.seal()))
        spool.close()
        inodes = {os.stat(entry.content.path).st_ino}
        for name in ("acc1", "acc2"):
            account, inbox = await open_account(store, name)
            done = await account.append(inbox.id, [message(entry.content)], delivery=("q", name))
            inodes.add(os.stat((await account.content(rows(done.snapshot)[0].message)).path).st_ino)
        assert len(inodes) == 1
        await store.queue.update("q", [structs.replace(entry.recipients[0], state=RecipientState.DELIVERED)])
        assert not Path(entry.content.path).exists()  # noqa: ASYNC240
        content = await account.content(1)
        assert content.read() == b"Received: by test\r\n" + LARGE
    await must_be_sound(tmp_path)


async def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    async with opened(tmp_path) as store:
        spool = store.spool()
        spool.write(LARGE)
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(await spool.seal()), message(LARGE)])
        spool.close()
        assert (await account.content(1)).read() == (await account.content(2)).read() == LARGE
    await must_be_sound(tmp_path)


async def test_the_maildrop_lock_holds_between_processes(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, 1) as two:
        first, _ = await open_account(one)
        second = await two.account("acc1")
        assert await first.pop3_lock("p1", 0.0, 60.0)
        assert not await second.pop3_lock("p2", 0.0, 60.0)
        await first.pop3_unlock("p1")
        assert await second.pop3_lock("p2", 0.0, 60.0)


async def test_a_hint_is_told_though_the_caller_is_gone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        heard: asyncio.Future[Hint] = asyncio.get_running_loop().create_future()
        end = store.feed.subscribe("acc1", heard.set_result)
        call = asyncio.ensure_future(account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.ADD, bits=SEEN)))
        await call
        call = asyncio.ensure_future(account.append(inbox.id, [message()]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        if len(await account.snapshot(inbox.id)):  # it had begun: then everyone hears of it
            assert (await heard).mailbox == inbox.id
        end()


async def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    with apsw.Connection(str(tmp_path / "directory.db")) as database:
        database.pragma("user_version", 99)
    with pytest.raises(StoreError, match="99"):
        EmbeddedStore(tmp_path)


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreUnavailable):
        EmbeddedStore(tmp_path / "data")


async def test_another_process_that_holds_the_lock_too_long(tmp_path: Path) -> None:
    async with opened(tmp_path, database=OpenOptions(busy_ms=50)) as store:
        account, inbox = await open_account(store)
        other = apsw.Connection(str(mail_db(tmp_path)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await account.append(inbox.id, [message()])
        assert len(await account.snapshot(inbox.id)) == 0
        other.execute("ROLLBACK")
        other.close()
        assert (await account.append(inbox.id, [message()])).uids == (1,)


async def test_old_tombstones_are_joined_and_history_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from postroom.store.embedded import sweep

    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        start = (await account.append(inbox.id, [message() for _ in range(200)])).snapshot.modseq
        for uid in range(2, 200, 2):
            last = (await account.expunge(inbox.id, [uid], only_deleted=False)).snapshot.modseq
        now = SettableClock().time
        assert await store.sweep(now + DAY, 0.0) == 99
        assert list(await account.vanished(inbox.id, start) or ()) == list(range(2, 200, 2))
        assert set(await account.vanished(inbox.id, last - 2) or ()) >= {196, 198}
        assert list(await account.vanished(inbox.id, last) or ()) == []
        monkeypatch.setattr(sweep, "_MOST_TOMBSTONE", 10)
        monkeypatch.setattr(sweep, "_JOIN_ABOVE", 0)
        await store.sweep(now + 2 * DAY, 0.0)
        assert await account.vanished(inbox.id, start) is None
        assert list(await account.vanished(inbox.id, last) or ()) == []
    await must_be_sound(tmp_path)


async def test_deliveries_are_remembered_for_ten_days(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message()], delivery=("q", "r"))
        now = SettableClock().time
        await store.sweep(now + 9 * DAY, DAY)
        with pytest.raises(DeliveredAlready):
            await account.append(inbox.id, [message()], delivery=("q", "r"))
        await store.sweep(now + 11 * DAY, DAY)
        await account.append(inbox.id, [message()], delivery=("q", "r"))


async def test_sweeping_a_large_expunge_goes_in_slices(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message() for _ in range(1000)])
        await account.copy(inbox.id, range(1, 301), inbox.id)
        await account.expunge(inbox.id, range(1, 1001), only_deleted=False)
        assert await store.sweep(SettableClock().time + DAY, 0.0) == 700
        for row in rows(await account.snapshot(inbox.id)):
            assert (await account.content(row.message)).size == row.size
        with pytest.raises(NotFound):
            await account.content(1000)
    await must_be_sound(tmp_path)


DAMAGE = {
    "UPDATE mailbox SET unseen = unseen + 1 WHERE id = 1": "counters say",
    "UPDATE mailbox SET uidnext = 2 WHERE id = 1": "UIDs lie outside",
    "UPDATE mailbox SET modseq = 99999 WHERE id = 1": "above the account's",
    "UPDATE mailbox SET modseq = 2 WHERE id = 1": "newer than the mailbox",
    "UPDATE mailbox SET account_octets = 1 WHERE id = 1": "usage says",
    "UPDATE mailbox SET tail = substr(tail, 1, 30) WHERE id = 1": "cannot be read",
    "UPDATE page SET data = substr(data, 1, 30)": "cannot be read",
    "DELETE FROM page WHERE id & 1": "cannot be read",
    "INSERT INTO page VALUES (77 << 32, 1, x'')": "belongs to no mailbox",
    "UPDATE body SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE id = 1": "octets are missing or damaged",
    "DELETE FROM body WHERE id = 1": "octets are missing or damaged",
    "INSERT INTO body VALUES (77, x'00')": "belong to no message",
    "DELETE FROM message WHERE id = 1": "in a mailbox but not kept",
    "UPDATE message SET size = 1 WHERE id = 1": "size differs",
    "INSERT INTO extra VALUES (1, 1)": "its count differs",
    "INSERT INTO extra VALUES (77, 1)": "without any",
    "DELETE FROM expunged": "nothing refers to",
    "UPDATE expunged SET uids = x'0001000000'": "expunged UIDs are there",
    "UPDATE expunged SET uids = x'0099000000'": "never given",
    "UPDATE message SET prefix = x'01' WHERE prefix IS NOT NULL": "octets instead of",
}


@pytest.mark.parametrize("sql", DAMAGE)
async def test_check_finds_damage(tmp_path: Path, sql: str) -> None:
    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"one"), message(b"two"), message(LARGE)])
        await account.append(inbox.id, [message(b"more")] * TAIL)  # these and those before them go to a page
        await account.append(inbox.id, [message(b"last")])
        await account.expunge(inbox.id, [2], only_deleted=False)
    with apsw.Connection(str(mail_db(tmp_path))) as database:
        database.execute(sql)
    async with opened(tmp_path) as store:
        assert any(DAMAGE[sql] in finding.what for finding in [found async for found in store.check("acc1")])


async def test_check_finds_damaged_files(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(LARGE), message(LARGE)])
        await store.queue.accept(received("q1", octets=LARGE))
        await store.queue.accept(received("q2"))
        await store.directory.put_account(AccountRow(id="ghost", login="g@h", created=0))
    one, two = sorted(mail_db(tmp_path).parent.joinpath("bodies").iterdir())
    one.write_bytes(LARGE[:-1] + b"!")
    two.unlink()
    two.with_name("stray").write_bytes(b"x")
    (tmp_path / "queue" / "bodies" / "q1").write_bytes(b"")
    with apsw.Connection(str(tmp_path / "queue" / "0.db")) as database:
        database.execute("DELETE FROM body; UPDATE entry SET next = 5 WHERE id = 'q1'")
    broken = Path(Layout(str(tmp_path)).account("broken").database)
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no database" * 100)  # noqa: ASYNC240
    async with opened(tmp_path) as store:
        said = "\n".join([found.what async for found in store.check()])
    for what in (
        "its file is damaged",
        "its file cannot be read",
        "file stray belongs to no message",
        "its file has 0 octets",
        "entry q2: its octets are missing",
        "next try is wrong",
        "ghost) has no folder",
        "not a database",
    ):
        assert what in said


async def test_check_names_accounts_without_folders_and_folders_without_accounts(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.directory.put_domain(DomainRow(name="x.test", created=0.0))
        for number in ("both", "row"):
            await store.directory.put_account(AccountRow(id=number, login=f"{number}@x.test", created=0.0))
        for number in ("both", "folder"):
            await store.create_account(number, [("INBOX", "")])
        found = [(finding.place, finding.what) async for finding in store.check()]
        assert found == [
            ("directory.db", "account row@x.test (row) has no folder"),
            ("accounts/folder", f"the folder {Layout(str(tmp_path)).account('folder').folder} belongs to no account"),
        ]
        assert [finding async for finding in store.check("folder")] == [], "asked about one, it tells of that one"


async def test_check_beside_accounts_that_are_made_and_removed(tmp_path: Path) -> None:
    """Folder first when made, row first when removed: for an instant there is a folder that is nobody's."""
    async with opened(tmp_path) as store:
        await store.directory.put_domain(DomainRow(name="x.test", created=0.0))
        for number in ("new", "old", "left"):
            await store.create_account(number, [("INBOX", "")])
        accounts = store.directory.accounts
        looks = 0

        async def changing() -> list[AccountRow]:
            nonlocal looks
            looks += 1
            rows = await accounts()
            if looks == 1:  # what was under way goes on between the two looks
                await store.directory.put_account(AccountRow(id="new", login="new@x.test", created=0.0))
                await store.remove_account("old")
            return rows

        store.directory.accounts = changing  # type: ignore[method-assign]
        assert [finding.place async for finding in store.check()] == ["accounts/left"]


def test_threads_may_work_on_their_own_files_at_once(tmp_path: Path) -> None:
    """In a process of its own: SQLite without its locks damages memory, and the process with it."""
    command = [sys.executable, "-c", THREADS, str(tmp_path)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=paths, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"fine\n"), done.stderr


THREADS = """
import sys, threading
from postroom.store.embedded.database import OpenOptions, open_database

def work(number):
    for _ in range(30):
        db = open_database(f"{sys.argv[1]}/{number}.db", OpenOptions(), cache_kib=64, create=True)
        db.pragma("synchronous", 0)
        db.execute("CREATE TABLE IF NOT EXISTS t(x); BEGIN")
        for _ in range(100):
            db.execute("INSERT INTO t VALUES (zeroblob(6000))")
        db.execute("COMMIT; SELECT sum(length(x)) FROM t").fetchall()
        db.execute("DELETE FROM t")
        db.close()

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("fine")
"""
