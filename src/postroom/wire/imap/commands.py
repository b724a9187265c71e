"""IMAP commands as typed values: what the parser gives and the server executes (RFC 9051 6, and extensions).

Mailbox names are Unicode (decoded from modified UTF-7 or UTF-8), "INBOX" in upper case. Sequence sets are tuples of
(low, high) with high or low = STAR for "*". Flags are split into bits of values.flags and keyword names as written.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final

from msgspec import Struct

STAR: Final = 0  # "*" in a sequence set: the largest number in use
SequenceSet = tuple[tuple[int, int], ...]
#: RFC 5182: "$" stands for the last saved result
SAVED: Final[SequenceSet] = ((-1, -1),)


class Command(Struct, frozen=True):
    """One command. name: upper case, with "UID " in front for UID commands ("UID FETCH"); args: a class below."""

    tag: bytes
    name: str
    args: object = None


class Flags(Struct, frozen=True):
    """A flag list."""

    bits: int = 0
    keywords: tuple[str, ...] = ()


class Login(Struct, frozen=True):
    user: str
    password: str


class Authenticate(Struct, frozen=True):
    mechanism: str  # upper case
    initial: bytes | None  # decoded initial response (RFC 4959), b"" for "=", None when absent


class Enable(Struct, frozen=True):
    names: tuple[str, ...]  # upper case


class Id(Struct, frozen=True):
    fields: tuple[tuple[str, str | None], ...]


class Compress(Struct, frozen=True):
    algorithm: str  # upper case


class Qresync(Struct, frozen=True):
    """RFC 7162 3.2.5."""

    uidvalidity: int
    modseq: int
    known: SequenceSet = ()
    match_seqs: SequenceSet = ()
    match_uids: SequenceSet = ()


class Select(Struct, frozen=True):
    """SELECT and EXAMINE."""

    mailbox: str
    condstore: bool = False
    qresync: Qresync | None = None


class UidBatches(Struct, frozen=True):
    """RFC 10022 3.1. size: messages in a batch; first, last: which batches, the newest is 1; None for all."""

    size: int
    first: int = 1
    last: int | None = None


class Mailbox(Struct, frozen=True):
    """DELETE, SUBSCRIBE, UNSUBSCRIBE, GETQUOTAROOT, GETACL, MYRIGHTS."""

    mailbox: str


class SetAcl(Struct, frozen=True):
    """op: "" replaces, "+" adds, "-" removes; rights: bits of values.rights (RFC 4314 3.1)."""

    mailbox: str
    identifier: str
    op: str
    rights: int


class Identified(Struct, frozen=True):
    """DELETEACL, LISTRIGHTS."""

    mailbox: str
    identifier: str


class Create(Struct, frozen=True):
    mailbox: str
    special_use: tuple[str, ...] = ()  # RFC 6154 3, such as "\\Drafts"
    trailing_delimiter: bool = False


class Rename(Struct, frozen=True):
    mailbox: str
    target: str


class MetadataOptions(Struct, frozen=True):
    """RFC 5464 4.2.1 and 4.2.2. most: octets of a value, None = any; depth: levels below the entry."""

    most: int | None = None
    depth: int = 0


class GetMetadata(Struct, frozen=True):
    """mailbox "": the server's annotations. entries: as written, each once."""

    mailbox: str
    entries: tuple[str, ...]
    options: MetadataOptions = MetadataOptions()


class SetMetadata(Struct, frozen=True):
    """values: entry as written, and its value (None removes it); each entry once."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


class List(Struct, frozen=True):
    """LIST and LSUB (RFC 5258, RFC 5819, RFC 6154, RFC 9590). extended: the command used the extended syntax."""

    reference: str
    patterns: tuple[str, ...]
    select: tuple[str, ...] = ()  # SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE
    returns: tuple[str, ...] = ()  # SUBSCRIBED CHILDREN SPECIAL-USE MYRIGHTS
    status: tuple[str, ...] = ()  # items of RETURN (STATUS (…))
    extended: bool = False
    metadata: tuple[str, ...] = ()  # entries of RETURN (METADATA (…)), RFC 9590
    metadata_options: MetadataOptions | None = None


class Status(Struct, frozen=True):
    """items: see mailbox.STATUS_ITEMS, such as MESSAGES, UIDNEXT or HIGHESTMODSEQ; each once."""

    mailbox: str
    items: tuple[str, ...]


class AppendMessage(Struct, frozen=True):
    """One message of an APPEND or REPLACE. internaldate: Unix seconds or None for now; size: of its last literal.

    The octets themselves go to the sink the server opened for the literal (see wire.imap.session).
    """

    flags: Flags
    internaldate: int | None
    size: int
    binary: bool = False  # ~{n} literal8
    utf8: bool = False  # UTF8 (…), RFC 6855 4
    catenate: bool = False  # put together of literals and URLs (RFC 4469)


class Append(Struct, frozen=True):
    """APPEND with one message or more (RFC 3502), REPLACE and UID REPLACE with one.

    replaces: the number or UID of the message that goes (RFC 8508); urls: parts of messages behind the last literal,
    with the place of their message (RFC 4469).
    """

    mailbox: str
    messages: tuple[AppendMessage, ...]
    replaces: int | None = None
    urls: tuple[tuple[int, str], ...] = ()


class Expunge(Struct, frozen=True):
    """UID EXPUNGE has uids; EXPUNGE has none."""

    uids: SequenceSet | None = None


class Key(StrEnum):
    """Search keys (RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 5032 2, RFC 7162 3.1.5, RFC 8514 4.3, RFC 8474 6)."""

    ALL = "ALL"
    AND = "AND"  # keys
    OR = "OR"  # keys: two
    NOT = "NOT"  # keys: one
    SEQ = "SEQ"  # set
    UID = "UID"  # set
    FLAGS = "FLAGS"  # bits all set
    UNFLAGS = "UNFLAGS"  # bits all clear
    KEYWORD = "KEYWORD"  # text
    UNKEYWORD = "UNKEYWORD"  # text
    RECENT = "RECENT"
    NEW = "NEW"
    OLD = "OLD"
    HEADER = "HEADER"  # name, text ("" matches any value); BCC CC FROM SUBJECT TO come as this
    BODY = "BODY"  # text
    TEXT = "TEXT"  # text
    BEFORE = "BEFORE"  # number: days since 1970-01-01 of INTERNALDATE
    ON = "ON"
    SINCE = "SINCE"
    SENTBEFORE = "SENTBEFORE"  # the same of the Date field, its own zone disregarded
    SENTON = "SENTON"
    SENTSINCE = "SENTSINCE"
    LARGER = "LARGER"  # number
    SMALLER = "SMALLER"
    OLDER = "OLDER"  # number: seconds (RFC 5032)
    YOUNGER = "YOUNGER"
    SAVEDBEFORE = "SAVEDBEFORE"  # number: days since 1970-01-01 of the save date (RFC 8514)
    SAVEDON = "SAVEDON"
    SAVEDSINCE = "SAVEDSINCE"
    EMAILID = "EMAILID"  # text (RFC 8474)
    THREADID = "THREADID"  # text
    MODSEQ = "MODSEQ"  # number (RFC 7162 3.1.5; entry name and type are accepted and do not matter)
    FUZZY = "FUZZY"  # keys: one BODY, TEXT or HEADER key that may be met nearly (RFC 6203)
    FILTER = "FILTER"  # name: a search that is kept under this name (RFC 5466); replaced before the search is run


class SearchKey(Struct, frozen=True):
    """A node of the search program; which fields count is said at Key."""

    key: Key
    keys: tuple[SearchKey, ...] = ()
    set: SequenceSet = ()
    bits: int = 0
    name: str = ""
    text: str = ""  # already decoded from the command's charset
    number: int = 0


class Search(Struct, frozen=True):
    """SEARCH and UID SEARCH.

    returns: None without RETURN, else MIN MAX ALL COUNT SAVE (RFC 9051 6.4.4) PARTIAL RELEVANCY
    CONTEXT UPDATE (RFC 5267 4);
    partial: the range of PARTIAL (RFC 9394 3.1), as written; both ends negative count from the last result.
    """

    key: SearchKey
    returns: tuple[str, ...] | None = None
    uses_modseq: bool = False
    uses_filters: bool = False
    partial: tuple[int, int] | None = None
    uses_fuzzy: bool = False


class Source(Struct, frozen=True):
    """Mailboxes to search (RFC 7377 2.2).

    kind: SELECTED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, SUBTREE-ONE or MAILBOXES; names: for the last three.
    """

    kind: str
    names: tuple[str, ...] = ()


class MultiSearch(Struct, frozen=True):
    """ESEARCH. sources: one at least; search: always with result options."""

    sources: tuple[Source, ...]
    search: Search


class SortBy(StrEnum):
    """What SORT compares (RFC 5256 3, RFC 5957 4, RFC 6203 6)."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"
    RELEVANCY = "RELEVANCY"


class SortCriterion(Struct, frozen=True):
    """One criterion. reverse: descending."""

    by: SortBy
    reverse: bool = False


class Sort(Struct, frozen=True):
    """SORT and UID SORT. search: what is sorted, with its result options (RFC 5267 3)."""

    criteria: tuple[SortCriterion, ...]
    search: Search


class CancelUpdate(Struct, frozen=True):
    """CANCELUPDATE (RFC 5267 4.3.5)."""

    tags: tuple[bytes, ...]


class ThreadBy(StrEnum):
    """Threading algorithms (RFC 5256 3)."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"


class Thread(Struct, frozen=True):
    """THREAD and UID THREAD."""

    by: ThreadBy
    search: Search


class Attribute(Enum):
    """What a FETCH may ask for."""

    # members are looked up in tables for every command; Enum's own hash is a Python function
    __hash__ = object.__hash__

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"  # the structure without extension data
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    SAVEDATE = "SAVEDATE"
    EMAILID = "EMAILID"
    THREADID = "THREADID"
    PREVIEW = "PREVIEW"
    LAZY_PREVIEW = "PREVIEW (LAZY)"
    SECTION = "BODY["
    BINARY = "BINARY["
    BINARY_SIZE = "BINARY.SIZE["
    RFC822 = "RFC822"
    RFC822_HEADER = "RFC822.HEADER"
    RFC822_TEXT = "RFC822.TEXT"


class Item(Struct, frozen=True):
    """One FETCH item. part: (1, 2) for "1.2"; text: "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME.

    label: what the reply prints in front of the value, such as b"BODY[1.2.HEADER.FIELDS (SUBJECT)]", without <n>.
    partial: (first octet, count).
    """

    attribute: Attribute
    part: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()
    peek: bool = True
    partial: tuple[int, int] | None = None
    label: bytes = b""


class Fetch(Struct, frozen=True):
    """FETCH and UID FETCH. changed_since, vanished: RFC 7162 3.1.4.1 and 3.2.6; partial: as in Search.

    items: each once; UID FETCH always has UID among them (first, unless the client placed it), changed_since MODSEQ.
    """

    set: SequenceSet
    items: tuple[Item, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


class EventGroup(Struct, frozen=True):
    """RFC 5465 6 and 5, RFC 7377 4.

    filter: SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, SUBTREE-ONE or MAILBOXES;
    names: for the last three; events: as printed in wire.imap.notify, unknown ones in upper case, none for NONE;
    items: what to fetch of new messages.
    """

    filter: str
    names: tuple[str, ...]
    events: frozenset[str]
    items: tuple[Item, ...] = ()


class Notify(Struct, frozen=True):
    """NOTIFY. groups: None for NOTIFY NONE."""

    groups: tuple[EventGroup, ...] | None
    status: bool = False


class Store(Struct, frozen=True):
    """STORE and UID STORE. op: "", "+" or "-"."""

    set: SequenceSet
    op: str
    flags: Flags
    silent: bool = False
    unchanged_since: int | None = None


class Copy(Struct, frozen=True):
    """COPY, MOVE and their UID forms."""

    set: SequenceSet
    mailbox: str


class SetQuota(Struct, frozen=True):
    root: str
    limits: tuple[tuple[str, int], ...] = ()


class GetQuota(Struct, frozen=True):
    root: str
