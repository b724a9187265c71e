"""Mail by mailing lists that break the author's proof: who gets it in the INBOX, who in Junk, and what is marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_house import ALICE, BOB
from test_outside import BAD, GOOD, KEYS, NOW, Doors, message, refused, results

from postroom.intake.lists import is_list, list_address
from postroom.intake.model import Peer
from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, sign
from postroom.mailauth.header import HeaderFields, split_message
from postroom.store.api import AccountRow, Charge, Demand, DomainRow, NewEntry, Per
from postroom.values.content import Content

LIST = ("List-Id: Talk <l.list.test>", "List-Post: <mailto:l@list.test>")
IDS = ("Date: Fri, 15 Jan 2027 08:00:00 +0000", "Message-ID: <1@x.test>")


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


async def writes(doors: Doors, account: AccountRow, to: str = "l@list.test") -> None:
    """Somebody of ours has written there before."""
    charge = Charge(name=account.id, kind="messages", per=Per.MESSAGE, limit=0, window=3600)
    await doors.written.take(Demand(account=account.id, recipients=(to,), charges=(charge,)), NOW - 1000)


async def comes(doors: Doors, octets: bytes, *to: str, ip: str = BAD, sender: str = "l-bounces@list.test") -> NewEntry:
    await doors.people.put_domain(DomainRow(name="here.test", created=0.0))
    peer = Peer(service="smtp", ip=ip, port=4711, helo="mail.list.test")
    await doors.send(peer, Content.of(octets), *(to or ("alice@here.test",)), sender=sender)
    return doors.queue.entries[-1]


def posted(author: str = "X <x@far.test>", *more: str, to: str = "Talk <l@list.test>", age: int = 60) -> bytes:
    """What the author's server signed."""
    plain = message(author, *IDS, *more).replace(b"To: alice@here.test", f"To: {to}".encode())
    header, body = split_message(plain)
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    domain = author.rpartition("@")[2].rstrip(">")
    return sign(header, hashes.digest(BODY_FORM), [KEYS[domain]], int(NOW) - age) + plain


def by_list(octets: bytes, mark: str = "[talk] ", fields: tuple[str, ...] = LIST) -> bytes:
    """What the list makes of it."""
    octets = octets.replace(b"\r\nSubject: ", f"\r\nSubject: {mark}".encode())
    return "\r\n".join(fields).encode() + b"\r\n" + octets + b"-- \r\nTalk, a list\r\n"


def where(entry: NewEntry, number: int = 0) -> str:
    """Where a recipient finds it, and whether it is marked."""
    junk = entry.junk and not entry.recipients[number].inbox
    mark = b"X-Postroom-Warning" in entry.trace
    assert mark == ("$Suspicious" in entry.keywords)
    return ("junk" if junk else "inbox") + " marked" * mark


# authors outside, who ask for p=reject


async def test_a_list_one_writes_to(doors: Doors) -> None:
    await writes(doors, ALICE)
    entry = await comes(doors, by_list(posted()))
    assert where(entry) == "inbox"
    assert results(entry)["dmarc"] == "fail"
    reason = doors.checked["reason"]
    assert "l@list.test" in reason and "signed that it goes there" in reason


async def test_a_list_that_changes_what_was_signed(doors: Doors) -> None:
    await writes(doors, ALICE)
    for octets in (
        by_list(message("X <x@far.test>", *IDS)),  # never signed
        by_list(posted()).replace(b"\r\nTo: Talk", b"\r\nTo: Tolk"),
        by_list(posted(), "something else "),
        by_list(posted(to="y@other.test")),  # signed, but not for this list
        by_list(posted(age=15 * 86400)),  # signed long ago
        by_list(posted().replace(b"d=far.test", b"d=list.test")),
    ):
        assert where(await comes(doors, octets)) == "inbox marked"
        assert doors.checked["dmarc"] == "fail"


@pytest.mark.parametrize("mark", ["", "[talk] ", "Re: [talk] ", "[talk] Re: "])
async def test_marks_in_the_subject(doors: Doors, mark: str) -> None:
    await writes(doors, ALICE)
    octets = posted()
    if "Re:" in mark:
        octets = posted()
        header, body = split_message(
            message("X <x@far.test>", *IDS).replace(b"To: alice@here.test", b"To: l@list.test")
        )
        header = header.replace(b"Subject: hi", b"Subject: Re: hi")
        hashes = BodyHashes()
        hashes.want(BODY_FORM)
        hashes.update(body)
        octets = sign(header, hashes.digest(BODY_FORM), [KEYS["far.test"]], int(NOW)) + header + body
        octets = octets.replace(b"\r\nSubject: Re: ", b"\r\nSubject: ")
    assert where(await comes(doors, by_list(octets, mark))) == "inbox"


async def test_a_list_nobody_writes_to_stays_in_junk(doors: Doors) -> None:
    assert where(await comes(doors, by_list(posted()))) == "junk marked"
    await writes(doors, BOB)
    assert where(await comes(doors, by_list(posted()))) == "junk marked"
    await writes(doors, ALICE, "other@list.test")
    assert where(await comes(doors, by_list(posted()))) == "junk marked"


async def test_each_recipient_as_he_has_written(doors: Doors) -> None:
    await writes(doors, BOB)
    entry = await comes(doors, by_list(posted()), "alice@here.test", "bob@here.test")
    assert [where(entry, 0), where(entry, 1)] == ["junk", "inbox"]
    assert entry.keywords == ("$Junk",)


async def test_a_list_must_prove_its_domain(doors: Doors) -> None:
    await writes(doors, ALICE)
    octets = by_list(posted())
    await refused(doors, octets, ip="198.51.100.200", sender="l-bounces@list.test")
    assert where(await comes(doors, octets, sender="x@evil.test")) == "junk marked", "evil.test proves evil.test"
    other = by_list(posted(), fields=("List-Id: <l.evil.test>", "List-Post: <mailto:l@list.test>"))
    assert where(await comes(doors, other, sender="x@evil.test")) == "junk marked"
    header, body = split_message(octets)
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    by_dkim = sign(header, hashes.digest(BODY_FORM), [KEYS["list.test"]], int(NOW)) + octets
    assert where(await comes(doors, by_dkim, ip=GOOD, sender="x@nobody.test")) == "inbox"


@pytest.mark.parametrize(
    "fields",
    [
        ("List-Id: <l.list.test>", "List-Post: NO"),
        ("List-Id: <l.list.test>", "List-Post: <mailto:l@list.test>", "List-Post: <mailto:other@list.test>"),
        ("List-Id: <l.list.test>", "List-Post: <mailto:other@list.test>"),
        ("List-Id: <l.list.test>", "List-Id: <m.list.test>", "List-Post: <mailto:l@list.test>"),
        ("List-Post: <mailto:l@list.test>",),
        ("List-Id: <other.list.test>", "Precedence: list"),
    ],
)
async def test_lists_that_are_not_clear(doors: Doors, fields: tuple[str, ...]) -> None:
    await writes(doors, ALICE)
    octets = by_list(posted(), fields=fields)
    if not fields[0].startswith("List-Id"):
        await refused(doors, octets, ip=BAD, sender="l-bounces@list.test")
    else:
        assert where(await comes(doors, octets)) == "junk marked"


async def test_a_list_without_an_address_to_write_to(doors: Doors) -> None:
    await writes(doors, ALICE)
    assert (
        where(await comes(doors, by_list(posted(), fields=("List-Id: <l.list.test>", "Precedence: list")))) == "inbox"
    )


async def test_quarantine_is_no_more_than_reject(doors: Doors) -> None:
    await writes(doors, ALICE)
    entry = await comes(doors, by_list(message("x@soft.test", *IDS)))
    assert where(entry) == "inbox marked"


async def test_two_authors_are_nobodys_post(doors: Doors) -> None:
    await writes(doors, ALICE)
    entry = await comes(doors, by_list(message("x@far.test, y@soft.test", *IDS)))
    assert where(entry) == "junk marked"


# our own people's posts that come back


async def test_our_own_post_comes_back(doors: Doors) -> None:
    octets = by_list(posted("Alice <alice@here.test>"))
    assert where(await comes(doors, octets)) == "junk marked", "she never wrote there"
    await writes(doors, ALICE)
    assert where(await comes(doors, octets)) == "inbox"
    assert where(await comes(doors, octets, "bob@here.test")) == "inbox marked", "he never wrote there"
    await writes(doors, BOB)
    assert where(await comes(doors, octets, "alice@here.test", "bob@here.test")) == "inbox"


async def test_our_own_post_that_is_not_whole(doors: Doors) -> None:
    """The list's owner can write what he likes: then it is marked, and nobody sees it who never wrote to him."""
    octets = by_list(message("Alice <alice@here.test>", *IDS))
    await writes(doors, BOB)
    assert where(await comes(doors, octets, "bob@here.test")) == "junk marked"
    await writes(doors, ALICE)
    assert where(await comes(doors, octets)) == "inbox marked"
    assert where(await comes(doors, octets, "bob@here.test")) == "inbox marked"
    doors.queue.entries.clear()
    entry = await comes(doors, octets, "alice@here.test", "team@here.test")
    assert [where(entry, number) for number in range(3)] == ["inbox marked", "inbox marked", "junk marked"]
    assert entry.recipients[2].route == "remote"


async def test_a_signature_for_somebody_else_does_not_help(doors: Doors) -> None:
    """Alice wrote to a colleague; the owner of a list she writes to got hold of it and sends it around."""
    await writes(doors, ALICE)
    octets = by_list(posted("Alice <alice@here.test>", to="bob@here.test"))
    assert where(await comes(doors, octets, "bob@here.test")) == "junk marked"


async def test_what_a_domain_wants_marked_is_not_marked_then(doors: Doors) -> None:
    await writes(doors, ALICE)
    await doors.take(by_list(posted("alice@here.test")), ip=BAD, sender="l@list.test", spoof="mark")
    assert where(doors.queue.entries[-1]) == "inbox"


# reading the fields


@given(st.lists(st.sampled_from([b"List-Id:", b"List-Post:", b" <", b">", b"mailto:", b"l@list.test", b"?x", b"\r\n",
    b"%40", b"%", b"\xff", b".", b"l.list.test", b"\r\n ", b",", b"NO", b"[1.2.3.4]"]), max_size=14))  # fmt: skip
def test_no_header_is_too_odd(pieces: list[bytes]) -> None:
    fields = HeaderFields(b"".join(pieces) + b"\r\n")
    assert is_list(fields) in (True, False)
    address = list_address(fields)
    assert address is None or address.domain


def test_addresses_of_lists() -> None:
    def read(*lines: str) -> str:
        return str(list_address(HeaderFields("".join(f"{line}\r\n" for line in lines).encode())))

    assert read("List-Post: <mailto:L@List.test>") == "L@list.test"
    assert read("List-Post: <mailto:l%2Bx@list.test?subject=hi> (write!)") == "l+x@list.test"
    assert read("List-Post:\r\n <mailto:l@list.test>") == "l@list.test"
    assert read("List-Id: <l.list.test>") == "l@list.test"
    assert read("List-Id: Talk\r\n <l.list.test>") == "l@list.test"
    assert read("List-Post: <mailto:a@x.test>, <mailto:b@x.test>") == "None"
    assert read("List-Post: <https://x.test>") == "None"
    assert read("List-Id: nothing") == "None"
