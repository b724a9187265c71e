r"""Responses as octets: everything but FETCH (see rows.py).

Purpose: one function for each response of the grammar; the driver joins what they give. All end with CR LF, except
response codes, which are given without brackets and go into `ok`, `no` and their like.
Standards: RFC 9051 7, RFC 5530 (codes), RFC 4315 (UIDPLUS), RFC 7162, RFC 4731, RFC 5258, RFC 9208, RFC 2342, RFC 2971.
Text is ASCII of ours; names and strings go through names.py and strings.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from postroom.wire.imap import names
from postroom.wire.imap.events import Refused
from postroom.wire.imap.sequence import print_numbers, print_ranges
from postroom.wire.imap.strings import astring, nstring, string

CONTINUE: Final = b"+ OK\r\n"
IDLING: Final = b"+ idling\r\n"


# -- status responses (RFC 9051 7.1) ------------------------------------------------------------------------------
def status_line(tag: bytes, status: bytes, text: str, code: bytes = b"") -> bytes:
    """tag SP ("OK" / "NO" / "BAD" / "BYE" / "PREAUTH") SP ["[" code "]" SP] text."""
    if code:
        return b"%b %b [%b] %b\r\n" % (tag, status, code, text.encode("ascii", "replace"))
    return b"%b %b %b\r\n" % (tag, status, text.encode("ascii", "replace"))


def ok(tag: bytes, text: str, code: bytes = b"") -> bytes:
    """Tagged OK; tag b"*" for the untagged one."""
    return status_line(tag, b"OK", text, code)


def no(tag: bytes, text: str, code: bytes = b"") -> bytes:
    """Tagged NO."""
    return status_line(tag, b"NO", text, code)


def bad(tag: bytes, text: str, code: bytes = b"") -> bytes:
    """Tagged BAD."""
    return status_line(tag, b"BAD", text, code)


def bye(text: str, code: bytes = b"") -> bytes:
    """Untagged BYE: the connection ends."""
    return status_line(b"*", b"BYE", text, code)


def refused(event: Refused) -> bytes:
    """The one reply that a Refused event deserves."""
    return status_line(event.tag or b"*", event.status, event.text, event.code)


def challenge(data: bytes) -> bytes:
    """A SASL challenge; data is already base64 (RFC 9051 7.6)."""
    return b"+ %b\r\n" % data


# -- response codes -----------------------------------------------------------------------------------------------
def appenduid(uidvalidity: int, uids: Iterable[tuple[int, int]]) -> bytes:
    """RFC 4315 3: APPENDUID; uids as ranges (more than one with MULTIAPPEND)."""
    return b"APPENDUID %d %b" % (uidvalidity, print_ranges(uids))


def copyuid(uidvalidity: int, source: Iterable[tuple[int, int]], target: Iterable[tuple[int, int]]) -> bytes:
    """RFC 4315 3: COPYUID; both sets in the order of copying. Not to be sent when nothing was copied."""
    return b"COPYUID %d %b %b" % (uidvalidity, print_ranges(source), print_ranges(target))


def inprogress(tag: bytes, done: int | None, goal: int | None) -> bytes:
    """RFC 9585 3: INPROGRESS; done and goal as far as they are known."""
    counts = [b"NIL" if number is None else b"%d" % number for number in (done, goal)]
    return b"INPROGRESS (%b %b %b)" % (string(tag), *counts)


def messagelimit(limit: int, lowest: int | None = None) -> bytes:
    """RFC 9738 3.1: MESSAGELIMIT; lowest: UID of the last message that was worked on, the first not yet being below."""
    return b"MESSAGELIMIT %d" % limit if lowest is None else b"MESSAGELIMIT %d %d" % (limit, lowest)


def modified(ranges: Iterable[tuple[int, int]]) -> bytes:
    """RFC 7162 3.1.3: MODIFIED."""
    return b"MODIFIED " + print_ranges(ranges)


def number_code(name: bytes, value: int) -> bytes:
    """UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, UNSEEN (RFC 3501) with their number."""
    return b"%b %d" % (name, value)


def permanent_flags(flags: Iterable[bytes]) -> bytes:
    r"""RFC 9051 7.1: PERMANENTFLAGS; b"\\*" among the flags allows new keywords."""
    return b"PERMANENTFLAGS (%b)" % b" ".join(flags)


def mailboxid(objectid: str) -> bytes:
    """RFC 8474 4.1 and 4.2: MAILBOXID."""
    return b"MAILBOXID (%b)" % objectid.encode("ascii")


def capability_code(capabilities: Iterable[str]) -> bytes:
    """RFC 9051 7.1: CAPABILITY in the greeting and after login saves a round trip."""
    return b"CAPABILITY " + " ".join(capabilities).encode("ascii")


# -- server and mailbox status ------------------------------------------------------------------------------------
def capability(capabilities: Iterable[str]) -> bytes:
    """RFC 9051 7.2.2."""
    return b"* CAPABILITY %b\r\n" % " ".join(capabilities).encode("ascii")


def enabled(capabilities: Sequence[str]) -> bytes:
    """RFC 9051 7.2.1."""
    return b"* %b\r\n" % " ".join(("ENABLED", *capabilities)).encode("ascii")


def exists(count: int) -> bytes:
    """RFC 9051 7.4.1."""
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    """RFC 3501 7.3.2; not for clients that enabled IMAP4rev2."""
    return b"* %d RECENT\r\n" % count


def flags(known: Iterable[bytes]) -> bytes:
    """RFC 9051 7.3.5: the flags of the mailbox."""
    return b"* FLAGS (%b)\r\n" % b" ".join(known)


def expunge(seq: int) -> bytes:
    """RFC 9051 7.5.1."""
    return b"* %d EXPUNGE\r\n" % seq


def expunges(seqs: Iterable[int]) -> bytes:
    """EXPUNGE of several messages. seqs: numbers before the first is gone, ascending; sent from the highest down."""
    return b"".join([b"* %d EXPUNGE\r\n" % seq for seq in sorted(seqs, reverse=True)])


def vanished(uids: Iterable[tuple[int, int]], earlier: bool = False) -> bytes:
    """RFC 7162 3.2.10; b"" when there are none."""
    ranges = print_ranges(uids)
    if not ranges:
        return b""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", ranges)


def namespace(kinds: Sequence[Sequence[str]] = (("",), (), ()), delimiter: str = "/", utf8: bool = False) -> bytes:
    """RFC 9051 7.3.2. kinds: prefixes of the personal, the other users' and the shared namespaces."""
    parted = string(delimiter.encode("ascii"))
    told = []
    for prefixes in kinds:
        inside = b"".join([b"(%b %b)" % (string(names.encode(prefix, utf8)), parted) for prefix in prefixes])
        told.append(b"(%b)" % inside if inside else b"NIL")
    return b"* NAMESPACE %b\r\n" % b" ".join(told)


def acl(mailbox: str, pairs: Iterable[tuple[str, str]], utf8: bool = False) -> bytes:
    """RFC 4314 3.6: identifiers and their rights."""
    words = [names.printed(mailbox, utf8)]
    for identifier, rights in pairs:
        words += [astring(identifier.encode("utf-8"), utf8), astring(rights.encode("ascii"))]
    return b"* ACL %b\r\n" % b" ".join(words)


def listrights(mailbox: str, identifier: str, rights: Iterable[str], utf8: bool = False) -> bytes:
    """RFC 4314 3.7. rights: those it always has, then those that can be given, tied ones in one string."""
    words = [names.printed(mailbox, utf8), astring(identifier.encode("utf-8"), utf8)]
    return b"* LISTRIGHTS %b\r\n" % b" ".join([*words, *[astring(part.encode("ascii")) for part in rights]])


def myrights(mailbox: str, rights: str, utf8: bool = False) -> bytes:
    """RFC 4314 3.8."""
    return b"* MYRIGHTS %b %b\r\n" % (names.printed(mailbox, utf8), astring(rights.encode("ascii")))


def identification(fields: Mapping[str, str | None]) -> bytes:
    """RFC 2971 3.2."""
    if not fields:
        return b"* ID NIL\r\n"
    words = []
    for name, value in fields.items():
        words += [string(name.encode("utf-8")), nstring(None if value is None else value.encode("utf-8"))]
    return b"* ID (%b)\r\n" % b" ".join(words)


class Listed(Struct, frozen=True, kw_only=True):
    r"""One LIST response. attributes: such as "\\HasChildren"; childinfo: RFC 5258 3.5; oldname: RFC 9051 6.3.9.7."""

    mailbox: str
    attributes: tuple[str, ...] = ()
    delimiter: str | None = "/"
    childinfo: tuple[str, ...] = ()
    oldname: str | None = None


def listed(entry: Listed, utf8: bool = False, response: bytes = b"LIST") -> bytes:
    """RFC 9051 7.3.1; response b"LSUB" for RFC 3501 7.2.3."""
    extended = []
    if entry.childinfo:
        selected = b" ".join([string(option.encode("ascii")) for option in entry.childinfo])
        extended.append(b'"CHILDINFO" (%b)' % selected)
    if entry.oldname is not None:
        extended.append(b'"OLDNAME" (%b)' % names.printed(entry.oldname, utf8))
    tail = b" (%b)" % b" ".join(extended) if extended else b""
    attributes = " ".join(entry.attributes).encode("ascii")
    delimiter = nstring(None if entry.delimiter is None else entry.delimiter.encode("ascii"))
    return b"* %b (%b) %b %b%b\r\n" % (response, attributes, delimiter, names.printed(entry.mailbox, utf8), tail)


def status(mailbox: str, items: Iterable[tuple[str, int | str | None]], utf8: bool = False) -> bytes:
    """RFC 9051 7.3.3; None prints NIL (RFC 7889 3.1: no limit), text as it is (RFC 8474 4.3)."""
    pairs = [f"{name} {'NIL' if value is None else value}" for name, value in items]
    return b"* STATUS %b (%b)\r\n" % (names.printed(mailbox, utf8), " ".join(pairs).encode("ascii"))


def quota(root: str, resources: Iterable[tuple[str, int, int]], utf8: bool = False) -> bytes:
    """RFC 9208 4.2.1: (resource, usage, limit)."""
    triples = " ".join([f"{name} {usage} {limit}" for name, usage, limit in resources])
    return b"* QUOTA %b (%b)\r\n" % (names.printed(root, utf8), triples.encode("ascii"))


def quotaroot(mailbox: str, roots: Iterable[str], utf8: bool = False) -> bytes:
    """RFC 9208 4.2.2."""
    words = [names.printed(mailbox, utf8), *(names.printed(root, utf8) for root in roots)]
    return b"* QUOTAROOT %b\r\n" % b" ".join(words)


def metadata(mailbox: str, values: Iterable[tuple[str, bytes | None]], utf8: bool = False) -> bytes:
    """RFC 5464 4.4.1: entries with their values."""
    words = [b"%b %b" % (astring(name.encode("ascii")), nstring(value, utf8)) for name, value in values]
    return b"* METADATA %b (%b)\r\n" % (names.printed(mailbox, utf8), b" ".join(words))


def metadata_changed(mailbox: str, entries: Iterable[str], utf8: bool = False) -> bytes:
    """RFC 5464 4.4.2: entries that changed."""
    words = b" ".join([astring(name.encode("ascii")) for name in entries])
    return b"* METADATA %b %b\r\n" % (names.printed(mailbox, utf8), words)


def jmap_access(url: str) -> bytes:
    """RFC 9698 3: where the JMAP session is."""
    return b"* JMAPACCESS %b\r\n" % string(url.encode("ascii"))


# -- search results -----------------------------------------------------------------------------------------------
def search(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """RFC 3501 7.2.5; modseq: the highest of the messages found (RFC 7162 3.1.6), only with a MODSEQ criterion."""
    if not numbers:
        return b"* SEARCH\r\n"
    words = print_numbers(numbers)
    if modseq is None:
        return b"* SEARCH %b\r\n" % words
    return b"* SEARCH %b (MODSEQ %d)\r\n" % (words, modseq)


class Found(Struct, frozen=True, kw_only=True):
    """Results for an ESEARCH response; what is None is not printed (nor an empty ALL)."""

    uid: bool = False
    least: int | None = None  # MIN
    most: int | None = None  # MAX
    count: int | None = None
    all: tuple[tuple[int, int], ...] = ()
    partial: tuple[tuple[int, int], tuple[tuple[int, int], ...]] | None = None  # the range asked for, the results
    modseq: int | None = None
    relevancy: Sequence[int] | None = None  # of each result in turn, 1 to 100


def searched(mailbox: str, uidvalidity: int, utf8: bool = False) -> bytes:
    """RFC 7377 4: the correlators that say which mailbox results are of."""
    return b" MAILBOX %b UIDVALIDITY %d" % (names.printed(mailbox, utf8), uidvalidity)


def esearch(tag: bytes, found: Found, where: bytes = b"") -> bytes:
    """RFC 9051 7.3.4, RFC 4731 3.1, RFC 9394 4 and RFC 6203 4. where: see searched."""
    words = [b"* ESEARCH (TAG %b%b)" % (string(tag), where)]
    if found.uid:
        words.append(b"UID")
    if found.least is not None:
        words.append(b"MIN %d" % found.least)
    if found.most is not None:
        words.append(b"MAX %d" % found.most)
    if found.all:
        words.append(b"ALL " + print_ranges(found.all))
    if found.partial is not None:
        asked, results = found.partial
        words.append(b"PARTIAL (%d:%d %b)" % (*asked, print_ranges(results) or b"NIL"))
    if found.count is not None:
        words.append(b"COUNT %d" % found.count)
    if found.modseq is not None:
        words.append(b"MODSEQ %d" % found.modseq)
    if found.relevancy is not None:
        words.append(b"RELEVANCY (%b)" % b" ".join([b"%d" % score for score in found.relevancy]))
    return b" ".join(words) + b"\r\n"


def uidbatches(tag: bytes, ranges: Iterable[tuple[int, int]]) -> bytes:
    """RFC 10022 3.2: batches as highest and lowest UID, newest first; also when there are none."""
    text = b",".join([b"%d:%d" % ends for ends in ranges])
    return b"* UIDBATCHES (TAG %b)%b\r\n" % (string(tag), b" " + text if text else b"")


#: a position in the results, and the results that go in or out there, in order
Moved = tuple[int, Iterable[tuple[int, int]]]


def context_update(tag: bytes, item: bytes, moved: Iterable[Moved], *, uid: bool, where: bytes = b"") -> bytes:
    """RFC 5267 4.3.3 and 4.3.4: an ESEARCH response with ADDTO or REMOVEFROM. where: see searched."""
    pairs = b" ".join([b"%d %b" % (position, print_ranges(ranges)) for position, ranges in moved])
    return b"* ESEARCH (TAG %b%b)%b %b (%b)\r\n" % (string(tag), where, b" UID" if uid else b"", item, pairs)


def noupdate(tag: bytes) -> bytes:
    """RFC 5267 4.3.1: NOUPDATE."""
    return b"NOUPDATE " + string(tag)


def flag_names(system: bytes, keywords: Iterable[str]) -> bytes:
    """The inside of a flag list: printed system flags (values.flags.PRINTED) and keywords."""
    words = [keyword.encode("ascii") for keyword in keywords]
    return b" ".join([system, *words] if system else words)


def quoted_argument(text: str) -> bytes:
    """An argument within a response code, such as a charset (RFC 9051 9: charset = atom / quoted)."""
    return astring(text.encode("utf-8"))
