"""docs/protocols.md: every standard and extension Postroom speaks, and the test that proves it.

Purpose: what the code's own tables know (commands, capabilities, keywords) comes from them; docs/protocols.toml adds
the proofs and what no table knows. A test keeps the page current: `python -m postroom.testing.protocol_table FILE`
writes it.
Ownership: pure functions from tables to text; only `load` and `main` touch files.
On failure: BadTable, which names the row and what is wrong with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from postroom.sieve.extensions import EXTENSIONS
from postroom.testing.citations import citations
from postroom.wire import pop3, smtp
from postroom.wire.imap import capability, table
from postroom.wire.managesieve.commands import COMMANDS
from postroom.wire.smtp.options import ServerOptions

_HOSTNAME: Final = "nowhere.example"


class BadTable(Exception):
    """docs/protocols.toml and the code do not fit together."""


class Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One row. cites: "RFC 5321 4.1.2"; tests: "path below tests/::function", what proves it.

    partly: what is missing, "" when nothing is; absent: not in this version, and why or since when another way exists;
    features: rows of the feature table that the project is measured against.
    """

    name: str
    title: str = ""
    cites: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    partly: str = ""
    absent: str = ""
    features: tuple[str, ...] = ()


Curated = Mapping[str, Sequence[Entry]]


class Chapter(NamedTuple):
    """A heading with its table; absent rows are kept for the last chapter. key: of docs/protocols.toml."""

    key: str
    title: str
    text: str
    entries: tuple[Entry, ...]


def load(path: Path) -> Curated:
    """The curated rows, by chapter. Raises BadTable, OSError."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, list[Entry]])
    except msgspec.DecodeError as fault:
        raise BadTable(f"{path.name}: {fault}") from fault


# -- what the code knows ----------------------------------------------------------------------------------------------
def smtp_commands() -> list[Entry]:
    """The SMTP command table; the title says where a command belongs to some services only."""
    rows = []
    for command in smtp.COMMANDS:
        services = [profile for profile in smtp.Profile if profile in command.profiles]
        where = "" if len(services) == len(smtp.Profile) else ", ".join(services)
        rows.append(Entry(name=command.name, title=where, cites=(command.rfc,)))
    return rows


def smtp_keywords() -> list[Entry]:
    """What EHLO and LHLO announce at most, in their order."""
    names: dict[str, None] = {}
    for profile in smtp.Profile:
        options = ServerOptions(hostname=_HOSTNAME, profile=profile)
        latest = "2026-12-24T00:00:00Z" if profile is smtp.Profile.SUBMISSION else ""
        offered = options.keywords(starttls=True, mechanisms=("PLAIN",), secure=True, latest=latest)
        names.update((line.partition(" ")[0], None) for line in offered)
    return [Entry(name=name) for name in names]


def pop3_commands() -> list[Entry]:
    """The POP3 command table with the states of each command."""
    return [
        Entry(
            name=row.name,
            title=", ".join(state.lower() for state in pop3.State if state in row.states),
            cites=(row.rfc,),
        )
        for row in pop3.COMMANDS
    ]


def pop3_capabilities() -> list[Entry]:
    """What CAPA answers at most: before TLS and with it."""
    names: dict[str, None] = {}
    for session in (
        pop3.Pop3Session(pop3.Pop3Options(), starttls=True),
        pop3.Pop3Session(pop3.Pop3Options(), secure=True, mechanisms=("PLAIN",)),
    ):
        session.feed(b"CAPA\r\n")
        session.next_event()
        lines = session.data_to_send().decode("ascii").split("\r\n")
        names.update((line.partition(" ")[0], None) for line in lines[1 : lines.index(".")])
    return [Entry(name=name) for name in names]


def imap_commands() -> list[Entry]:
    """The IMAP command table with the states of each command."""
    return [Entry(name=name, title=states, cites=(rfc,)) for name, rfc, states in table.describe()]


def imap_capabilities() -> list[Entry]:
    """The IMAP capability table."""
    return [Entry(name=name, title=title, cites=(rfc,)) for name, rfc, title in capability.describe()]


def sieve_extensions() -> list[Entry]:
    """What scripts may require."""
    return [Entry(name=name, cites=(document,)) for name, document in sorted(EXTENSIONS.items())]


def managesieve_commands() -> list[Entry]:
    """The ManageSieve command table."""
    return [Entry(name=name.decode("ascii"), cites=("RFC 5804 2",)) for name in sorted(COMMANDS)]


#: key in docs/protocols.toml, heading, what stands below it, and the table in the code the rows come from, if any
_PLAN: Final = (
    ("smtp_commands", "SMTP, submission and LMTP: commands", "From the command table of `wire.smtp`.", smtp_commands),
    ("smtp_keywords", "SMTP, submission and LMTP: extensions", "What `EHLO` and `LHLO` announce.", smtp_keywords),
    ("smtp_rules", "SMTP, submission and LMTP: rules", "", None),
    ("pop3_commands", "POP3: commands", "From the command table of `wire.pop3`.", pop3_commands),
    ("pop3_capabilities", "POP3: capabilities", "What `CAPA` announces.", pop3_capabilities),
    ("pop3_rules", "POP3: rules", "", None),
    ("imap_commands", "IMAP: commands", "From the command table of `wire.imap`.", imap_commands),
    ("imap_capabilities", "IMAP: capabilities", "What `CAPABILITY` announces.", imap_capabilities),
    ("imap_codes", "IMAP: response codes", "What a reply says besides OK, NO, BAD or BYE, and when.", None),
    ("imap_rules", "IMAP: rules", "", None),
    ("sieve", "Sieve: extensions", "What `require` knows: the table of `sieve.extensions`.", sieve_extensions),
    ("sieve_rules", "Sieve: rules", "", None),
    ("managesieve", "ManageSieve: commands", "From the command table of `wire.managesieve`.", managesieve_commands),
    ("sasl", "Logging in", "The same mechanisms in SMTP submission, POP3 and IMAP.", None),
    ("tls", "TLS and connections", "", None),
    ("message", "Messages and MIME", "", None),
    ("dns", "DNS", "", None),
    ("mailauth", "Who sent this: SPF, DKIM, ARC, DMARC", "", None),
    ("reports", "Reports to senders", "", None),
    ("http", "For programs: sending over HTTP, webhooks", "", None),
)
_ABSENT: Final = ("absent", "Not in this version", "Not announced, so no client asks for it.")


# -- joining and printing ---------------------------------------------------------------------------------------------
def chapters(curated: Curated) -> tuple[Chapter, ...]:
    """The tables of the code joined with the curated rows. Raises BadTable."""
    unknown = set(curated) - {key for key, *_ in _PLAN} - {_ABSENT[0]}
    if unknown:
        raise BadTable(f"no such chapter: {', '.join(sorted(unknown))}")
    found = []
    for key, title, text, source in _PLAN:
        rows = tuple(curated.get(key, ()))
        entries = rows if source is None else _join(key, source(), rows)
        for entry in entries:
            _check(key, entry)
        found.append(Chapter(key, title, text, entries))
    for entry in curated.get(_ABSENT[0], ()):
        if not entry.absent:
            raise BadTable(f"{_ABSENT[0]}: {entry.name} does not say why it is absent")
    found.append(Chapter(*_ABSENT, tuple(curated.get(_ABSENT[0], ()))))
    return tuple(found)


def _join(key: str, known: Iterable[Entry], rows: Iterable[Entry]) -> tuple[Entry, ...]:
    """Each row the code knows, with what the curated row of that name says beyond it."""
    said = {row.name: row for row in rows}
    joined = []
    for row in known:
        more = said.pop(row.name, None)
        if more is None:
            raise BadTable(f"{key} has no row for {row.name}")
        joined.append(msgspec.structs.replace(more, title=more.title or row.title, cites=more.cites or row.cites))
    if said:
        raise BadTable(f"{key} has rows that the code does not know: {', '.join(said)}")
    return tuple(joined)


def _check(key: str, entry: Entry) -> None:
    if bool(entry.tests) == bool(entry.absent):
        raise BadTable(f"{key}: {entry.name} needs either the tests that prove it or why it is absent")
    for cite in entry.cites:
        if cite.startswith("RFC") and (len(citations(cite)) != 1 or str(citations(cite)[0]) != cite):
            raise BadTable(f"{key}: {entry.name} cites {cite!r}; write RFC 5321 4.1.2")


def render(found: Sequence[Chapter]) -> str:
    """The page."""
    entries = [entry for chapter in found for entry in chapter.entries]
    absent = [entry for entry in entries if entry.absent]
    partly = [entry for entry in entries if entry.partly]
    whole = len(entries) - len(absent) - len(partly)
    parts = [
        "# Protocols",
        "Every standard and extension Postroom speaks, and the test that proves it. Written by\n"
        "`python -m postroom.testing.protocol_table docs/protocols.md` from the command and capability tables in the\n"
        "code and from [protocols.toml](protocols.toml); edit those. Paths of tests are below `tests/`.",
        f"{whole} rows are complete, {len(partly)} partly there, {len(absent)} not in this version.",
    ]
    for chapter in found[:-1]:
        parts += [f"## {chapter.title}", *([chapter.text] if chapter.text else []), _table(chapter.entries)]
    parts += [f"## {found[-1].title}", found[-1].text, _absent_table(absent)]
    return "\n\n".join(parts) + "\n"


def _table(entries: Iterable[Entry]) -> str:
    lines = ["| | standard | status | proof |", "|---|---|---|---|"]
    for entry in entries:
        if not entry.absent:
            status = f"partly: {entry.partly}" if entry.partly else "yes"
            lines.append(_line(_title(entry), ", ".join(entry.cites), status, "<br>".join(map(_link, entry.tests))))
    return "\n".join(lines)


def _absent_table(entries: Iterable[Entry]) -> str:
    lines = ["| | standard | note |", "|---|---|---|"]
    return "\n".join(lines + [_line(_title(entry), ", ".join(entry.cites), entry.absent) for entry in entries])


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") or "–" for cell in cells) + " |"


def _title(entry: Entry) -> str:
    return f"**{entry.name}** {entry.title}".rstrip()


def _link(test: str) -> str:
    return f"[`{test}`](../tests/{test.partition('::')[0]})"


def page(curated: Path) -> str:
    """The text of docs/protocols.md. Raises BadTable, OSError."""
    return render(chapters(load(curated)))


def main(arguments: Sequence[str]) -> int:
    """Write the page named by the only argument; its .toml lies beside it. The exit code."""
    if len(arguments) != 1:
        print("usage: python -m postroom.testing.protocol_table docs/protocols.md", file=sys.stderr)
        return 2
    target = Path(arguments[0])
    try:
        text = page(target.with_suffix(".toml"))
    except (BadTable, OSError) as fault:
        print(fault, file=sys.stderr)
        return 1
    target.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
