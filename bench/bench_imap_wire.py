"""CPU of the IMAP wire in microseconds: parsing commands, printing rows.

Run: PYTHONPATH=src python bench/bench_imap_wire.py

Best of several rounds, so that a busy machine disturbs it least. "parse" is from octets to a typed command, framing and
session included.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from time import perf_counter

from postroom.wire.imap import dates, names, response, sequence
from postroom.wire.imap.capability import Offer
from postroom.wire.imap.commands import Attribute, Command
from postroom.wire.imap.rows import FlagTexts, RowFormat
from postroom.wire.imap.session import Session

COMMANDS = (
    b"a1 NOOP",
    b"a1 IDLE",
    b"a1 CAPABILITY",
    b"a1 SELECT INBOX",
    b"a1 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))",
    b"a1 UID FETCH 1:* (FLAGS)",
    b"a1 UID FETCH 4711 (UID BODY.PEEK[])",
    b"a1 FETCH 17 BODY.PEEK[]",
    b"a1 FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
    b"a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 123456 VANISHED)",
    b"a1 UID FETCH 12:40,45 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID)])",
    b"a1 STORE 17 +FLAGS (\\Seen)",
    b"a1 UID STORE 17,20:25 +FLAGS.SILENT (\\Deleted)",
    b"a1 UID COPY 17 Trash",
    b'a1 UID MOVE 17 "Entw&APw-rfe"',
    b"a1 UID SEARCH UNSEEN",
    b'a1 SEARCH RETURN (MIN MAX COUNT) CHARSET UTF-8 SINCE 1-Feb-1994 NOT FROM "Smith" OR SEEN (LARGER 100 DELETED)',
    b'a1 LIST "" "*"',
    b'a1 LIST (SUBSCRIBED) "" ("INBOX" "Work/%") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))',
    b"a1 STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY HIGHESTMODSEQ)",
    b"a1 CREATE {6+}\r\nDrafts (USE (\\Drafts))",
)
ENVELOPE = (
    b'("Mon, 7 Feb 1994 21:52:25 -0800" "A subject of usual length for mail" '
    + b'(("A" NIL "b" "c.example")) ' * 6
    + b"NIL)"
)


def best(run: Callable[[], object], count: int, rounds: int = 7) -> float:
    """Microseconds for each of count operations that one call of run does."""
    fastest = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        run()
        fastest = min(fastest, perf_counter() - start)
    return fastest / count * 1e6


def session() -> Session:
    made = Session(Offer())
    made.logged_in()
    made.selected()
    return made


def parse_all(stream: bytes, count: int) -> None:
    wire = session()
    wire.feed(stream)
    for _ in range(count):
        if not isinstance(wire.next_event(), Command):
            raise AssertionError(stream[:100])


def parsing() -> None:
    count = 2000
    for command in COMMANDS:
        stream = (command + b"\r\n") * count
        cost = best(lambda stream=stream: parse_all(stream, count), count)  # type: ignore[misc]
        print(f"parse {cost:7.2f}  {command.decode()!r}")


def printing() -> None:
    count = 10_000
    uids = array("I", range(1, 2 * count, 2))
    flags = bytes([0, 1, 1, 5, 9]) * (count // 5)
    plain, marked = array("Q", bytes(8 * count)), array("Q", [0, 1, 2, 3, 0] * (count // 5))
    sizes = array("I", range(1000, 1000 + count))
    days = array("q", range(10**9, 10**9 + count * 1000, 1000))
    envelopes = [ENVELOPE] * count
    texts = FlagTexts(("$Junk", "$Forwarded"))
    short = RowFormat((Attribute.UID, Attribute.FLAGS))
    medium = RowFormat((Attribute.UID, Attribute.FLAGS, Attribute.ENVELOPE))
    full = RowFormat((Attribute.UID, Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE))
    seqs = range(1, count + 1)
    runs: dict[str, Callable[[], object]] = {
        "FETCH (UID FLAGS)": lambda: short.rows(seqs, (uids, texts.column(flags, plain)), count),
        "FETCH (UID FLAGS) with keywords": lambda: short.rows(seqs, (uids, texts.column(flags, marked)), count),
        f"FETCH (UID FLAGS ENVELOPE of {len(ENVELOPE)})": lambda: medium.rows(
            seqs, (uids, texts.column(flags, plain), envelopes), count
        ),
        "joining the envelopes alone": lambda: b"".join(envelopes),
        "FETCH FAST + ENVELOPE": lambda: full.rows(
            seqs, (uids, texts.column(flags, plain), dates.print_date_times(days), sizes, envelopes), count
        ),
        "INTERNALDATE alone": lambda: dates.print_date_times(days),
        "SEARCH numbers": lambda: response.search(uids),
        "sequence set of every other UID": lambda: sequence.print_set(uids),
        "sequence set of a run": lambda: sequence.print_set(seqs),
    }
    for title, run in runs.items():
        print(f"print {best(run, count):7.3f}  a message: {title}")
    for name in ("INBOX/Work", "Entwürfe/日本語"):
        coded = names.encode(name)
        cost = best(lambda name=name: [names.encode(name) for _ in range(1000)], 1000)  # type: ignore[misc]
        back = best(lambda coded=coded: [names.decode(coded) for _ in range(1000)], 1000)  # type: ignore[misc]
        print(f"names {cost:7.2f}  encode, {back:.2f} decode {coded.decode()}")


if __name__ == "__main__":
    parsing()
    printing()
