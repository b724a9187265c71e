"""What the documents tell people to type: every command is there, with these options and as many words as it takes.

Read as commands are lines of examples and `inline code` that begin with `postroom`. Notations: [may be left out],
one|another, NAMES in capitals and … for what people fill in. Examples are parsed by the command they name, as the
program would; of inline code only the words that are there are looked at.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from postroom.cli.main import COMMANDS, root
from postroom.config.manual import describe
from postroom.observe.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

#: behind what of a shell a command may stand
_LEAD = re.compile(r"^(?:sudo |runuser \S+ \S+ -- |\S*=\S+ )*(?:/\S*/)?postroom ")
_INLINE = re.compile(r"(?<!`)`(postroom [^`]+)`")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_FILLED_IN = re.compile(r"[A-Z][A-Z0-9_.-]*|.*…")


@dataclass(frozen=True, slots=True)
class Told:
    """A command as a document has it; whole: it could be typed so."""

    page: str
    line: int
    text: str
    whole: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def commands(page: str, text: str) -> Iterator[Told]:
    """The commands of a document."""
    prose = _FENCE.sub(lambda block: re.sub(r"^(?!```)", "    ", block[0], flags=re.MULTILINE), text)
    lines = prose.split("\n")
    for number, line in enumerate(lines, 1):
        if line.startswith("    ") and (lead := _LEAD.match(line.strip())):
            words, after = line.strip()[lead.end() :], number
            while words.endswith("\\"):
                words, after = words[:-1] + lines[after].strip(), after + 1
            yield Told(page, number, words, True)
    flat = re.sub(r"^    .*$", "", prose, flags=re.MULTILINE)
    for found in _INLINE.finditer(flat):
        yield Told(page, flat[: found.start()].count("\n") + 1, found[1].removeprefix("postroom "), False)


def words_of(text: str) -> list[str]:
    """Words without notations and remarks; of alternatives all, joined by "|"."""
    plain = re.sub(r"[\[\]]", " ", text.partition(" #")[0])
    plain = re.split(r" (?:[|;]|&&|>>?|<<?) ", plain + " ")[0]
    return shlex.split(plain)


def faults(told: Told) -> list[str]:
    """What is not so."""
    try:
        words = words_of(told.text)
    except ValueError as fault:
        return [f"{told}: {fault}"]
    with click.Context(root) as context:
        return [f"{told}: {fault}" for fault in _faults(root, words, context, whole=told.whole)]


def _faults(command: click.Command, words: list[str], context: click.Context, *, whole: bool) -> list[str]:
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = []
        for name in words[0].rstrip(",").split("|"):
            if _FILLED_IN.fullmatch(name):
                continue
            below = command.get_command(context, name) if command is not root or name in COMMANDS else None
            if below is None:
                return [f"there is no {name!r}"]
            with click.Context(below, info_name=name, parent=context) as inner:
                found += _faults(below, words[1:], inner, whole=whole and "|" not in words[0])
        return found
    if whole:
        return _unparsed(command, words, context)
    known = {opt for param in command.get_params(context) for opt in (*param.opts, *param.secondary_opts)}
    given = [opt.partition("=")[0] for word in words for opt in word.split("|") if opt.startswith("-")]
    return [f"no option {opt}" for opt in given if opt not in known and len(opt) > 1]


def _unparsed(command: click.Command, words: list[str], context: click.Context) -> list[str]:
    """What the command's own parser says of it; files need not be there, and names to fill in need not fit."""
    try:
        given, rest, _ = command.make_parser(context).parse_args([word.partition("|")[0] for word in words])
        if rest:
            return [f"more words than it takes: {' '.join(rest)}"]
        for param in command.get_params(context):
            value = given.get(param.name)
            several = value if isinstance(value, (tuple, list)) else [value]
            if isinstance(param.type, click.Path | click.File) or any(
                _FILLED_IN.fullmatch(str(one)) for one in several
            ):
                continue
            if param.name in given:
                param.process_value(context, param.consume_value(context, given)[0])
    except click.ClickException as fault:
        return [fault.format_message()]
    return []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_documents_tell_to_type_can_be_typed(page: Path) -> None:
    assert [fault for told in commands(page.name, page.read_text("utf-8")) for fault in faults(told)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("user ad ann@example.org", "there is no 'ad'"),
        ("mailboxes", "there is no 'mailboxes'"),
        ("user add ann@example.org --qouta 5G", "No such option"),
        ("user add", "Missing argument"),
        ("user add ann@example.org ben@example.org", "more words"),
        ("domain set example.org --spoof never", "never"),
        ("rules show|sett", "there is no 'sett'"),
    ],
)
def test_what_is_wrong_is_noticed(text: str, fault: str) -> None:
    (found,) = faults(Told("page", 1, text, whole=True))
    assert fault in found


def test_inline_code_need_not_be_whole() -> None:
    assert faults(Told("page", 1, "user add", whole=False)) == []
    assert faults(Told("page", 1, "user add --quotas 5G", whole=False)) == [
        "page:1: user add --quotas 5G: no option --quotas"
    ]


def test_what_is_read() -> None:
    prose = "Say `postroom check\n--repair`.\n"
    example = "    sudo postroom user list    # all\n    see postroom\n"
    fence = "```\npostroom queue \\\n  list\n```\n"
    text = "\n".join((prose, example, fence))
    found = [(told.line, told.text, told.whole) for told in commands("page", text)]
    assert found == [(4, "user list    # all", True), (8, "queue list", True), (1, "check\n--repair", False)]
    assert words_of("user set ANN [--off|--on]   # both") == ["user", "set", "ANN", "--off|--on"]


# -- names of options and events --------------------------------------------------------------------------------------
_DOTTED = re.compile(r"(?<!`)`(([a-z_]+)\.([a-z_0-9]+))(?: = [^`]*)?`")
_OPTIONS = {option.key for option in describe()}
_SECTIONS = {key.partition(".")[0] for key in _OPTIONS}


def unknown(text: str) -> list[str]:
    """`section.name` that is neither an option, nor an event, nor a file."""
    return [
        name
        for name, section, rest in _DOTTED.findall(text)
        if section in _SECTIONS and name not in _OPTIONS | CATALOGUE.keys() and rest not in ("db", "py")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_and_events_that_are_named_exist(page: Path) -> None:
    rooms = {path.name for path in (ROOT / "src" / "postroom").iterdir()}
    assert [name for name in unknown(page.read_text("utf-8")) if name.partition(".")[0] not in rooms] == []


def test_an_option_that_is_not_there_is_noticed() -> None:
    text = "`limits.recipients`, `limits.recipient`, `quota.near`, `quarantine.db`, `relay.connections = 4`"
    assert unknown(text) == ["limits.recipient"]
