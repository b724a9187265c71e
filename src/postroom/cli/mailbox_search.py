"""`postroom mailbox search`: messages of an account by the query language."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from postroom.cli.codes import Exit
from postroom.cli.output import emit_json, json_option, line, moment, octets, say
from postroom.cli.people import mail_of
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.index.query import Node
    from postroom.index.snippets import Snippet
    from postroom.mailbox.finding import Hit
    from postroom.store.api import AccountStore

_SHOWN = 50
_WIDEST = 60


#: a query may begin with a minus
QUERIES: Final[dict[str, Any]] = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


@click.command(short_help="Find messages.", context_settings=QUERIES)
@click.argument("account", metavar="ACCOUNT")
@click.argument("words", nargs=-1, metavar="[QUERY]...")
@click.option("--limit", "most", type=click.IntRange(1), default=_SHOWN, help=f"Show so many. [{_SHOWN}]")
@click.option("--ranked", is_flag=True, help="Best first; words may have slips of the keyboard.")
@click.option("--deleted", is_flag=True, help="Also what was deleted and can be brought back.")
@json_option
@config_option
def search(words: tuple[str, ...], as_json: bool, config_file: str | None, **options: Any) -> None:
    """Find messages in all mailboxes of an account, newest first.

    Words and "phrases" must all be there; OR, - (not) and ( ) combine. Fields: from: to: cc: with: subject: body:
    filename: list: header: in: is: has: larger: smaller: before: after: on: older_than: newer_than: msgid: keyword:

    \b
        postroom mailbox search ann@example.org 'from:ben has:pdf after:2026-01'
        postroom mailbox search ann@example.org '"annual report" -in:trash'

    Exit code 3: nothing was found.
    """
    query = parsed(joined(words))
    site = find_site(config_file)
    started = time.monotonic()
    found, shown = run(_search(site, query, options))
    if as_json:
        seconds = round(time.monotonic() - started, 3)
        emit_json(total=found, shown=len(shown), seconds=seconds, messages=shown)
    else:
        for one in shown:
            _print(one)
        first = "best" if options["ranked"] else "newest"
        more = f", the {first} {len(shown)} are shown (--limit)" if len(shown) < found else ""
        say(f"{found} message{'s' * (found != 1)} found{more}")
    if not found:
        click.get_current_context().exit(Exit.NOT_FOUND)


def joined(words: tuple[str, ...]) -> str:
    """The query that these words of a command line are. Raises click.NoSuchOption for what was meant as one."""
    for word in words:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    return " ".join(words)


def parsed(words: str) -> Node:
    """The tree of a query. Raises click.UsageError that shows the place."""
    from postroom.index.query import BadQuery, parse

    try:
        return parse(words)
    except BadQuery as fault:
        where = f"{words}\n{' ' * fault.at}^\n" if len(words) <= _WIDEST and words.isprintable() else ""
        raise click.UsageError(f"{fault.text}.\n{where}{fault.advice}".rstrip()) from None


async def _search(site: Site, query: Node, options: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and those that are shown."""
    from postroom.mailbox.finding import When, Wish, find
    from postroom.mailbox.search import Pace
    from postroom.values.clock import SystemClock

    clock = SystemClock()
    wish = Wish(when=When(clock.now()), deleted=options["deleted"], ranked=options["ranked"])
    async with mail_of(site, options["account"]) as (_, mail):
        hits = await find(query, mail, wish, Pace(clock))
        return len(hits), await _shown(mail, hits[: options["most"]], query, ranked=options["ranked"])


async def _shown(mail: AccountStore, hits: list[Hit], query: Node, *, ranked: bool) -> list[dict[str, Any]]:
    from postroom.index.snippets import marked
    from postroom.mailbox import envelope
    from postroom.mailbox.excerpts import excerpt, hits_of, sender_hits_of, subject_hits_of
    from postroom.values.flags import NAMES

    told = []
    wanted, in_subject, in_sender = hits_of(query), subject_hits_of(query), sender_hits_of(query)
    for hit, printed in zip(hits, await mail.columns([hit.message for hit in hits], "envelope"), strict=True):
        found = await excerpt(mail, hit.message, wanted)
        one = {
            "mailbox": hit.mailbox.name,
            "uid": hit.uid,
            "id": hit.message,
            "received": hit.received,
            "size": hit.size,
            "flags": [name.decode() for bit, name in NAMES.items() if hit.flags & bit],
            **_plain("from", marked(envelope.text(printed, envelope.FROM) or "", in_sender)),
            **_plain("subject", marked(envelope.text(printed, envelope.SUBJECT) or "", in_subject)),
            **_plain("snippet", found.snippet),
            "snippet_file": found.file,
        }
        if ranked:
            one["relevancy"] = hit.relevancy
        if hit.departure:
            one |= {"deleted": hit.deleted, "deleted_id": f"{hit.departure}.{hit.uid}"}
        told.append(one)
    return told


def _plain(name: str, snippet: Snippet) -> dict[str, Any]:
    return {name: snippet.text, f"{name}_marks": [list(span) for span in snippet.marks]}


def _print(one: dict[str, Any]) -> None:
    where = f"{line(one['mailbox'])} {one['uid']}"
    if "deleted" in one:
        where = f"deleted {moment(one['deleted'])} from {line(one['mailbox'])}, {one['deleted_id']}"
    rank = f"{one['relevancy']:>3} %  " if "relevancy" in one else ""
    click.echo(f"{rank}{moment(one['received'])}  {where}  {octets(one['size'])}  {_shining(one, 'from')}")
    click.echo(f"    {_shining(one, 'subject') or '(no subject)'}")
    if one["snippet"]:
        file = f"{line(one['snippet_file'])}: " if one["snippet_file"] else ""
        click.echo(f"    {file}{_shining(one, 'snippet')}")


def _shining(one: dict[str, Any], name: str) -> str:
    """With the hits in bold, where there is a terminal; strangers' text must not steer it."""
    text, out, at = one[name], [], 0
    for start, end in one[f"{name}_marks"]:
        out += [line(text[at:start]), click.style(line(text[start:end]), bold=True)]
        at = end
    return "".join((*out, line(text[at:])))
