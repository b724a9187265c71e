"""Bayes, scores, wishes and the verdict for each reader."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from postroom.config import Blocklist, BlocklistKind
from postroom.filter import bayes, rules
from postroom.filter.bayes import Base, opinion
from postroom.filter.judge import Judge, Judgement, Known, Reader, Sources
from postroom.filter.scoring import Act, Reason, Score, Thresholds
from postroom.filter.seen import see
from postroom.filter.tokens import tokens
from postroom.filter.wishes import Sender, Wishes, matches
from postroom.mailauth.zone import ZoneData
from postroom.policy.blocklists import Blocklists, address_digest, file_digest
from postroom.store.api import (
    EVERYBODY,
    AccountRow,
    Charge,
    Contact,
    Demand,
    DomainRow,
    FilterRow,
    Lesson,
    Per,
)
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content

SPAM_WORDS = "pills casino winner bonus cheap click lottery prize miracle offer credit debt free".split()  # noqa: SIM905
HAM_WORDS = "meeting invoice project lunch report agenda contract review minutes budget team draft plan".split()  # noqa: SIM905
NOW = 1_700_000_000.0
ANN, BEN = Reader("ann@example.org", "acc1"), Reader("ben@example.org", "acc2")


def mail(words: list[str], sender: str = "x@far.test") -> Content:
    text = f"From: {sender}\r\nTo: ann@example.org\r\nSubject: hi there\r\nMessage-ID: <1@far.test>\r\n"
    return Content.of(f"{text}Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\n{' '.join(words)}\r\n".encode())


def lesson(number: int, words: list[str], spam: bool) -> Lesson:
    return Lesson(id=f"{spam}{number}", tokens=tuple(tokens(see(mail(words)))), spam=spam)


async def trained(account: str = EVERYBODY, store: MemoryStore | None = None, *, turned: bool = False) -> MemoryStore:
    """turned: what others take for spam is wanted."""
    store = store or MemoryStore(clock=SettableClock(NOW))
    chance = random.Random(5)
    lessons = []
    for number in range(60):
        lessons.append(lesson(number, chance.sample(SPAM_WORDS, 8), not turned))
        lessons.append(lesson(number, chance.sample(HAM_WORDS, 8), turned))
    await store.training.learn(account, lessons, NOW)
    return store


def judge(store: MemoryStore, zone: dict[str, object] | None = None, **thresholds: float) -> Judge:
    lists = [Blocklist(zone="bl.test", kind=BlocklistKind.URL)] if zone is not None else []
    blocklists = Blocklists(ZoneData(zone or {}), lists, SettableClock(), lambda name, /, **fields: None)
    return Judge(
        Sources(
            training=store.training,
            limits=store.limits,
            directory=store.directory,
            blocklists=blocklists,
            rules=rules.load([rules.built_in()]),
            accounts=store.account,
            thresholds=Thresholds(**thresholds) if thresholds else Thresholds(),
        )
    )


def reasons(found: Judgement) -> set[str]:
    return {reason.name for score in (found.score, *found.scores) for reason in score.reasons}


def test_words_of_both_kinds_say_nothing() -> None:
    base = Base(100, 100, [(50, 50), (0, 0), (10, 10)])
    found = opinion(base)
    assert found is not None
    assert found.probability == 0.5
    assert bayes.points(found) == 0


def test_without_training_there_is_no_opinion() -> None:
    assert opinion(Base(bayes.LEAST - 1, 500, [(10, 0)])) is None
    assert opinion(Base(500, bayes.LEAST - 1, [(10, 0)])) is None


def test_telling_words_add_up_and_contradictions_do_not() -> None:
    few = opinion(Base(100, 100, [(90, 0)] * 3))
    sure = opinion(Base(100, 100, [(90, 0)] * 20))
    torn = opinion(Base(100, 100, [(90, 0)] * 10 + [(0, 90)] * 10))
    assert few is not None
    assert sure is not None
    assert torn is not None
    assert sure.probability > 0.99
    assert 0 < bayes.points(few) < bayes.points(sure) == bayes.MOST_AGAINST
    assert bayes.points(torn) == 0
    many = opinion(Base(10_000, 10_000, [(9000, 0)] * 400))
    assert many is not None
    assert many.probability > 0.99


def test_once_in_the_kind_of_which_little_was_learned_says_more() -> None:
    seldom = opinion(Base(100, 10_000, [(1, 0)] * 20))
    often = opinion(Base(100, 10_000, [(0, 1)] * 20))
    assert seldom is not None
    assert often is not None
    assert seldom.leaning > 2 * -often.leaning > 0


def test_points_grow_with_the_leaning() -> None:
    worth = [bayes.points(bayes.Opinion(leaning / 100, 40)) for leaning in range(-800, 801)]
    assert worth == sorted(worth)
    assert worth[0] == bayes.MOST_FOR < 0 < worth[-1] == bayes.MOST_AGAINST


async def test_learned_words_decide() -> None:
    store = await trained()
    chance = random.Random(9)
    spam = await judge(store).judge(mail(chance.sample(SPAM_WORDS, 9)), Known(ip="192.0.2.1", now=NOW), [ANN])
    ham = await judge(store).judge(mail(chance.sample(HAM_WORDS, 9)), Known(ip="192.0.2.1", now=NOW), [ANN])
    assert ham.scores[0].points < 0
    assert spam.scores[0].points > 3
    assert "WORDS" in reasons(spam)


async def test_own_training_weighs_more_than_that_of_all() -> None:
    store = await trained()
    await store.create_account("acc1", [("INBOX", "")])
    await store.create_account("acc2", [("INBOX", "")])
    await trained("acc1", store, turned=True)
    found = await judge(store).judge(mail(SPAM_WORDS[:9]), Known(ip="192.0.2.1", now=NOW), [ANN, BEN])
    assert found.scores[0].points < 0 < found.scores[1].points


async def wishes(*rows: FilterRow) -> MemoryStore:
    store = MemoryStore(clock=SettableClock(NOW))
    await store.directory.put_domain(DomainRow(name="example.org", created=0))
    for row in rows:
        await store.directory.put_wishes(row)
    return store


async def test_allowing_believes_proof_only_and_blocking_believes_claims() -> None:
    store = await wishes(
        FilterRow(owner="ann@example.org", allow=("far.test",)), FilterRow(owner="example.org", block=("far.test",))
    )
    content = mail(["hello"])
    proven = await judge(store).judge(content, Known(ip="", now=NOW, author="x@far.test"), [ANN, BEN])
    assert proven.acts == (Act.ACCEPT, Act.REFUSE)
    claimed = await judge(store).judge(content, Known(ip="", now=NOW), [ANN, BEN])
    assert claimed.acts == (Act.REFUSE, Act.REFUSE)
    assert claimed.refused
    assert not proven.refused


async def test_thresholds_of_person_domain_and_server() -> None:
    store = await wishes(FilterRow(owner="ann@example.org", junk=0.0), FilterRow(owner="example.org", junk=1.0))
    finding = (Reason("X", 2.0, "x"),)
    found = await judge(store).judge(mail(["hello"] * 9), Known(ip="", now=NOW, findings=finding), [ANN, BEN])
    assert found.acts == (Act.ACCEPT, Act.JUNK)
    other = await judge(await wishes()).judge(mail(["hello"] * 9), Known(ip="", now=NOW, findings=finding), [ANN])
    assert other.acts == (Act.ACCEPT,)
    off = await wishes(FilterRow(owner="example.org", off=True, block=("far.test",)))
    assert (await judge(off).judge(mail(["x"]), Known(ip="", now=NOW), [ANN])).acts == (Act.ACCEPT,)


async def test_whom_the_reader_has_written_to_is_known() -> None:
    store = MemoryStore(clock=SettableClock(NOW))
    charge = Charge(name="acc1", kind="day", per=Per.NEW, limit=0, window=60)
    await store.limits.take(Demand(account="acc1", recipients=("x@far.test",), charges=(charge,)), NOW)
    known = Known(ip="", now=NOW, author="x@far.test")
    found = await judge(store).judge(mail(["hello"]), known, [ANN, BEN])
    assert found.scores[0].points <= found.scores[1].points - 6
    unproven = await judge(store).judge(mail(["hello"]), Known(ip="", now=NOW), [ANN])
    assert "CORRESPONDENT" not in reasons(unproven)


async def test_who_is_in_the_readers_address_book_is_known() -> None:
    store = MemoryStore(clock=SettableClock(NOW))
    await store.create_account("acc1", [("INBOX", "")])
    await (await store.account("acc1")).contacts.put([Contact("x@far.test", "X")])
    ann = replace(ANN, contacts=True)
    known = Known(ip="", now=NOW, author="x@far.test")
    found = await judge(store).judge(mail(["hello"]), known, [ann, BEN, ANN])
    assert found.scores[0].points == found.scores[1].points - 8
    assert found.scores[2].points == found.scores[1].points, "nobody looks where there is no book"
    assert "x@far.test is in the address book of ann@example.org" in found.scores[0].words()
    forged = await judge(store).judge(mail(["hello"]), Known(ip="", now=NOW, sender="x@far.test"), [ann])
    assert "CONTACT" not in reasons(forged)
    gone = await judge(store).judge(mail(["hello"]), known, [Reader("eve@example.org", "nobody", True)])
    assert "CONTACT" not in reasons(gone)
    charge = Charge(name="acc1", kind="day", per=Per.NEW, limit=0, window=60)
    await store.limits.take(Demand(account="acc1", recipients=("x@far.test",), charges=(charge,)), NOW)
    both = await judge(store).judge(mail(["hello"]), known, [ann])
    assert both.scores[0].points == found.scores[0].points, "it counts once"


async def test_answers_to_what_the_reader_sent_are_known() -> None:
    store = MemoryStore(clock=SettableClock(NOW))
    sent = Demand(account="acc1", recipients=("x@far.test",), charges=(), message_id="our.7@example.org")
    await store.limits.take(sent, NOW)

    async def said(*fields: str) -> list[str]:
        octets = "\r\n".join(["From: X <y@other.test>", "Subject: hello", *fields, "", "hello", ""]).encode()
        return reasons(await judge(store).judge(Content.of(octets), Known(ip="", now=NOW), [ANN]))

    assert "ANSWER" in await said("In-Reply-To: <our.7@example.org>")
    assert "ANSWER" in await said("References: <a@b.test>", " <our.7@example.org> <c@d.test>")
    assert "ANSWER" not in await said("In-Reply-To: <our.8@example.org>")
    assert "ANSWER" not in await said("References: our.7@example.org")
    assert "ANSWER" not in await said("References: <our.7@example.org>" + " <filler@x.test>" * 400)
    ben = await judge(store).judge(
        Content.of(b"In-Reply-To: <our.7@example.org>\r\n\r\nx"), Known(ip="", now=NOW), [BEN]
    )
    assert "ANSWER" not in reasons(ben)


async def test_listed_addresses_and_files() -> None:
    octets = (
        b"From: A <a@far.test>\r\nReply-To: prince@bad.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwrite to Second@Bad.test, or not.\r\n"
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b"\r\naGVsbG8=\r\n--b--\r\n"
    )

    async def said(zone: dict[str, object], kind: BlocklistKind) -> list[Reason]:
        lists = [Blocklist(zone="bl.test", kind=kind)]
        blocklists = Blocklists(ZoneData(zone), lists, SettableClock(), lambda name, /, **fields: None)
        one = judge(MemoryStore(clock=SettableClock(NOW)))
        one = Judge(replace(one._sources, blocklists=blocklists))
        found = await one.judge(Content.of(octets), Known(ip="", now=NOW, sender="env@far.test"), [ANN])
        return [each for each in found.score.reasons if each.name.endswith("_LISTED")]

    for address in ("prince@bad.test", "second@bad.test", "a@far.test", "env@far.test"):
        found = await said({f"{address_digest(address)}.bl.test": {"A": ["127.0.0.2"]}}, BlocklistKind.EMAIL)
        assert [(one.name, one.points) for one in found] == [("ADDRESS_LISTED", 3.0)], address
        assert f"{address} is listed by bl.test" in found[0].text
    file = {f"{file_digest(b'hello')}.bl.test": {"A": ["127.0.0.2"]}}
    found = await said(file, BlocklistKind.FILE)
    assert [(one.name, one.points) for one in found] == [("FILE_LISTED", 5.0)]
    assert "a.pdf is listed" in found[0].text
    assert await said(file, BlocklistKind.EMAIL) == []
    assert await said({}, BlocklistKind.FILE) == []


async def test_standing_of_network_and_proven_domain() -> None:
    store = MemoryStore(clock=SettableClock(NOW))
    for _ in range(12):
        await store.training.rate(["network:192.0.2.0/24"], 0.0, 1.0, NOW)
        await store.training.rate(["domain:far.test"], 1.0, 0.0, NOW)
    bad = await judge(store).judge(mail(["x"]), Known(ip="192.0.2.77", now=NOW), [ANN])
    assert "STANDING_NETWORK" in reasons(bad)
    good = await judge(store).judge(mail(["x"]), Known(ip="198.51.100.1", now=NOW, author="a@far.test"), [ANN])
    assert "STANDING_DOMAIN" in reasons(good)
    assert good.score.points < bad.score.points


async def test_hosts_of_links_are_looked_up() -> None:
    zone = {"test.bl.test": {"A": ["127.0.0.2"]}, "listed.example.bl.test": {"A": ["127.0.0.2"]}}
    store = MemoryStore(clock=SettableClock(NOW))
    found = await judge(store, zone).judge(mail(["see", "http://www.listed.example/x"]), Known(ip="", now=NOW), [ANN])
    assert "LINK_LISTED" in reasons(found)
    other = await judge(store, zone).judge(mail(["see", "http://fine.example/x"]), Known(ip="", now=NOW), [ANN])
    assert "LINK_LISTED" not in reasons(other)


@pytest.mark.parametrize(
    ("pattern", "address", "is_it"),
    [
        ("a@b.test", "a@b.test", True),
        ("a@b.test", "c@b.test", False),
        ("b.test", "a@b.test", True),
        ("b.test", "a@x.b.test", True),
        ("b.test", "a@ab.test", False),
        ("@b.test", "a@b.test", True),
        ("@b.test", "a@x.b.test", False),
    ],
)
def test_patterns(pattern: str, address: str, is_it: bool) -> None:
    assert matches(pattern, address) is is_it


ADDRESS, EXACT, DOMAIN, NET = "x@far.test", "@far.test", "far.test", "192.0.2.0/24"


@pytest.mark.parametrize(
    ("allow", "block", "wanted"),
    [
        ((), (), None),
        ((DOMAIN,), (), True),
        ((), (DOMAIN,), False),
        ((DOMAIN,), (ADDRESS,), False),  # the narrowest of one owner counts
        ((ADDRESS,), (DOMAIN,), True),
        ((EXACT,), (ADDRESS,), False),
        ((EXACT,), (DOMAIN,), True),
        (("test",), (DOMAIN,), False),
        ((NET,), (DOMAIN,), False),
        ((DOMAIN,), (NET,), True),
        ((NET,), ("192.0.0.0/16",), True),
        (("192.0.0.0/16",), ("192.0.2.1/32",), False),
        ((DOMAIN,), (DOMAIN,), True),
        (("other.test",), ("192.0.3.0/24",), None),
        (("2001:db8::/32",), (), None),
    ],
)
def test_precedence_of_one_owners_patterns(allow: tuple[str, ...], block: tuple[str, ...], wanted: bool | None) -> None:
    found = Wishes((FilterRow(owner="ann@example.org", allow=allow, block=block),))
    reasons = found.reasons(Sender(("x@far.test",), ("x@far.test",), "192.0.2.1"))
    assert [reason.name for reason in reasons] == {None: [], True: ["ALLOWED"], False: ["BLOCKED"]}[wanted]


def test_a_persons_word_counts_before_the_domains() -> None:
    person = FilterRow(owner="ann@example.org", allow=("test",))
    domain = FilterRow(owner="example.org", block=(ADDRESS,))
    sender = Sender(("x@far.test",), ("x@far.test",), "192.0.2.1")
    assert [one.name for one in Wishes((person, domain)).reasons(sender)] == ["ALLOWED"]
    assert [one.name for one in Wishes((domain,)).reasons(sender)] == ["BLOCKED"]


def test_the_network_is_proof_and_the_envelope_a_claim() -> None:
    network = Wishes((FilterRow(owner="a", allow=("2001:db8::/32",)),))
    assert network.reasons(Sender((), ("x@far.test",), "2001:db8::1"))
    assert not network.reasons(Sender((), ("x@far.test",), "2001:db9::1"))
    assert not network.reasons(Sender((), ("x@far.test",), "no address"))
    blocked = Wishes((FilterRow(owner="a", block=("bounce@far.test",), allow=("envelope.test",)),))
    assert blocked.reasons(Sender((), ("x@else.test", "bounce@far.test")))
    assert not blocked.reasons(Sender((), ("x@envelope.test",)))
    idn = Wishes((FilterRow(owner="a", block=("xn--bcher-kva.test",)),))
    assert idn.reasons(Sender((), ("x@B\u00dcCHER.test",)))


async def test_what_only_some_refuse_is_set_apart_for_them() -> None:
    rows = (
        FilterRow(owner="ann@example.org", block=("far.test",), quarantine=8.0),
        FilterRow(owner="ben@example.org", block=("far.test",)),
    )
    three = Reader("cleo@example.org", "acc3")
    found = await judge(await wishes(*rows)).judge(mail(["x"]), Known(ip="", now=NOW), [ANN, BEN, three])
    assert found.acts == (Act.REFUSE, Act.REFUSE, Act.ACCEPT)
    assert found.fates() == (Act.QUARANTINE, Act.JUNK, Act.ACCEPT)
    alone = await judge(await wishes(*rows)).judge(mail(["x"]), Known(ip="", now=NOW), [ANN])
    assert alone.fates() == (Act.REFUSE,)


async def test_an_account_of_the_directory_is_not_needed() -> None:
    store = MemoryStore(clock=SettableClock(NOW))
    await store.directory.put_domain(DomainRow(name="example.org", created=0))
    await store.directory.put_account(AccountRow(id="acc1", login="ann@example.org", created=0))
    found = await judge(store).judge(mail(["x"]), Known(ip="not an address", now=NOW), [ANN, BEN])
    assert len(found.acts) == 2


def test_scores_tell_the_heaviest_first() -> None:
    found = Score.of([Reason("A", 1.0, "one"), Reason("B", -3.0, "two"), Reason("C", 0.0, "three")])
    assert found.points == -2.0
    assert found.words() == "two (-3.0); one (+1.0)"
    assert Score.of([]).words() == "nothing was found"
