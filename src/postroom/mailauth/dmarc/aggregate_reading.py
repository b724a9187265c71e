"""Reading DMARC aggregate reports as they are really sent: by RFC 9990, by RFC 7489, and by habit.

Lenient about what does not matter (namespaces, order, missing version, case, unknown elements), strict about what
does: times, the domain, addresses and counts. A row that cannot be read is left out and counted.
Trusts nothing: a DOCTYPE or entity ends the reading; depth, text, children and rows have limits, so that memory is
bounded by the size of the input, which the caller limits.
Standards: RFC 9990 3.1.1, 5 (extensions are passed over), 8.1; RFC 7489 Appendix C.
On failure: BadReport with the reason, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final
from xml.parsers import expat

from postroom.mailauth.dmarc.aggregate import MOST_SIGNATURES, Aggregate, DkimTold, Override, Published, Row, SpfTold
from postroom.mailauth.names import a_labels, shown

#: octets of the XML that are read at all; rows that are kept
LARGEST: Final = 16 * 1024 * 1024
MOST_ROWS: Final = 50_000
_DEEPEST: Final = 16
_LONGEST: Final = 2000  # characters of an element
_MOST_CHILDREN: Final = 250
_SLICE: Final = 64 * 1024
_MOST_COUNT: Final = 10**12
_YEAR_2000, _YEAR_2200 = 946_684_800, 7_258_118_400

_DISPOSITIONS: Final = frozenset({"none", "pass", "quarantine", "reject"})
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_RESULTS: Final = frozenset({"none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror"})
#: words of drafts that some programs still write
_OLD_WORDS: Final = {"hardfail": "fail", "error": "temperror", "unknown": "permerror", "discard": "fail"}


class BadReport(ValueError):
    """Not a report that can be used; the text says why."""


class _Node:
    """An element: its local name, text and children."""

    __slots__ = ("children", "name", "pieces", "room")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces: list[str] = []
        self.room = _LONGEST
        self.children: list[_Node] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    def all(self, name: str) -> Iterator[_Node]:
        return (child for child in self.children if child.name == name)

    def child(self, name: str) -> _Node:
        """The first child of this name; an empty one when there is none."""
        return next(self.all(name), _Node(name))

    def told(self, *names: str) -> str:
        """The text of the first of these children that says anything, printable."""
        for name in names:
            for child in self.all(name):
                if child.text:
                    return shown(child.text, _LONGEST)
        return ""

    def word(self, name: str) -> str:
        return self.told(name).lower()


class _Reader:
    """Takes elements in, and rows out as soon as each is whole."""

    def __init__(self) -> None:
        self.stack: list[_Node] = []
        self.root: _Node | None = None
        self.rows: list[Row] = []
        self.omitted = 0
        self.domain = ""  # of policy_published, for rows that name none

    def start(self, name: str, _attributes: Any) -> None:
        node = _Node(name.rpartition(":")[2].lower())
        if len(self.stack) >= _DEEPEST:
            raise BadReport("its elements are nested too deep")
        if not self.stack:
            if node.name != "feedback" or self.root is not None:
                raise BadReport(f"it is no DMARC report: its root is <{shown(node.name, 40)}>")
            self.root = node
        elif len(self.stack[-1].children) < _MOST_CHILDREN and (len(self.stack) > 1 or node.name != "record"):
            self.stack[-1].children.append(node)
        self.stack.append(node)

    def text(self, data: str) -> None:
        if self.stack and self.stack[-1].room > 0:
            node = self.stack[-1]
            node.pieces.append(data[: node.room])
            node.room -= len(data)

    def end(self, _name: str) -> None:
        node = self.stack.pop()
        if len(self.stack) != 1:
            return
        if node.name == "record":
            self._record(node)
        elif node.name == "policy_published":
            self.domain = self.domain or a_labels(node.told("domain"))

    def _record(self, node: _Node) -> None:
        row = _row(node, self.domain) if len(self.rows) < MOST_ROWS else None
        if row is None:
            self.omitted += 1
        else:
            self.rows.append(row)


def _refuse(*_: Any) -> None:
    """RFC 9990 8.1: nothing that can expand is read."""
    raise BadReport("it has a DOCTYPE or entities, which no report needs")


def read_aggregate(octets: bytes) -> Aggregate:
    """The report in these octets, which are XML. Raises BadReport."""
    if len(octets) > LARGEST:
        raise BadReport(f"it has more than {LARGEST} octets")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse  # type: ignore[assignment]
    octets = octets.strip(b" \t\r\n\0")
    try:
        for start in range(0, len(octets), _SLICE):
            parser.Parse(octets[start : start + _SLICE], False)
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as fault:  # ValueError: an encoding that Python cannot map
        if isinstance(fault, BadReport):
            raise
        raise BadReport(f"it is no XML that can be read: {shown(str(fault), 100)}") from fault
    assert reader.root is not None
    return _aggregate(reader.root, reader)


def _aggregate(root: _Node, reader: _Reader) -> Aggregate:
    about = root.child("report_metadata")
    times = about.child("date_range")
    begin, end = _seconds(times.told("begin")), _seconds(times.told("end"))
    if end < begin:
        raise BadReport("its time ends before it begins")
    published = _published(root.child("policy_published"))
    name = about.told("report_id")
    if not name:
        raise BadReport("it has no report_id")
    if not reader.rows:
        raise BadReport("no row of it can be read" if reader.omitted else "it has no rows")
    return Aggregate(
        org=about.told("org_name"),
        email=about.told("email"),
        id=name[:500],
        begin=begin,
        end=end,
        published=published,
        rows=tuple(reader.rows),
        contact=about.told("extra_contact_info"),
        errors=tuple(shown(one.text, 500) for one in list(about.all("error"))[:10] if one.text),
        generator=about.told("generator"),
        version=root.told("version"),
        omitted=reader.omitted,
    )


def _seconds(text: str) -> int:
    """Unix seconds; some write a fraction, and some milliseconds."""
    whole = text.partition(".")[0]
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 13):
        raise BadReport(f'its time "{shown(text, 40)}" is no number of seconds')
    found = int(whole) // (1000 if len(whole) == 13 else 1)
    if not _YEAR_2000 <= found <= _YEAR_2200:
        raise BadReport(f"its time {found} cannot be true")
    return found


def _published(node: _Node) -> Published:
    domain = a_labels(node.told("domain"))
    if not domain:
        raise BadReport("it does not say what domain it is about")
    policies = [word if (word := node.word(name)) in _POLICIES else "" for name in ("p", "sp", "np")]
    return Published(
        domain=domain,
        policy=policies[0] or "none",
        subdomains=policies[1],
        missing=policies[2],
        adkim=node.word("adkim")[:1],
        aspf=node.word("aspf")[:1],
        failure_options=node.told("fo")[:20],
        testing=node.word("testing")[:1],
        discovery=node.word("discovery_method")[:20],
        percent=node.told("pct")[:3],
    )


def _row(node: _Node, domain: str) -> Row | None:
    """One record; None when it does not say who sent how much."""
    line = node.child("row")
    evaluated = line.child("policy_evaluated")
    names = next(node.all("identifiers"), None) or node.child("identities")
    try:
        ip = str(ip_address(line.told("source_ip")))
    except ValueError:
        return None
    count = line.told("count")
    if not (count.isascii() and count.isdigit()) or not 0 < int(count[:20]) <= _MOST_COUNT:
        return None
    results = node.child("auth_results")
    disposition = evaluated.word("disposition")
    envelope = next(names.all("envelope_from"), None)
    return Row(
        ip=ip,
        count=int(count),
        disposition=disposition if disposition in _DISPOSITIONS else "none",
        dkim=evaluated.word("dkim") == "pass",
        spf=evaluated.word("spf") == "pass",
        header_from=a_labels(names.told("header_from")) or domain,
        envelope_from=None if envelope is None else a_labels(envelope.text),
        reasons=tuple(
            Override(one.word("type")[:40] or "other", one.told("comment")[:300]) for one in evaluated.all("reason")
        )[:10],
        dkims=tuple(
            DkimTold(a_labels(one.told("domain")), one.told("selector")[:253], _result(one))
            for one in results.all("dkim")
        )[:MOST_SIGNATURES],
        spfs=tuple(SpfTold(a_labels(one.told("domain")), _result(one)) for one in results.all("spf"))[:10],
    )


def _result(node: _Node) -> str:
    word = node.word("result")
    word = _OLD_WORDS.get(word, word)
    return word if word in _RESULTS else "none"
