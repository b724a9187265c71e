"""`postroom check` knows every table, and `check --repair` mends what follows from the rest: each table is damaged."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from store_house import STRICT

from postroom.mailbox.search import Pace
from postroom.mailbox.trait_keeper import complete, shelf_of
from postroom.mailbox.traits import SUBJECT
from postroom.store.api import (
    AccountRow,
    AliasRow,
    AnnotationLimits,
    Ban,
    Call,
    Contact,
    DeletedAccount,
    DomainRow,
    FilterRow,
    FlagOp,
    Freeze,
    GroupRow,
    HookChange,
    IndexChange,
    KeepLimits,
    KeptReport,
    Lesson,
    Lift,
    NewAnnotation,
    Origin,
    Placing,
    QuarantineItem,
    Remembered,
    RightsChange,
    Seen,
    SentReport,
    SigningKeyRow,
    Source,
    Suppression,
    TokenRow,
)
from postroom.store.embedded import EmbeddedStore, schema
from postroom.store.embedded.checks.mend import FOUND
from postroom.testing.store_contract import SettableClock, message, received
from postroom.testing.store_contract.build import rows, uids
from postroom.values import rights as right
from postroom.values.clock import SystemClock
from postroom.values.content import Content

ENVELOPE = b'(NIL "word %d" (("Ann" NIL "ann" "x.test")) NIL NIL ((NIL NIL "ben" "x.test")) NIL NIL NIL "<%d@x.test>")'


async def fill_account(store: EmbeddedStore) -> None:
    """Rows in every table of an account's files."""
    await store.create_account("acc1", [("INBOX", ""), ("Sent", "\\Sent"), ("Old", "")])
    account = await store.account("acc1")
    box = {info.name: info.id for info in await account.mailboxes()}
    new = [message(envelope=ENVELOPE % (n, n), references=b"<%d@x.test>" % (n - 1)) for n in range(1, 7)]
    await account.append(box["INBOX"], new)
    await account.append(box["INBOX"], [message(b"large" * 20_000, origin=Origin("Mxyz", 7))], delivery=("q9", "ann@x"))
    for number in range(60):  # more than a tail: pages, and deliveries that leave the marks
        await account.append(box["INBOX"], [message()], delivery=(f"q{number:020}", "ann@x.test"))
    await account.copy(box["INBOX"], [1, 2], box["Sent"])
    await account.expunge(box["INBOX"], [2, 3, 6], only_deleted=False)
    [departure] = await account.departures(box["INBOX"])
    await account.restore([Placing(target="INBOX", sources=[Source([3], departure.modseq)])])
    await account.rename(box["Old"], "Older")
    await complete(account, Pace(SystemClock()))
    await account.append(box["Old"], [message()])
    await complete(account, Pace(SystemClock()))  # a second row
    await account.subscribe("Older", True)
    await account.annotate(box["INBOX"], [NewAnnotation("", "/comment", b"x")], AnnotationLimits())
    await account.grant([0, box["INBOX"]], "ben@x.test", RightsChange(FlagOp.REPLACE, right.READING))
    await account.marks.mark(box["INBOX"], "ben", [4, 5], True)
    await account.saved.found(await account.saved.put("Unread", "is:unread"), [1, 2], [1, 4])
    await account.contacts.put([Contact("ben@far.test", "Ben", "hand")])
    await account.filters.put_script("mine", b"keep;")
    await account.filters.activate_script("mine")
    await account.filters.remember([Remembered(b"digest", 2e9)])
    account.index.change(IndexChange(add=[(0, 3, b"segment" * 100)], texts={4: b"text"}, until=4))
    await store.training.learn("acc1", [Lesson(id="m1", tokens=(1, 2), spam=True)], 1.0)
    account.index.close()


async def fill_shared(store: EmbeddedStore) -> None:
    """And in those of the files that all share."""
    directory, limits = store.directory, store.limits
    await directory.put_domain(DomainRow(name="x.test", created=0.0))
    await directory.put_domain(DomainRow(name="y.test", created=0.0, alias_of="x.test"))
    row = AccountRow(id="acc1", login="ann@x.test", created=0.0, filtered=True, contacts=True)
    await directory.put_account(row)
    await directory.put_share("acc1", "ben@x.test")
    await directory.put_alias(AliasRow(address="info@x.test", members=("ann@x.test",), created=0.0))
    await directory.put_group(GroupRow(address="team@x.test", members=("ann@x.test",), created=0.0))
    await directory.put_delegate("acc1", "ben@x.test", "as")
    await directory.put_token(TokenRow(id="t1", account="acc1", digest=b"d"))
    await directory.put_wishes(FilterRow(owner="ann@x.test", junk=7.0))
    key = SigningKeyRow(domain="x.test", selector="s", algorithm="a", private="PRIVATE KEY")
    await directory.put_signing_keys([key])
    gone = AccountRow(id="gone", login="eve@x.test", created=0.0)
    await directory.put_account(gone)
    await store.create_account("gone", [("INBOX", "")])
    await directory.retire_account(DeletedAccount(row=gone, deleted=1.0))
    await store.queue.accept(received("q1", "far@far.test"))
    await limits.put_ban(Ban(network="192.0.2.0/24", since=1.0, until=2e9, reason="x", times=1))
    await limits.freeze(Freeze(account="acc1", since=1.0, score=1, reasons=("x",)))
    await limits.lift(Lift(name="x.test", since=1.0, until=2.0, by="me"))
    await limits.suppress(Suppression(address="a@far.test", since=1.0, until=2e9, reason="x"))
    await limits.wait("who", 1.0, 2.0)
    await limits.place("acc1", "192.0.2.0/24", 1.0)
    await store.usage.note([Seen(account="acc1", domain="x.test", octets=1, messages=1, percent=1)], (), 1.0)
    await store.training.learn("", [Lesson(id="m1", tokens=(1, 2), spam=True)], 1.0)
    await store.training.rate(["ip:192.0.2.0/24"], 1.0, 0.0, 1.0)
    report = {"kind": "dmarc", "domain": "x.test", "proven": "far.test", "org": "Far", "id": "1"}
    await store.reports.keep(KeptReport(**report, begin=1.0, end=2.0, received=3.0, data=b"x"))
    await store.reports.reserve(SentReport(kind="dmarc", day="2026-11-20", name="far.test", entry="e1", at=1.0))
    await store.reports.finish("dmarc", "2026-11-20")
    call = Call(hook="crm", id="c1", type="message.delivered", time=1.0, body=b'{"a":1}', next=1.0)
    await store.hooks.add(HookChange(at=1.0, calls=(call,), contexts={"m1": b"x"}))
    kept = {"account": "acc1", "domain": "x.test", "recipient": "ann@x.test", "sender": "a@far.test"}
    item = QuarantineItem(id="e1-0", entry="e1", **kept, received=5.0, until=9.0, size=3)
    await store.quarantine.keep(item, Content.of(b"A:b"), KeepLimits())
    store.alarms.note(1.0, "name", "subject", {"a": 1})
    store.events.add(1.7e9, "message.delivered", {"queue_id": "q1"})


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(data, options=STRICT, clock=SettableClock())
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with something in every table."""
    made = tmp_path_factory.mktemp("pattern") / "data"

    async def make() -> None:
        async with opened(made) as store:
            await fill_shared(store)
            await fill_account(store)

    asyncio.run(make())
    return made


@pytest.fixture
def data(pattern: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(pattern, tmp_path / "data")
    return tmp_path / "data"


async def found(store: EmbeddedStore) -> list[str]:
    return [f"{finding.place}: {finding.what}" for finding in [one async for one in store.check()]]


def file_of(data: Path, name: str) -> Path:
    return data / name if (data / name).exists() else next(data.rglob(f"acc1/{name}"))


def harm(data: Path, name: str, sql: str) -> None:
    connection = apsw.Connection(str(file_of(data, name)))
    try:
        connection.execute(sql)
        assert connection.total_changes(), "nothing was damaged"
    finally:
        connection.close()


@dataclass(frozen=True)
class Harm:
    """What is done to a file, what `check` says then, and whether `repair` can mend it."""

    file: str
    sql: str
    says: str
    mended: bool = True


MAIL = [
    ("UPDATE account SET uidvalidity = 1", "have a UIDVALIDITY above the account's"),
    (
        "UPDATE account SET next_message = 2; UPDATE mailbox SET next_message = 2",
        "has a number that is still to be given",
    ),
    ("UPDATE mailbox SET seen = 'x' WHERE id = 1", "nobody knows whose \\Seen is in mailboxes INBOX"),
    ("UPDATE mailbox SET unseen = unseen + 1 WHERE id = 1", "counters say"),
    ("UPDATE mailbox SET uidnext = 2 WHERE id = 1", "UIDs lie outside"),
    ("UPDATE mailbox SET modseq = 99999 WHERE id = 1", "above the account's"),
    ("UPDATE mailbox SET modseq = 2 WHERE id = 1", "newer than the mailbox"),
    ("UPDATE mailbox SET account_octets = 1; UPDATE account SET octets = 1", "usage says"),
    ("UPDATE mailbox SET marks = 'rubbish' WHERE id = 1", "its newest deliveries cannot be read"),
    ("UPDATE mailbox SET name = 'x' WHERE name = 'INBOX'", "there is no INBOX"),
    ("INSERT INTO page VALUES (77 << 32, 1, x'')", "belongs to no mailbox"),
    ("INSERT INTO subscription VALUES ('', 1)", "nothing is called what is subscribed to"),
    ("UPDATE annotation SET mailbox = 77", "annotations are of mailbox 77, which is not there"),
    ("UPDATE annotation SET modseq = 99999", "above the account's MODSEQ"),
    ("UPDATE annotation SET entry = ''", "no program can ask for the annotations"),
    ("UPDATE acl SET mailbox = 77 WHERE mailbox = 1", "an ACL is of mailbox 77"),
    ("UPDATE acl SET identifier = '' WHERE mailbox = 1", "names nobody"),
    ("UPDATE acl SET identifier = 'new@x.test' WHERE mailbox = 1", "new@x.test has rights on mailboxes"),
    ("UPDATE mark SET mailbox = 77", "marks are of mailbox 77"),
    ("INSERT INTO origin VALUES (9999, 'x', 1)", "it is known where messages 9999 came from"),
    ("UPDATE origin SET emailid = ''", "came from elsewhere without a name"),
    ("UPDATE extra SET count = 9", "its count differs"),
    ("INSERT INTO extra VALUES (9999, 1)", "references counted for messages without any"),
    ("INSERT INTO body VALUES (9999, x'00')", "octets of message 9999 belong to no message"),
    ("DELETE FROM expunged", "messages that nothing refers to"),
    ("UPDATE expunged SET modseq = 99999", "above the account's MODSEQ"),
    ("DELETE FROM traits WHERE first = 1", "have no traits"),
    ("UPDATE traits SET first = first + 1 WHERE first > 1", "rows of traits do not follow each other"),
    ("UPDATE traits SET count = 700 WHERE first > 1", "traits reach into another block"),
    ("UPDATE traits SET count = 400 WHERE first > 1", "traits are of messages that have not come yet"),
    ("UPDATE traits SET texts = substr(texts, 1, 30)", "are cut off"),
    ("DELETE FROM message WHERE id = 3; DELETE FROM expunged", "tell of messages that are gone"),
    ("UPDATE reference SET thread = 0", "nothing refers to the threads"),
    ("DELETE FROM life WHERE mailbox = 1", "lives of mailboxes differ"),
    ("INSERT INTO life (mailbox, created) VALUES (77, 1)", "lives of mailboxes differ"),
    ("INSERT INTO life (mailbox, created, deleted) VALUES (77, 1, 2)", "what mailboxes 77 were when they were deleted"),
    ("UPDATE former SET mailbox = 77", "names were those of mailbox 77"),
    ("UPDATE restored SET placed = x'00'", "what restore 1 brought back is lost"),
    ("UPDATE saved SET messages = x'00'", "what the searches Unread found is cut off"),
    ("UPDATE saved SET query = ''", "searches 1 look for nothing"),
    ("UPDATE contact SET address = 'Ben'", "nobody has the addresses 'Ben' of the address book"),
    ("UPDATE script SET size = 99", "scripts mine are not as long as they say"),
    ("DELETE FROM filter", "it is not known which of the filters is active"),
    ("UPDATE filter SET active = 'other'", "the script other is active and not there"),
    ("UPDATE remembered SET key = x''", "nobody can have remembered"),
    ("UPDATE delivered SET recipient = ''", "something was delivered to nobody"),
]
#: what no other row knows
MAIL_STAYS = [
    ("UPDATE page SET data = substr(data, 1, 30)", "cannot be read"),
    ("UPDATE acl SET rights = 4096 WHERE mailbox = 1", "rights there are not"),
    ("UPDATE mark SET chunk = 3", "not in order"),
    ("UPDATE message SET guid = x'00' WHERE id = 1", "have no name that is like no other's"),
    ("UPDATE body SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE id = 1", "missing or damaged"),
    ("DELETE FROM body WHERE id = 1", "missing or damaged"),
    ("DELETE FROM message WHERE id = 1", "in a mailbox but not kept"),
    ("UPDATE expunged SET uids = x'0001000000'", "expunged UIDs are there"),
]
DIRECTORY = [
    ("DELETE FROM version", "the version is missing"),
    ("UPDATE alias SET domain = 'x.tes'", "aliases info@x.test are not of the domain"),
    ("UPDATE token SET account = 'nobody'", "tokens t1 belong to no account"),
    ("UPDATE team SET address = 'other@x.test'", "somebody is in the groups team@x.test"),
    ("UPDATE team_member SET team = 'other@x.test'", "somebody is in the groups other@x.test"),
    ("UPDATE share SET account = 'nobody'", "accounts nobody share something"),
    ("UPDATE delegate SET mode = 'x'", "ben@x.test may send for accounts"),
    ("UPDATE filter SET owner = 'nobody@x.test'", "something is wanted of the spam filter by nobody@x.test"),
    (
        "INSERT INTO site_script VALUES ('z.test', 'all', 1, 'keep;')",
        "the domain of the site scripts all is not hosted",
    ),
    ("UPDATE account SET filtered = 0", "nobody looks for the scripts of ann@x.test"),
    ("UPDATE account SET contacts = 0", "nobody looks into the address book of ann@x.test"),
    ("UPDATE deleted_account SET id = 'acc1'", "accounts eve@x.test are deleted, and there"),
]
DIRECTORY_STAYS = [
    ("UPDATE domain SET alias_of = 'z.test' WHERE alias_of != ''", "domains y.test stand for a domain"),
    ("UPDATE domain SET name = 'z.test' WHERE alias_of = ''", "the domain of the accounts ann@x.test is not hosted"),
    ("UPDATE account SET domain = 'y.test'", "accounts ann@x.test are not of the domain"),
    ("UPDATE alias SET members = '{'", "it is lost for whom the aliases info@x.test stand"),
    ("UPDATE signing_key SET private = ''", "keys s._domainkey.x.test cannot be used"),
    ("UPDATE signing_key SET domain = 'z.test'", "the domain of the keys for z.test is not hosted"),
    ("UPDATE filter SET data = '{'", "what ann@x.test wanted of the spam filter is lost"),
    ("UPDATE deleted_account SET data = x''", "the account eve@x.test cannot be brought back"),
]
POLICY = [
    ("DELETE FROM version", "the version is missing"),
    ("INSERT INTO used VALUES ('a', 'b', 1, -1)", "less than nothing was counted"),
    ("INSERT INTO warned VALUES ('a', 'b', 'never')", "it has no end that a were warned"),
    ("INSERT INTO correspondent VALUES ('nobody', 'a@b', 1)", "accounts nobody wrote to somebody"),
    ("INSERT INTO sent_id VALUES (1, 'nobody', 1)", "accounts nobody sent something"),
    ("UPDATE place SET account = 'nobody'", "accounts nobody were logged in to"),
    ("UPDATE held SET account = 'nobody'", "accounts nobody hold something"),
    ("UPDATE held SET octets = -1", "accounts acc1 hold less than nothing"),
    ("INSERT INTO held_domain VALUES ('x.test', -1)", "domains x.test were warned"),
    ("UPDATE ban SET serial = 999", "bans of 192.0.2.0/24 are newer"),
    ("UPDATE frozen SET account = 'nobody'", "accounts nobody may not send"),
    ("UPDATE frozen SET reasons = '{'", "it is lost why accounts acc1 may not send"),
    ("UPDATE suppression SET address = 'x'", "are no addresses to be left alone"),
    ("UPDATE waiting SET first = 9", "it was heard of who before it came"),
    ("UPDATE lift SET since = 9", "limits of x.test were lifted until before"),
    ("INSERT INTO sts VALUES ('far.test', '1', 'enforce', '{', 1, 1, 1, 1)", "policies of far.test name no servers"),
    ("INSERT INTO demanded VALUES ('', 'x', 1)", "TLS was demanded by nobody"),
    ("INSERT INTO tls_count VALUES ('', 'far.test', '', '', '', '', '', '', 1)", "connections to far.test were"),
]
REPORTS = [("UPDATE finished SET day = ''", "days that are done are no days: dmarc ")]
REPORTS_STAY = [
    ("UPDATE received SET begin = 9", "reports about x.test end before they begin"),
    ("UPDATE sent SET day = 'x'", "reports to far.test were written down without a day"),
]
WEBHOOKS = [
    ("UPDATE call SET attempts = -1", "calls of crm cannot be made"),
    ("UPDATE call SET hook = ''", "nobody is to be told of message.delivered"),
    ("UPDATE context SET data = x''", "whose the messages m1 are is lost"),
]
QUARANTINE = [
    ("UPDATE item SET until = 1", "e1-0 were to leave the quarantine before they came"),
    ("UPDATE item SET state = 'x'", "it is lost what became of e1-0"),
    ("INSERT INTO content VALUES ('e9', 1, x'', x'', x'00')", "octets of e9 are in quarantine for nobody"),
]
QUARANTINE_STAYS = [
    ("DELETE FROM content", "the octets of e1-0 in quarantine are lost"),
    ("UPDATE content SET data = x'00'", "octets of e1 in quarantine are missing"),
]
TRAINING = [
    ("DELETE FROM total", "how much was learned is lost"),
    ("UPDATE total SET ham = -1", "less than nothing was learned"),
    ("UPDATE token SET spam = -1 WHERE id = 1", "words 1 were learned less often than never"),
    ("UPDATE lesson SET spam = 7", "it is not known what 'm1' was learned as"),
    ("INSERT INTO standing VALUES ('x', -1, 0, 1)", "less than nothing came from x"),
]
INDEX = [
    ("UPDATE state SET crc = crc + 1", "octets of the index have changed"),
    ("UPDATE piece SET crc = crc + 1", "octets of the index have changed"),
    ("DELETE FROM piece", "a piece of segment 1 is missing"),
    ("UPDATE text SET crc = crc + 1", "attachments of message 4 has changed"),
    ("INSERT INTO piece VALUES (99 << 24, 0, x'')", "pieces belong to no segment: 99"),
]
HARMS = [
    Harm(file, sql, says, mended)
    for file, mended, harms in (
        ("mail.db", True, MAIL),
        ("mail.db", False, MAIL_STAYS),
        ("directory.db", True, DIRECTORY),
        ("directory.db", False, DIRECTORY_STAYS),
        ("policy.db", True, POLICY),
        ("policy.db", False, [("UPDATE ban SET network = 'x'", "x are no networks")]),
        ("reports.db", True, REPORTS),
        ("reports.db", False, REPORTS_STAY),
        ("webhooks.db", True, WEBHOOKS),
        ("webhooks.db", False, [("UPDATE call SET body = x'ff'", "calls of crm have no JSON")]),
        ("alarms.db", True, [("UPDATE alarm SET count = 0", "the alarms name cannot be told")]),
        ("training.db", True, TRAINING),
        ("quarantine.db", True, QUARANTINE),
        ("quarantine.db", False, QUARANTINE_STAYS),
        ("index.db", True, INDEX),
        ("queue/0.db", True, [
            ("UPDATE entry SET next = 5", "its next try is wrong"),
            ("INSERT INTO body VALUES (99, x'00')", "octets 99 belong to no entry"),
            ("INSERT INTO answer VALUES (x'', 1, x'', x'')", "were told nothing"),
        ]),
        ("queue/0.db", False, [("DELETE FROM body", "its octets are missing")]),
    )
    for sql, says in harms
]  # fmt: skip


async def test_at_first_nothing_is_wrong(data: Path) -> None:
    async with opened(data) as store:
        assert await found(store) == []
        await store.repair()
        assert await found(store) == []


@pytest.mark.parametrize("harm_done", HARMS, ids=lambda one: f"{one.file} {one.sql}")
async def test_what_is_damaged_is_found_and_mended(data: Path, harm_done: Harm) -> None:
    harm(data, harm_done.file, harm_done.sql)
    async with opened(data) as store:
        before = [finding async for finding in store.check()]
        named = [finding for finding in before if harm_done.says in finding.what]
        assert named, [finding.what for finding in before]
        assert any(finding.mendable for finding in named) == harm_done.mended
        await store.repair()
        after = [finding async for finding in store.check()]
    if harm_done.mended:
        assert [finding for finding in after if finding.mendable] == []
    assert any(harm_done.says in finding.what for finding in after) != harm_done.mended


async def test_an_account_s_training_is_looked_at_too(data: Path) -> None:
    path = file_of(data / "accounts", "training.db")
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE token SET ham = -1")
    connection.close()
    async with opened(data) as store:
        [said] = await found(store)
        assert said.startswith("accounts/acc1/training.db: words 1, 2 were learned")
        await store.repair("acc1")
        assert await found(store) == []


def test_every_table_is_damaged_in_a_test() -> None:
    schemas = {
        "mail.db": schema.ACCOUNT,
        "directory.db": schema.DIRECTORY,
        "policy.db": schema.POLICY,
        "reports.db": schema.REPORTS,
        "webhooks.db": schema.WEBHOOKS,
        "alarms.db": schema.ALARMS,
        "training.db": schema.TRAINING,
        "quarantine.db": schema.QUARANTINE,
        "index.db": schema.INDEX,
        "queue/0.db": schema.QUEUE,
    }
    damaged = {
        (one.file, table) for one in HARMS for table in re.findall(r"(?:UPDATE|DELETE FROM|INSERT INTO) (\w+)", one.sql)
    }
    there = {(file, table) for file, text in schemas.items() for table in re.findall(r"CREATE TABLE (\w+)", text)}
    assert there - damaged == set(), "postroom check does not know these tables"


async def test_swept_mail_leaves_the_traits(tmp_path: Path) -> None:
    """Its texts at once; a block that holds nothing any more as a whole, but for the last."""
    async with opened(tmp_path / "data") as store:
        await store.create_account("acc1", [("INBOX", "")])
        account = await store.account("acc1")
        new = [message(envelope=ENVELOPE % (number, number)) for number in range(1, 1101)]
        await account.append(1, new)
        await complete(account, Pace(SystemClock()))
        gone = [*range(1, 513), 600, 1090]
        await account.expunge(1, gone, only_deleted=False)
        assert b"word 600" in b"".join(row.texts for row in await account.traits.rows([600], texts=True))
        await store.sweep(SettableClock().time + 86_400, 0.0)
        assert await account.traits.rows([1]) == []
        left = b"".join(row.texts + row.keys for row in await account.traits.rows([513, 1025], keys=True, texts=True))
        assert b"word 599" in left and b"word 1091" in left
        assert b"word 600" not in left and b"word 1090" not in left
        shelf = await shelf_of(account, [599, 601, 1100], Pace(SystemClock()), keys=True)
        assert [key.decode().lower() for key in shelf.keys(SUBJECT)] == ["word 599", "word 601", "word 1100"]
        assert [finding async for finding in store.check("acc1")] == []
        await account.expunge(1, uids(await account.snapshot(1)), only_deleted=False)
        await store.sweep(SettableClock().time + 86_400, 0.0)
        assert await account.traits.rows([513]) == []
        [last] = await account.traits.rows([1100], texts=True)
        assert b"word" not in last.texts
        await account.append(1, [message(envelope=ENVELOPE % (1, 1))])
        shelf = await shelf_of(account, [1101], Pace(SystemClock()), keys=True)
        assert len(shelf.keys(SUBJECT)) == 1
        assert [finding async for finding in store.check("acc1")] == []


async def test_repair_loses_no_mail(data: Path) -> None:
    """Whatever is lost of the tables around them, each message is still there to be read."""
    async with opened(data) as store:
        account = await store.account("acc1")
        inbox = await account.mailbox("INBOX")
        assert inbox is not None
        before = {row.message for row in rows(await account.snapshot(inbox.id))}
    harm(data, "mail.db", "DELETE FROM expunged; DELETE FROM extra; DELETE FROM life; DELETE FROM page WHERE id & 1")
    async with opened(data) as store:
        await store.repair()
        account = await store.account("acc1")
        assert await account.mailbox(FOUND) is None, "while a page cannot be read, nothing is known of its messages"
    harm(data, "mail.db", "DELETE FROM page; UPDATE mailbox SET tail = x'' WHERE name = 'INBOX'")
    async with opened(data) as store:
        await store.repair("acc1")
        assert [finding async for finding in store.check("acc1")] == []
        account = await store.account("acc1")
        rescued = await account.mailbox(FOUND)
        assert rescued is not None
        there = {row.message for row in rows(await account.snapshot(rescued.id))}
        assert before - there <= {row.message for row in rows(await account.snapshot(2))}
        for number in there:
            assert (await account.content(number)).size
        assert rescued.messages == len(there)


async def test_a_mailbox_can_be_used_after_repair(data: Path) -> None:
    """Clients that look again see what is there; new mail gets a new UID."""
    async with opened(data) as store:
        account = await store.account("acc1")
        before = await account.snapshot(1)
    harm(data, "mail.db", "UPDATE mailbox SET uidnext = 2, messages = 0, unseen = 0, size = 0 WHERE id = 1")
    async with opened(data) as store:
        await store.repair()
        account = await store.account("acc1")
        after = await account.snapshot(1)
        assert uids(after) == uids(before)
        assert after.modseq > before.modseq
        assert after.uidnext == max(uids(after)) + 1
        await account.append(1, [message()])
        assert await found(store) == []


async def test_an_index_of_a_table_is_made_anew(data: Path) -> None:
    """What SQLite finds different between a table and its index: here the index is another one's, of no rows."""
    harm(data, "directory.db", "CREATE INDEX empty ON token(account) WHERE 0; UPDATE version SET number = 9")
    connection = apsw.Connection(str(data / "directory.db"))
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    [(empty,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'empty'").fetchall()
    [(full,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'token_account'").fetchall()
    connection.execute("PRAGMA writable_schema = on")
    connection.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = 'token_account'", (empty,))
    connection.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = 'empty'", (full,))
    connection.close()
    async with opened(data) as store:
        before = [finding async for finding in store.check()]
        assert any("token_account" in finding.what for finding in before)
        assert all(finding.mendable for finding in before), before
        await store.repair()
        assert await found(store) == []
