"""Commands as the RFCs print them, and what is wrong with others."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from postroom.values.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from postroom.wire.imap.commands import (
    SAVED,
    Attribute,
    Authenticate,
    Command,
    Copy,
    Create,
    Enable,
    Expunge,
    Fetch,
    Flags,
    GetQuota,
    Id,
    Item,
    Key,
    List,
    Login,
    Mailbox,
    Qresync,
    Rename,
    Search,
    SearchKey,
    Select,
    SetQuota,
    Status,
    Store,
)
from postroom.wire.imap.errors import BadCharset, BadCommand, BadMailbox
from postroom.wire.imap.events import Line
from postroom.wire.imap.framer import Framer
from postroom.wire.imap.table import COMMANDS, State, describe, parse


def read(text: str | bytes, *, utf8: bool = False) -> Command:
    """The one command of a text whose literals are non-synchronising."""
    framer = Framer()
    framer.feed((text.encode() if isinstance(text, str) else text) + b"\r\n")
    event = framer.next_event()
    assert isinstance(event, Line), event
    assert framer.next_event() is None
    return parse(event, utf8)


def args(text: str | bytes, *, utf8: bool = False) -> object:
    return read(text, utf8=utf8).args


@pytest.mark.parametrize(
    "name",
    ["CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT"],
)
def test_commands_without_arguments(name: str) -> None:
    assert read(f"abcd {name}") == Command(b"abcd", name)
    assert read(f"A.1-[] {name.lower()}") == Command(b"A.1-[]", name)
    with pytest.raises(BadCommand) as fault:
        read(f"abcd {name} x")
    assert fault.value.tag == b"abcd"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 9051 6.2
        ("a001 LOGIN SMITH SESAME", Login("SMITH", "SESAME")),
        ('a001 login "a\\"b\\\\c" ""', Login('a"b\\c', "")),
        ("a001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man", Login("FRED FOOBAR", "fat man")),
        ("a001 LOGIN joe NIL", Login("joe", "NIL")),
        ('a001 LOGIN "j\u00f6" x]', Login("j\u00f6", "x]")),
        ("A001 AUTHENTICATE SCRAM-SHA-256", Authenticate("SCRAM-SHA-256", None)),
        ("A001 AUTHENTICATE plain AHRlc3QAdGVzdA==", Authenticate("PLAIN", b"\0test\0test")),
        ("A001 AUTHENTICATE EXTERNAL =", Authenticate("EXTERNAL", b"")),
        # RFC 5161, RFC 2971
        ("t3 ENABLE CONDSTORE x-good-idea", Enable(("CONDSTORE", "X-GOOD-IDEA"))),
        ("t ENABLE UTF8=ACCEPT", Enable(("UTF8=ACCEPT",))),
        ("a023 ID NIL", Id(())),
        ("a023 ID ()", Id(())),
        (
            'a023 ID ("name" "sodr" "version" "19.34" "vendor" NIL)',
            Id((("name", "sodr"), ("version", "19.34"), ("vendor", None))),
        ),
        # RFC 9051 6.3
        ("A142 SELECT INBOX", Select("INBOX")),
        ("A142 SELECT inBox", Select("INBOX")),
        ("A142 EXAMINE blurdybloop", Select("blurdybloop")),
        ("A142 SELECT INBOX (CONDSTORE)", Select("INBOX", condstore=True)),
        ("A003 CREATE owatagusiam/", Create("owatagusiam", trailing_delimiter=True)),
        ("A003 CREATE inbox/", Create("INBOX", trailing_delimiter=True)),
        ("A004 CREATE owatagusiam/blurdybloop", Create("owatagusiam/blurdybloop")),
        ("t2 CREATE MyDrafts (USE (\\Drafts))", Create("MyDrafts", ("\\Drafts",))),
        ("t2 CREATE x (USE ())", Create("x")),
        ("t2 CREATE x (use (\\Sent \\Flagged))", Create("x", ("\\Sent", "\\Flagged"))),
        ("A683 DELETE blurdybloop", Mailbox("blurdybloop")),
        ("A683 RENAME blurdybloop sarasoop", Rename("blurdybloop", "sarasoop")),
        ("A002 SUBSCRIBE #news.comp.mail.mime", Mailbox("#news.comp.mail.mime")),
        ('A002 UNSUBSCRIBE "a b"', Mailbox("a b")),
        ("A042 STATUS blurdybloop (UIDNEXT MESSAGES)", Status("blurdybloop", ("UIDNEXT", "MESSAGES"))),
        (
            "A042 STATUS b (recent unseen deleted size highestmodseq appendlimit deleted-storage uidvalidity)",
            Status(
                "b",
                (
                    "RECENT",
                    "UNSEEN",
                    "DELETED",
                    "SIZE",
                    "HIGHESTMODSEQ",
                    "APPENDLIMIT",
                    "DELETED-STORAGE",
                    "UIDVALIDITY",
                ),
            ),
        ),
        # RFC 3501 5.1.3
        ("A SELECT ~peter/mail/&U,BTFw-/&ZeVnLIqe-", Select("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e")),
        # RFC 9208 4.1
        ('G0001 GETQUOTA "!partition/sda4"', GetQuota("!partition/sda4")),
        ("G0002 GETQUOTAROOT INBOX", Mailbox("INBOX")),
        ('S0000 SETQUOTA "#user/alice" (STORAGE 510)', SetQuota("#user/alice", (("STORAGE", 510),))),
        ('S0000 SETQUOTA "" ()', SetQuota("")),
        # RFC 9051 6.4, RFC 4315, RFC 6851
        ("A202 EXPUNGE", Expunge()),
        ("A003 UID EXPUNGE 3000:3002", Expunge(((3000, 3002),))),
        ("A003 COPY 2:4 MEETING", Copy(((2, 4),), "MEETING")),
        ("a MOVE 42 INBOX", Copy(((42, 42),), "INBOX")),
        ("a UID MOVE 42:69,100 foo", Copy(((42, 69), (100, 100)), "foo")),
        ("a UID COPY $ foo", Copy(SAVED, "foo")),
    ],
)
def test_examples(text: str, expected: object) -> None:
    command = read(text)
    assert command.args == expected
    assert command.tag == text.split()[0].encode()
    assert command.name in COMMANDS


def test_utf8_names_after_enable() -> None:
    assert args('a SELECT "Entw\u00fcrfe & mehr"', utf8=True) == Select("Entw\u00fcrfe & mehr")
    assert args("a SELECT a&b", utf8=True) == Select("a&b")
    assert args('a SELECT "Entw\u00fcrfe"') == Select("Entw\u00fcrfe")  # in good faith, without ENABLE


@pytest.mark.parametrize(
    "name", [b"a&b", b"&Jjo!", b"&U,BTFw-&ZeVnLIqe-", b"&AGE-", b"&2D0-", b"x" * 5000, b'"a\x01b"', b'"a\x7f"']
)
def test_bad_mailbox_names(name: bytes) -> None:
    with pytest.raises(BadMailbox) as fault:
        read(b"a7 SELECT " + name)
    assert (fault.value.tag, fault.value.status, fault.value.code) == (b"a7", b"NO", b"CANNOT")


def test_rfc7162_3_2_5_qresync() -> None:
    text = "A03 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))"
    known = ((41, 211), (214, 541))
    assert args(text) == Select("INBOX", False, Qresync(67890007, 90060115194045000, known))
    text = (
        "B04 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500,9000,9990:9999 15000,"
        "22500,27000,29970,29973,29976,29979,29982,29985,29988,29991,29994,29997)))"
    )
    qresync = args(text)
    assert isinstance(qresync, Select)
    assert qresync.qresync is not None
    assert qresync.qresync.match_seqs == ((5000, 5000), (7500, 7500), (9000, 9000), (9990, 9999))
    assert len(qresync.qresync.match_uids) == 13
    assert args("a SELECT x (QRESYNC (1 20010715194045000 (1 1)) CONDSTORE)") == Select(
        "x", True, Qresync(1, 20010715194045000, (), ((1, 1),), ((1, 1),))
    )
    assert args("a SELECT x (QRESYNC (1 5))") == Select("x", False, Qresync(1, 5))


LISTS = [
    ('A101 LIST "" ""', List("", ("",))),
    ('A202 LIST ~/Mail/ "%"', List("~/Mail/", ("%",))),
    ('A202 LIST "" *', List("", ("*",))),
    ('A002 LSUB "#news." "comp.mail.*"', List("#news.", ("comp.mail.*",))),
    # RFC 5258 5
    ('A02 LIST (SUBSCRIBED) "" "*"', List("", ("*",), ("SUBSCRIBED",), extended=True)),
    ('A03 LIST () "" "%" RETURN (CHILDREN)', List("", ("%",), (), ("CHILDREN",), extended=True)),
    ('A04 LIST (REMOTE) "" "%" RETURN ()', List("", ("%",), ("REMOTE",), extended=True)),
    (
        'A05 LIST (REMOTE SUBSCRIBED RECURSIVEMATCH) "" "*"',
        List("", ("*",), ("REMOTE", "SUBSCRIBED", "RECURSIVEMATCH"), extended=True),
    ),
    (
        'BBB LIST "" ("INBOX" "Drafts" Sent/%)',
        List("", ("INBOX", "Drafts", "Sent/%"), extended=True),
    ),
    # RFC 5819 3, RFC 6154 5.2
    (
        'A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN) subscribed)',
        List("", ("%",), (), ("SUBSCRIBED",), ("MESSAGES", "UNSEEN"), True),
    ),
    (
        't1 LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE)',
        List("", ("*",), ("SPECIAL-USE",), ("SPECIAL-USE",), (), True),
    ),
]


@pytest.mark.parametrize(("text", "expected"), LISTS)
def test_list(text: str, expected: List) -> None:
    assert args(text) == expected


UID = Item(Attribute.UID, label=b"UID")
ADDED_UID = Item(Attribute.UID)
FLAGS = Item(Attribute.FLAGS, label=b"FLAGS")
DATE = Item(Attribute.INTERNALDATE, label=b"INTERNALDATE")
SIZE = Item(Attribute.SIZE, label=b"RFC822.SIZE")
ENVELOPE = Item(Attribute.ENVELOPE, label=b"ENVELOPE")
BODY = Item(Attribute.BODY, label=b"BODY")
MODSEQ = Item(Attribute.MODSEQ, label=b"MODSEQ")


def section(label: bytes, *part: int, text: str = "", fields: tuple[bytes, ...] = (), peek: bool = True) -> Item:
    return Item(Attribute.SECTION, part, text, fields, peek, label=label)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("ALL", (FLAGS, DATE, SIZE, ENVELOPE)),
        ("fast", (FLAGS, DATE, SIZE)),
        ("FULL", (FLAGS, DATE, SIZE, ENVELOPE, BODY)),
        ("FLAGS", (FLAGS,)),
        ("(FLAGS FLAGS UID)", (FLAGS, UID)),
        ("BODYSTRUCTURE", (Item(Attribute.BODYSTRUCTURE, label=b"BODYSTRUCTURE"),)),
        ("(RFC822.HEADER)", (Item(Attribute.RFC822_HEADER, label=b"RFC822.HEADER"),)),
        ("RFC822", (Item(Attribute.RFC822, peek=False, label=b"RFC822"),)),
        ("RFC822.TEXT", (Item(Attribute.RFC822_TEXT, peek=False, label=b"RFC822.TEXT"),)),
        ("BODY", (BODY,)),
        ("BODY[]", (section(b"BODY[]", peek=False),)),
        ("body.peek[]", (section(b"BODY[]"),)),
        ("BODY.PEEK[1.2.header]", (section(b"BODY[1.2.HEADER]", 1, 2, text="HEADER"),)),
        ("BODY[4.1.MIME]", (section(b"BODY[4.1.MIME]", 4, 1, text="MIME", peek=False),)),
        ("BODY[4.2.2.1]", (section(b"BODY[4.2.2.1]", 4, 2, 2, 1, peek=False),)),
        ("BODY[TEXT]", (section(b"BODY[TEXT]", text="TEXT", peek=False),)),
        (
            "(FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
            (
                FLAGS,
                section(
                    b"BODY[HEADER.FIELDS (DATE FROM)]", text="HEADER.FIELDS", fields=(b"DATE", b"FROM"), peek=False
                ),
            ),
        ),
        (
            'BODY.PEEK[3.HEADER.FIELDS.NOT ("X y" {4+}\r\nDate)]',
            (
                section(
                    b'BODY[3.HEADER.FIELDS.NOT ("X y" Date)]', 3, text="HEADER.FIELDS.NOT", fields=(b"X y", b"Date")
                ),
            ),
        ),
        ("BODY[]<0.2048>", (replace(section(b"BODY[]", peek=False), partial=(0, 2048)),)),
        ("BINARY[1.2]", (Item(Attribute.BINARY, (1, 2), peek=False, label=b"BINARY[1.2]"),)),
        ("BINARY.PEEK[1]<1.2>", (Item(Attribute.BINARY, (1,), partial=(1, 2), label=b"BINARY[1]"),)),
        ("BINARY[]", (Item(Attribute.BINARY, peek=False, label=b"BINARY[]"),)),
        ("BINARY.SIZE[3]", (Item(Attribute.BINARY_SIZE, (3,), label=b"BINARY.SIZE[3]"),)),
    ],
)
def test_fetch_items(text: str, items: tuple[Item, ...]) -> None:
    assert args(f"A654 FETCH 2:4 {text}") == Fetch(((2, 4),), items)
    by_uid = items if UID in items else (ADDED_UID, *items)
    assert args(f"A654 UID FETCH 2:4 {text}") == Fetch(((2, 4),), by_uid)


def test_rfc7162_fetch_modifiers() -> None:
    assert args("s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)") == Fetch(
        ((1, 0),), (ADDED_UID, FLAGS, MODSEQ), 12345
    )
    assert args("s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)") == Fetch(
        ((300, 500),), (ADDED_UID, FLAGS, MODSEQ), 12345, True
    )
    assert args("a FETCH 1,2,3 (UID MODSEQ) (changedsince 5)") == Fetch(((1, 1), (2, 2), (3, 3)), (UID, MODSEQ), 5)
    for wrong in ("FETCH 1 FLAGS (CHANGEDSINCE 5 VANISHED)", "UID FETCH 1 FLAGS (VANISHED)", "UID FETCH 1 FLAGS ()"):
        with pytest.raises(BadCommand):
            read("a " + wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STORE 2:4 +FLAGS (\\Deleted)", Store(((2, 4),), "+", Flags(DELETED))),
        (
            "STORE 1 FLAGS.SILENT (\\seen \\ANSWERED $Junk)",
            Store(((1, 1),), "", Flags(SEEN | ANSWERED, ("$Junk",)), True),
        ),
        ("UID STORE 1:* -flags.silent ()", Store(((1, 0),), "-", Flags(), True)),
        ("STORE 1 FLAGS \\Draft foo", Store(((1, 1),), "", Flags(DRAFT, ("foo",)))),
        # RFC 7162 3.1.3
        (
            "STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
            Store(((6, 6), (4, 4), (8, 8)), "+", Flags(DELETED), True, 12121230045),
        ),
        ("STORE 7 (UNCHANGEDSINCE 0) +FLAGS ($MDNSent)", Store(((7, 7),), "+", Flags(0, ("$MDNSent",)), False, 0)),
    ],
)
def test_store(text: str, expected: Store) -> None:
    assert args("a103 " + text) == expected


def days(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


def k(key: Key, *keys: SearchKey, **fields: object) -> SearchKey:
    return SearchKey(key, keys=keys, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "key", "returns"),
    [
        (
            'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
            k(
                Key.AND,
                k(Key.FLAGS, bits=FLAGGED),
                k(Key.SINCE, number=days(1994, 2, 1)),
                k(Key.NOT, k(Key.HEADER, name="FROM", text="Smith")),
            ),
            None,
        ),
        ('TEXT "string not in mailbox"', k(Key.TEXT, text="string not in mailbox"), None),
        ("RETURN (MIN COUNT) DELETED", k(Key.FLAGS, bits=DELETED), ("MIN", "COUNT")),
        ("RETURN () UNSEEN", k(Key.UNFLAGS, bits=SEEN), ("ALL",)),
        ("RETURN (SAVE) $", k(Key.SEQ, set=SAVED), ("SAVE",)),
        ("UID $ SMALLER 4096", k(Key.AND, k(Key.UID, set=SAVED), k(Key.SMALLER, number=4096)), None),
        ("2,4:7,9,12:*", k(Key.SEQ, set=((2, 2), (4, 7), (9, 9), (12, 0))), None),
        ("*", k(Key.SEQ, set=((0, 0),)), None),
        (
            "OR (SEEN DRAFT) NOT (ALL)",
            k(Key.OR, k(Key.AND, k(Key.FLAGS, bits=SEEN), k(Key.FLAGS, bits=DRAFT)), k(Key.NOT, k(Key.ALL))),
            None,
        ),
        ("OR 1 NOT 2", k(Key.OR, k(Key.SEQ, set=((1, 1),)), k(Key.NOT, k(Key.SEQ, set=((2, 2),)))), None),
        ("NEW OLD RECENT", k(Key.AND, k(Key.NEW), k(Key.OLD), k(Key.RECENT)), None),
        ("KEYWORD $Junk UNKEYWORD foo", k(Key.AND, k(Key.KEYWORD, text="$Junk"), k(Key.UNKEYWORD, text="foo")), None),
        ('HEADER Message-ID ""', k(Key.HEADER, name="Message-ID", text=""), None),
        ("OLDER 604800 YOUNGER 3600", k(Key.AND, k(Key.OLDER, number=604800), k(Key.YOUNGER, number=3600)), None),
        ('SENTON "07-feb-1994"', k(Key.SENTON, number=days(1994, 2, 7)), None),
        ("BEFORE 1-Jan-1969", k(Key.BEFORE, number=-365), None),
        ("CHARSET UTF-8 TEXT {6+}\r\n\u0442\u0435\u0441", k(Key.TEXT, text="\u0442\u0435\u0441"), None),
        ("SUBJECT {2+}\r\n\u00e9", k(Key.HEADER, name="SUBJECT", text="\u00e9"), None),
        ("charset us-ascii body x", k(Key.BODY, text="x"), None),
        ('MODSEQ "/flags/\\\\draft" all 620162338', k(Key.MODSEQ, number=620162338), None),
    ],
)
def test_search(text: str, key: SearchKey, returns: tuple[str, ...] | None) -> None:
    found = args("A282 SEARCH " + text)
    assert found == Search(key, returns, "MODSEQ" in text)
    assert args("A282 UID SEARCH " + text) == found


@pytest.mark.parametrize("charset", ["KOI8-R", "iso-8859-5", "windows-1251", "UTF-16BE", "utf8"])
def test_search_charsets(charset: str) -> None:
    text = "\u043f\u0440\u0438\u0432\u0435\u0442"
    octets = text.encode(charset)
    if b"\0" in octets:
        return
    command = b'a SEARCH CHARSET "%b" FROM {%d+}\r\n%b' % (charset.encode(), len(octets), octets)
    assert args(command) == Search(SearchKey(Key.HEADER, name="FROM", text=text))


@pytest.mark.parametrize(
    "charset", ["X-UNKNOWN", "zlib", "idna", "punycode", "unicode_escape", "rot13", "x" * 100, "undefined"]
)
def test_unknown_charset(charset: str) -> None:
    with pytest.raises(BadCharset) as fault:
        read(f"a9 SEARCH CHARSET {charset} TEXT x")
    assert (fault.value.tag, fault.value.status) == (b"a9", b"NO")
    assert fault.value.code.startswith(b"BADCHARSET (")


NO_TAG = [
    "",
    " NOOP",
    "+ NOOP",
    "a*b NOOP",
    "{3+}\r\nabc NOOP",
]


@pytest.mark.parametrize("text", NO_TAG)
def test_unreadable_tag(text: str) -> None:
    with pytest.raises(BadCommand) as fault:
        read(text)
    assert fault.value.tag == b"*"


BAD = [
    "",
    " ",
    " FOO",
    " UID",
    " UID NOOP",
    " UID  FETCH 1 FLAGS",
    "  NOOP",
    " NOOP ",
    " NO\0OP",
    " LOGIN",
    " LOGIN x",
    " LOGIN x ",
    " LOGIN x y z",
    ' LOGIN "x y',
    ' LOGIN "x\\n" y',
    ' LOGIN "x\0" y',
    ' LOGIN "x\r" y',
    " LOGIN {1}x y",
    " LOGIN ~{1+}\r\nx y",
    " LOGIN (x) y",
    " AUTHENTICATE",
    " AUTHENTICATE PLAIN x",
    " AUTHENTICATE PLAIN AHRlc3QAdGVzdA",
    " ENABLE",
    " ENABLE ",
    " ENABLE" + " A" * 200,
    " ID",
    " ID x",
    ' ID ("a")',
    ' ID ("a" "b"',
    " ID (" + " ".join('"a" "b"' for _ in range(40)) + ")",
    " SELECT",
    " SELECT a b",
    " SELECT a ()",
    " SELECT a (FOO)",
    " SELECT a (CONDSTORE CONDSTORE)",
    " SELECT a (QRESYNC)",
    " SELECT a (QRESYNC (0 1))",
    " SELECT a (QRESYNC (1 1 1:*))",
    " SELECT a (QRESYNC (1 1 (1 *)))",
    " SELECT a (QRESYNC (1 1 $))",
    " CREATE a (USE)",
    " CREATE a (USE (x))",
    " CREATE a (USE (" + "\\a " * 50 + "\\a))",
    " RENAME a",
    " LIST",
    ' LIST ""',
    ' LIST "" % RETURN',
    ' LIST "" % RETURN (FOO)',
    ' LIST (FOO) "" %',
    ' LIST (RECURSIVEMATCH) "" %',
    ' LIST (REMOTE RECURSIVEMATCH) "" %',
    ' LIST "" ()',
    ' LIST "" (' + "a " * 200 + "a)",
    ' LIST "" % RETURN (STATUS ())',
    " STATUS a",
    " STATUS a ()",
    " STATUS a (FOO)",
    " STATUS a MESSAGES",
    " APPEND",
    " APPEND a",
    " APPEND a (\\Seen)",
    " GETQUOTA",
    ' SETQUOTA "" (STORAGE)',
    ' SETQUOTA "" (STORAGE -1)',
    " EXPUNGE 1",
    " UID EXPUNGE",
    " COPY 1",
    " COPY 0 a",
    " COPY 01 a",
    " COPY 1,,2 a",
    " COPY 1: a",
    " COPY 1:2:3 a",
    " COPY 4294967296 a",
    " COPY 1:4294967296 a",
    " COPY $,1 a",
    " FETCH",
    " FETCH 1",
    " FETCH 1 ()",
    " FETCH 1 (FLAGS",
    " FETCH 1 FLAGS UID",
    " FETCH 1 (ALL)",
    " FETCH 1 FOO",
    " FETCH 1 BODY[",
    " FETCH 1 BODY[]x",
    " FETCH 1 BODY[0]",
    " FETCH 1 BODY[1.]",
    " FETCH 1 BODY[MIME]",
    " FETCH 1 BODY[1.FOO]",
    " FETCH 1 BODY[HEADER.FIELDS]",
    " FETCH 1 BODY[HEADER.FIELDS ()]",
    " FETCH 1 BODY[]<1>",
    " FETCH 1 BODY[]<1.0>",
    " FETCH 1 BODY.PEEK",
    " FETCH 1 BINARY",
    " FETCH 1 BINARY[HEADER]",
    " FETCH 1 BINARY.SIZE[1]<0.1>",
    " FETCH 1 RFC822[]",
    " FETCH 1 BODY[" + "1." * 200 + "1]",
    " FETCH 1 (" + " ".join(f"BODY[{n}]" for n in range(1, 1200)) + ")",
    " FETCH 1 FLAGS (CHANGEDSINCE)",
    " FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
    " STORE 1",
    " STORE 1 FLAGS",
    " STORE 1 FOO (\\Seen)",
    " STORE 1 FLAGS (\\Seen",
    " STORE 1 FLAGS (\\Foo)",
    " STORE 1 FLAGS (\\Recent)",
    " STORE 1 FLAGS (\\Seen,)x",
    " STORE 1 FLAGS (a  b)",
    " STORE 1 (UNCHANGEDSINCE) FLAGS (a)",
    " STORE 1 FLAGS (" + "a " * 1500 + "a)",
    " SEARCH",
    " SEARCH ",
    " SEARCH FOO",
    " SEARCH AND",
    " SEARCH ()",
    " SEARCH (SEEN",
    " SEARCH SEEN)",
    " SEARCH NOT",
    " SEARCH OR SEEN",
    " SEARCH FROM",
    " SEARCH SINCE 1-Foo-1994",
    " SEARCH SINCE 31-Feb-1994",
    " SEARCH SINCE 1-Jan-0000",
    " SEARCH LARGER x",
    " SEARCH LARGER 99999999999999999999",
    " SEARCH OLDER 0",
    " SEARCH RETURN SEEN",
    " SEARCH RETURN (FOO) SEEN",
    " SEARCH RETURN (ALL)",
    " SEARCH CHARSET UTF-8",
    " SEARCH KEYWORD \\Seen",
    ' SEARCH MODSEQ "/x" all 1',
    ' SEARCH MODSEQ "/flags/x" 1',
    " SEARCH " + "NOT " * 200 + "SEEN",
    " SEARCH " + "(" * 5000 + "SEEN" + ")" * 5000,
    " SEARCH " + "SEEN " * 6000 + "SEEN",
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_grammar_gives_one_bad_with_the_tag(text: str) -> None:
    with pytest.raises(BadCommand) as fault:
        read("Tag7" + text)
    assert fault.value.tag == b"Tag7"
    assert fault.value.status == b"BAD"
    assert fault.value.text.isascii()
    assert "\r" not in fault.value.text


def test_octets_that_are_not_utf8() -> None:
    for line in (
        b'a LOGIN "\xff" x',
        b"a SEARCH TEXT {1+}\r\n\xff",
        b'a SEARCH CHARSET utf-8 TEXT "\xff"',
        b"a SELECT \xff",
    ):
        with pytest.raises(BadCommand) as fault:
            read(line)
        assert fault.value.status == b"BAD"
    with pytest.raises(BadMailbox):
        read(b"a SELECT {1+}\r\n\xff")


def test_states() -> None:
    with pytest.raises(BadCommand, match="log in first"):
        parse(Line(b"a SELECT x"), False, State.NOT_AUTHENTICATED)
    with pytest.raises(BadCommand, match="select a mailbox"):
        parse(Line(b"a FETCH 1 FLAGS"), False, State.AUTHENTICATED)
    with pytest.raises(BadCommand, match="already"):
        parse(Line(b"a LOGIN a b"), False, State.SELECTED)
    assert parse(Line(b"a NOOP"), False, State.SELECTED).name == "NOOP"


def test_rfc9051_7_5_1_no_expunge_while_numbers_are_in_use() -> None:
    numbered = {row.name for row in COMMANDS.values() if not row.expunge_ok}
    assert numbered == {"FETCH", "STORE", "SEARCH", "SORT", "THREAD"}


def test_describe() -> None:
    rows = describe()
    assert ("UID FETCH", "RFC 9051 6.4.9", "selected") in rows
    assert ("NOOP", "RFC 9051 6.1.2", "any") in rows


@given(st.binary(max_size=200))
def test_garbage_is_answered(data: bytes) -> None:
    try:
        command = parse(Line(b"t " + data))
    except BadCommand as fault:
        assert fault.tag in (b"t", b"*")
    else:
        assert command.tag == b"t"


WORDS = (
    b"FETCH UID SEARCH STORE 1:* 2 ( ) FLAGS BODY[ ] <0.1> OR NOT \\Seen +FLAGS $ CHARSET UTF-8 TEXT LIST RETURN STATUS"
    b' * SELECT QRESYNC HEADER.FIELDS BINARY &- CREATE ID NIL " "x" \\ \0 \xff {1+}\r\n \r'
).split(b" ")


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.booleans())
def test_words_in_any_order_are_answered(words: list[bytes], utf8: bool) -> None:
    try:
        command = parse(Line(b"t " + b" ".join(words), (b"x", b"\xff")), utf8)
    except BadCommand as fault:
        assert fault.tag == b"t"
    else:
        assert command.tag == b"t"


def test_what_is_sent_again_is_understood_again() -> None:
    """Also by other connections, under other names of the moment, and where only the tag differs."""
    line = b"STATUS &AOk- (MESSAGES UNSEEN)"
    first, again = parse(Line(b"a " + line)), parse(Line(b"b2 " + line))
    assert first.args == again.args
    assert (first.tag, again.tag) == (b"a", b"b2")
    assert parse(Line(b"a " + line), True).args.mailbox == "&AOk-"  # type: ignore[attr-defined]
    assert again.args.mailbox == "é"  # type: ignore[attr-defined]
    for tag in (b"a", b"b2", b"a"):
        with pytest.raises(BadCommand, match=f"octet {len(tag) + 15}$") as caught:
            parse(Line(tag + b" STATUS INBOX MESSAGES"))
        assert caught.value.tag == tag
