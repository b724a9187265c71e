"""Mail sorted by scripts at delivery: filed, passed on, answered, refused; once, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sorting_house import BOB, EVE, MAIL, House

from postroom.delivery.refusing import Refuses
from postroom.identity.model import Found
from postroom.mailbox.service import Account
from postroom.store.api import (
    AccountRow,
    Demand,
    Entry,
    NewEntry,
    NewRecipient,
    QueueFilter,
    StoreUnavailable,
    Taken,
)
from postroom.values.content import Content
from postroom.values.flags import FLAGGED, SEEN
from postroom.values.refusal import Refusal


async def test_without_a_script_nothing_changes(house: House) -> None:
    await house.arrive()
    assert await house.where() == {"INBOX": 1}
    assert "message.sorted" not in house.events.names()


async def test_filed_with_flags_into_several_mailboxes(house: House) -> None:
    await house.script(
        'require ["fileinto", "imap4flags", "mailbox", "special-use", "copy"];'
        'fileinto :flags ["\\\\Seen", "$Work"] "Lists"; fileinto :create "A/B"; setflag "\\\\Flagged";'
        'fileinto :specialuse "\\\\Junk" "nowhere"; keep;'
    )
    number = await house.arrive(keywords=("$hasnoattachment",))
    boxes = await house.boxes()
    assert set(boxes) == {"Lists", "A/B", "Junk", "INBOX"}
    assert boxes["Lists"][0][:2] == (SEEN, {"$Work", "$hasnoattachment"})
    assert boxes["A/B"][0][:2] == (0, {"$hasnoattachment"})
    assert boxes["INBOX"][0][0] == boxes["Junk"][0][0] == FLAGGED
    assert boxes["INBOX"][0][2] == b"Return-Path: <ann@far.test>\r\nDelivered-To: bob@here.test\r\n" + MAIL
    (told,) = house.events.of("message.delivered")
    assert (told["mailbox"], told["queue_id"]) == ("Lists", number)
    (told,) = house.events.of("message.sorted")
    assert told["actions"][0] == 'fileinto "Lists" flags \\Seen $Work'


async def test_the_implicit_keep_leaves_junk_where_junk_goes(house: House) -> None:
    await house.script('require "fileinto"; if header :contains "subject" "nothing" { fileinto "Lists"; }')
    await house.arrive(junk=True, keywords=("$Junk",))
    assert await house.where() == {"Junk": 1}


async def test_discarded_mail_is_delivered_nowhere(house: House) -> None:
    await house.script("discard;")
    await house.arrive()
    assert await house.where() == {}
    assert house.events.of("message.delivered")[0]["reply"] == "Discarded by the filter"


async def test_mail_that_is_passed_on(house: House) -> None:
    await house.script('require "copy"; redirect "x@away.test"; redirect :copy "eve@here.test";')
    await house.arrive()
    assert await house.where() == {}
    (entry,) = house.left
    assert (entry.sender, entry.recipients[0].forwarder) == ("ann@far.test", "bob@here.test")
    assert entry.content.read() == b"Delivered-To: bob@here.test\r\n" + MAIL
    account = await house.store.account(EVE.id)
    assert (await account.mailbox("INBOX")).messages == 1


async def test_the_empty_sender_and_senders_of_ours_stay(house: House) -> None:
    await house.script('redirect "x@away.test";')
    await house.arrive(sender="")
    await house.arrive(sender="eve@here.test")
    assert [(entry.sender, entry.recipients[0].forwarder) for entry in house.left] == [("", ""), ("eve@here.test", "")]


async def test_what_has_been_here_is_not_passed_on_again(house: House) -> None:
    await house.script('redirect "x@away.test";')
    await house.arrive(b"Delivered-To: bob@here.test\r\n" + MAIL)
    assert house.left == [] and await house.where() == {"INBOX": 1}
    await house.arrive(b"Delivered-To: eve@here.test\r\n" + MAIL)
    assert len(house.left) == 1


async def test_an_unknown_address_of_ours_keeps_the_mail(house: House) -> None:
    await house.script('redirect "nobody@here.test";')
    await house.arrive()
    assert await house.where() == {"INBOX": 2}  # and why


async def test_changes_of_the_header_belong_to_later_actions(house: House) -> None:
    await house.script(
        'require ["editheader", "fileinto", "copy"]; fileinto "Lists"; addheader "X-Sorted" "yes"; keep;'
        'redirect "x@away.test";'
    )
    await house.arrive()
    boxes = await house.boxes()
    assert b"X-Sorted" not in boxes["Lists"][0][2]
    assert boxes["INBOX"][0][2].startswith(b"X-Sorted: yes\r\nReturn-Path:")
    (sent,) = house.sent()
    assert sent.startswith(b"Delivered-To: bob@here.test\r\nX-Sorted: yes\r\n")


async def test_vacation_answers_once_in_its_time(house: House) -> None:
    await house.script('require "vacation"; vacation :days 2 :subject "Weg" "Bin im Urlaub. Grüße";')
    await house.arrive()
    await house.arrive()
    await house.arrive(sender="ben@far.test")
    assert [entry.recipients[0].address for entry in house.left] == ["ann@far.test", "ben@far.test"]
    assert {entry.sender for entry in house.left} == {""}
    assert house.left[0].recipients[0].notify == "NEVER"
    first = house.sent()[0].decode()
    for line in (
        "From: Bob <bob@here.test>",
        "To: ann@far.test",
        "Subject: Weg",
        "Auto-Submitted: auto-replied (vacation)",
        "In-Reply-To: <1@far.test>",
        "References: <0@far.test> <1@far.test>",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000",
    ):
        assert f"{line}\r\n" in first
    assert "Bin im Urlaub." in first
    assert await house.where() == {"INBOX": 3}
    house.clock.time += 2 * 86400 + 1
    await house.arrive()
    assert len(house.left) == 3


@pytest.mark.parametrize(
    ("field", "sender"),
    [
        (b"List-Id: <x.far.test>\r\n", "ann@far.test"),
        (b"Auto-Submitted: auto-replied\r\n", "ann@far.test"),
        (b"Precedence: bulk\r\n", "ann@far.test"),
        (b"", ""),
        (b"", "owner-list@far.test"),
        (b"", "MAILER-DAEMON@far.test"),
        (b"", "bob@here.test"),
    ],
)
async def test_whom_vacation_does_not_answer(house: House, field: bytes, sender: str) -> None:
    await house.script('require "vacation"; vacation "away";')
    await house.arrive(field + MAIL, sender=sender)
    assert house.left == [] and await house.where() == {"INBOX": 1}
    assert "sieve.withheld" in house.events.names()


async def test_vacation_answers_what_is_addressed_to_the_user_only(house: House) -> None:
    await house.script('require "vacation"; vacation :addresses "robert@old.test" "away";')
    for number, (to, answered) in enumerate(
        [("other@far.test", False), ("bob+x@here.test", True), ("robert@old.test", True), ("info@here.test", True)]
    ):
        before = len(house.left)
        await house.arrive(MAIL.replace(b"To: bob@here.test", f"To: {to}".encode()), sender=f"s{number}@far.test")
        assert (len(house.left) > before) == answered, to


async def test_a_copy_of_the_answer(house: House) -> None:
    await house.script('require ["vacation", "fcc"]; vacation :fcc "Sent" "away";')
    await house.arrive()
    boxes = await house.boxes()
    assert b"Auto-Submitted: auto-replied" in boxes["Sent"][0][2] and boxes["Sent"][0][0] == SEEN


async def test_notify(house: House) -> None:
    await house.script('require "enotify"; notify :importance "1" :message "New: x" "mailto:sms@far.test?body=look";')
    await house.arrive()
    (sent,) = house.sent()
    for line in (
        b"To: sms@far.test",
        b"Subject: New: x",
        b'Auto-Submitted: auto-notified; owner-email="bob@here.test"',
    ):
        assert line + b"\r\n" in sent
    assert sent.endswith(b"\r\n\r\nlook\r\n") and await house.where() == {"INBOX": 1}
    await house.arrive(b"Auto-Submitted: auto-notified\r\n" + MAIL)
    assert len(house.left) == 1


async def test_reject_gives_the_mail_back(house: House) -> None:
    await house.script('require "reject"; reject "Kein Platz für Grüße";')
    await house.arrive()
    (sent,) = house.sent()
    assert b"report-type=disposition-notification" in sent
    assert b"Disposition: automatic-action/MDN-sent-automatically; deleted\r\n" in sent
    assert b"Original-Message-ID: <1@far.test>\r\n" in sent and b"From: Ann <ann@far.test>" in sent
    assert house.left[0].sender == "" and await house.where() == {}
    await house.arrive(sender="")
    assert len(house.left) == 1


async def test_ereject_is_a_failure_with_the_reason(house: House) -> None:
    await house.script('require "ereject"; ereject "No room";')
    await house.arrive()
    (sent,) = house.sent()
    assert b"report-type=delivery-status" in sent and b"No room" in sent and b"5.7.1" in sent
    assert b"The recipient's own mail filter refused it" in sent and b"The other server" not in sent
    assert await house.where() == {}


async def test_an_error_keeps_the_mail_and_tells_the_user_once(house: House) -> None:
    await house.script('require "fileinto";\nfileinto "Nowhere";')
    await house.arrive()
    await house.arrive()
    boxes = await house.boxes()
    assert set(boxes) == {"INBOX"} and len(boxes["INBOX"]) == 3
    notices = [octets for _, _, octets in boxes["INBOX"] if b"Your mail filter has an error" in octets]
    assert len(notices) == 1 and b"Nowhere" in notices[0]
    await house.script("fileinto")
    await house.arrive()
    assert len((await house.boxes())["INBOX"]) == 5


async def test_duplicates(house: House) -> None:
    await house.script('require "duplicate"; if duplicate { discard; }')
    await house.arrive()
    await house.arrive()
    await house.arrive(MAIL.replace(b"<1@", b"<2@"))
    assert await house.where() == {"INBOX": 2}


async def test_what_a_script_asks_of_the_account(house: House) -> None:
    await house.script(
        'require ["mailbox", "special-use", "environment", "fileinto", "variables", "date", "include"];'
        'if allof (mailboxexists "Lists", not mailboxexists "Nowhere", specialuse_exists "\\\\Junk",'
        '  environment "name" "postroom", currentdate "year" "2027") { include "other"; }'
    )
    account = await house.store.account(BOB.id)
    await account.filters.put_script("other", b'require "fileinto"; fileinto "Lists";')
    await house.arrive()
    assert await house.where() == {"Lists": 1}
    await account.filters.put_script("other", b"discard;")  # the one that is active was compiled with it
    await house.arrive()
    assert await house.where() == {"Lists": 1}


async def test_what_an_included_script_asks_of_the_account(house: House) -> None:
    """It is asked for with the script that includes it."""
    account = await house.store.account(BOB.id)
    other = 'require ["mailbox", "duplicate"]; if anyof (not mailboxexists "Lists", duplicate) { discard; }'
    await account.filters.put_script("other", other.encode())
    await house.script('require "include"; include "other";')
    await house.arrive()
    await house.arrive()
    assert await house.where() == {"INBOX": 1}


async def test_long_scripts_run_in_a_thread(house: House) -> None:
    await house.script('require ["body", "fileinto"];' + 'if body :contains "nothing" { discard; }' * 3000 + "keep;")
    await house.arrive(MAIL + b"x" * 3000)
    assert await house.where() == {"INBOX": 1}
    assert house.events.of("message.sorted")[0]["reason"] == ""


async def test_delivered_again_nothing_happens_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's commit fails after everything has left; the delivery is tried again."""
    await house.script('require ["vacation", "copy"]; redirect :copy "x@away.test"; vacation "away"; keep;')
    broken, kept = [True], Account.file

    async def failing(account: Account, *given, **named):
        if broken:
            raise StoreUnavailable("disk full")
        return await kept(account, *given, **named)

    monkeypatch.setattr(Account, "file", failing)
    await house.arrive()
    assert await house.where() == {} and len(house.left) == 2
    broken.clear()
    house.clock.time += 3600
    await house.queue._take_due()
    await house.delivery.settled()
    assert await house.where() == {"INBOX": 1}
    waiting = await house.store.queue.entries(QueueFilter())
    assert sorted(each.recipients[0].address for each in waiting) == ["ann@far.test", "x@away.test"]


async def test_a_full_account_waits(house: House) -> None:
    await house.store.directory.put_account(replace(BOB, quota=10))
    await house.script("keep;")
    await house.arrive()
    assert house.events.of("message.deferred")[0]["status"] == "4.2.2"


async def test_refused_before_it_is_accepted(house: House) -> None:
    assert house.delivery.sorter is not None
    refuses = Refuses(house.delivery.sorter, house.mailboxes, house.find)

    async def asked(script: str, to: str = "bob@here.test", content: bytes = MAIL) -> str:
        await house.script(script)
        recipients = (NewRecipient(address=to, route="local"),)
        new = NewEntry(id="q", sender="ann@far.test", recipients=recipients, content=Content.of(content), received=1.0)
        return await refuses(new)

    only = 'require ["ereject", "envelope"]; if envelope "from" "ann@far.test" { ereject "Not from you"; }'
    assert await asked(only) == "Not from you"
    assert await asked(only, to="eve@here.test") == ""
    assert await asked('require "reject"; reject "No";') == "No"
    assert await asked('require "reject"; reject "Kein Platz für Grüße";') == ""
    assert "filter refuses" in await asked('require "ereject"; ereject "Kein Platz für Grüße";')
    assert await asked('require "ereject"; if header "subject" "x" { ereject "a"; }') == ""
    assert await asked("discard;") == ""
    assert await house.where() == {} and house.left == []


async def test_spamtest_knows_the_score_of_our_own_filter(house: House) -> None:
    await house.script(
        'require ["spamtestplus", "relational", "comparator-i;ascii-numeric", "fileinto"];'
        'if spamtest :value "ge" :comparator "i;ascii-numeric" "5" { fileinto "Junk"; }'
        'elsif spamtest :count "eq" :comparator "i;ascii-numeric" "0" { fileinto "Lists"; }'
    )
    field = b"X-Spam-Status: %b, score=%b required=5.0\r\n tests=X\r\n"
    await house.arrive(b"Received: by here\r\n" + field % (b"Yes", b"7.5") + MAIL)
    await house.arrive(b"Received: by here\r\n" + field % (b"No", b"-2.0") + MAIL)
    await house.arrive(b"Received: by here\r\nReceived: from there\r\n" + field % (b"Yes", b"7.5") + MAIL)
    assert await house.where() == {"Junk": 1, "INBOX": 1, "Lists": 1}


class Limited:
    """Limits on what leaves (policy.outgoing), as they are told."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: list[tuple[str, ...]] = []
        self.given_back = 0

    async def automatic(self, account: AccountRow, recipients: Sequence[str], message_id: str = "") -> Taken | None:
        assert account == BOB
        self.asked.append(tuple(recipients))
        if not recipients:
            return None
        if not self.left:
            raise Refusal(450, "4.7.1", "bob@here.test may send 1 message an hour", reason="secret")
        self.left -= 1
        return Taken(demand=Demand(account="", recipients=(), charges=()), at=0.0, amounts=(), fresh=())

    async def give_back(self, _taken: Taken) -> None:
        self.given_back += 1


async def test_what_scripts_send_counts(house: House) -> None:
    """Above the limit mail is kept, nothing is lost, and the trace says why."""
    limits = house.sorter.outgoing.limits = Limited(1)
    await house.script('redirect "carol@far.test";')
    await house.arrive()
    assert await house.where() == {} and len(house.left) == 1
    number = await house.arrive()
    assert await house.where() == {"INBOX": 1} and len(house.left) == 1
    told = house.events.of("sieve.withheld")
    assert [each["queue_id"] for each in told] == [number]
    assert "not passed on to carol@far.test: bob@here.test may send 1 message an hour" in str(told[0]["reason"])
    await house.script('redirect "eve@here.test";')
    await house.arrive()
    assert limits.asked[-1] == ()  # mail inside is free
    assert limits.left == 0


async def test_answers_and_notifications_count(house: House) -> None:
    house.sorter.outgoing.limits = Limited(0)
    await house.script('require ["vacation", "enotify"]; vacation "away"; notify "mailto:carol@far.test";')
    await house.arrive()
    assert await house.where() == {"INBOX": 1} and house.left == []
    reasons = [str(each["reason"]) for each in house.events.of("sieve.withheld")]
    assert [each.partition(":")[0] for each in reasons] == ["no vacation answer to ann@far.test", "no notification"]


async def test_what_was_not_accepted_is_not_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = house.sorter.outgoing.limits = Limited(5)
    await house.script('redirect "carol@far.test";')
    real, fails = house.queue.accept, iter([False, True])

    async def accept(entry: NewEntry) -> Entry:
        if next(fails, False):
            raise StoreUnavailable("the disk is full")
        return await real(entry)

    monkeypatch.setattr(house.queue, "accept", accept)
    await house.arrive()
    assert limits.given_back == 1 and house.left == []


async def test_a_copy_of_the_answer_is_not_taken_for_the_message(house: House) -> None:
    await house.script('require ["vacation", "fcc"]; vacation :fcc "Lists" "Away";')
    await house.arrive(sender="first@far.test", content=MAIL)
    await house.arrive(sender="first@far.test", content=MAIL)
    await house.arrive(sender="second@far.test", content=MAIL)
    told = house.events.of("message.delivered")
    assert [(one["mailbox"], one["uid"]) for one in told] == [("INBOX", 1), ("INBOX", 2), ("INBOX", 3)]


async def test_who_redirects_to_an_unknown_address_of_ours_is_told_once(house: House) -> None:
    await house.script('redirect "nobody@here.test";')
    await house.arrive()
    await house.arrive()
    inbox = [octets for _, _, octets in (await house.boxes())["INBOX"]]
    notices = [octets for octets in inbox if b"Your mail filter has an error" in octets]
    assert len(inbox) == 3 and len(notices) == 1
    assert b"nobody@here.test: there is no such address here" in b" ".join(notices[0].split())


@pytest.mark.parametrize(
    ("script", "passed_on", "reports"),
    [
        ('redirect "x@away.test";', ["SUCCESS,FAILURE"], 0),
        ('require "vacation"; vacation "Away"; redirect "x@away.test";', ["NEVER", "SUCCESS,FAILURE"], 0),
        ('require "copy"; redirect :copy "x@away.test";', ["FAILURE"], 1),
        ('redirect "x@away.test"; redirect "y@away.test";', ["FAILURE", "FAILURE"], 1),
    ],
)
async def test_a_sender_hears_of_one_delivery(house: House, script: str, passed_on: list[str], reports: int) -> None:
    """RFC 3461 5.2.7: an address that stands for another hands the wish on; otherwise we tell ourselves."""
    await house.script(script)
    await house.queue.accept(
        NewEntry(
            id="q1",
            sender="ann@far.test",
            recipients=(NewRecipient(address="bob@here.test", route="local", notify="SUCCESS,FAILURE"),),
            content=Content.of(MAIL),
            received=house.clock.now(),
        )
    )
    await house.delivery.settled()
    told = [entry for entry in house.left if b"report-type=delivery-status" in entry.content.read()]
    assert len(told) == reports
    assert [entry.recipients[0].notify for entry in house.left if entry not in told] == passed_on


async def test_lists_may_be_told_of_programs_may_not(house: House) -> None:
    await house.script('require "enotify"; notify "mailto:x@away.test";')
    await house.arrive(b"Auto-Submitted: No\r\nList-Id: <l.far.test>\r\n" + MAIL)
    assert len(house.left) == 1
    await house.arrive(b"Auto-Submitted: auto-generated\r\n" + MAIL)
    assert len(house.left) == 1


async def test_the_filter_is_asked_with_the_separators_of_the_domain(house: House) -> None:
    assert house.delivery.sorter is not None

    async def find(address: str) -> Found:
        return Found(BOB, detail="news", separators="-", name="bob")

    refuses = Refuses(house.delivery.sorter, house.mailboxes, find)
    await house.script(
        'require ["ereject", "envelope", "subaddress"]; if not envelope :detail "to" "news" { ereject "No"; }'
    )
    recipients = (NewRecipient(address="bob-news@here.test", route="local"),)
    new = NewEntry(id="q", sender="ann@far.test", recipients=recipients, content=Content.of(MAIL), received=1.0)
    assert await refuses(new) == ""
    house.delivery._find = find
    await house.arrive(to="bob-news@here.test")
    assert await house.where() == {"INBOX": 1}
