"""`postroom quarantine`: mail that the spam filter keeps apart."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import (
    confirm,
    counted,
    emit_json,
    json_option,
    line,
    moment,
    octets,
    operator,
    record,
    say,
    table,
)
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postroom.store.api import ItemState, QuarantineItem, QuarantineQuery, Store

_STATES = ("kept", "releasing", "released", "deleted", "all")
#: items changed in one step
_AT_ONCE = 500


@click.group(short_help="Mail that the spam filter keeps apart.")
def command() -> None:
    """Mail that the spam filter keeps apart, for quarantine.days: of each recipient's own, or that may not leave.

    It is in no mailbox and counts to no quota. What is released comes to the recipient's inbox as if it came now.
    """


def choice(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which items."""
    for option in reversed((
        click.option("--domain", default="", help="Of people of this domain."),
        click.option("--account", default="", metavar="LOGIN", help="Of this person."),
        click.option("--sender", default="", metavar="TEXT", help="Whose sender or author has this in it."),
        click.option("--since", default="", metavar="WHEN", help="Came since then: 30m, 4h, 2d, or a date."),
        click.option("--before", default="", metavar="WHEN", help="Came before then."),
        click.option("--outgoing/--incoming", "outgoing", default=None, help="Only what people here wanted to send."),
    )):  # fmt: skip
        function = option(function)
    return function


async def _query(site: Site, given: dict[str, Any], states: frozenset[ItemState], **more: Any) -> QuarantineQuery:
    from postroom.store.api import QuarantineQuery

    now = time.time()
    account = domain = ""
    if given["account"] or given["domain"]:
        async with directory(site) as (people, _):
            account = (await people.account(given["account"])).id if given["account"] else ""
            domain = (await people.domain(given["domain"])).name if given["domain"] else ""
    return QuarantineQuery(
        account=account,
        domain=domain,
        sender=given["sender"],
        since=parse_when(given["since"], now, "--since"),
        before=parse_when(given["before"], now, "--before") or 1e18,
        outgoing=given["outgoing"],
        states=states,
        **more,
    )


def _states(state: str) -> frozenset[ItemState]:
    from postroom.store.api import ItemState

    return frozenset(ItemState) if state == "all" else frozenset({ItemState(state)})


def plain(item: QuarantineItem) -> dict[str, Any]:
    """For JSON."""
    import msgspec

    return {**msgspec.structs.asdict(item), "state": str(item.state)}


@command.command("list")
@choice
@click.option("--state", type=click.Choice(_STATES), default="kept", show_default=True, help="What became of it.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="The newest so many.")
@json_option
@config_option
def list_(state: str, limit: int, as_json: bool, config_file: str | None, **given: Any) -> None:
    """List what is in quarantine, the newest last."""
    site = find_site(config_file)

    async def work() -> list[QuarantineItem]:
        query = await _query(site, given, _states(state), newest=True, limit=limit)
        async with open_store(site) as store:
            return list(reversed(await store.quarantine.find(query)))

    items = run(work())
    if as_json:
        emit_json(items=[plain(item) for item in items])
        return
    heads = ("ID", "CAME", "FOR", "FROM", "SUBJECT", "SCORE") + (("STATE",) if state == "all" else ())
    table(heads, [_row(item, state == "all") for item in items])
    if not items:
        say("nothing is in quarantine that fits")
    elif len(items) == limit:
        say(f"these are the newest {limit}; --limit shows more")


def _row(item: QuarantineItem, with_state: bool) -> tuple[str, ...]:
    who = f"{line(item.sender, 30)} > {line(item.recipient, 30)}" if item.outgoing else line(item.recipient, 40)
    author = line(item.author or item.sender, 40)
    found = (item.id, moment(item.received), who, author, line(item.subject, 50), f"{item.score:.1f}")
    return (*found, str(item.state)) if with_state else found


@command.command()
@click.argument("number", metavar="ID")
@click.option("--message", "whole", is_flag=True, help="Print the message itself, with its header.")
@json_option
@config_option
def show(number: str, whole: bool, as_json: bool, config_file: str | None) -> None:
    """Show one message and its story, or its octets."""
    site = find_site(config_file)

    async def work() -> tuple[QuarantineItem, bytes]:
        async with open_store(site) as store:
            item = await _one(store, number)
            return item, (await store.quarantine.content(number)).read() if whole else b""

    item, found = run(work())
    if as_json:
        emit_json(**plain(item), **({"message": found.decode("utf-8", "backslashreplace")} if whole else {}))
        return
    if whole:
        click.echo(found, nl=False)
        return
    pairs = [
        ("id", item.id),
        (
            "state",
            f"{item.state} since {moment(item.changed)} by {item.by or 'the server'}" if item.changed else "kept",
        ),
        ("direction", "outgoing: it may not leave" if item.outgoing else "incoming"),
        ("recipient", line(item.recipient)),
        ("sender", line(item.sender) or "<>"),
        ("from", line(item.author)),
        ("subject", line(item.subject)),
        ("came", moment(item.received)),
        ("gone from", moment(item.until)),
        ("size", octets(item.size)),
        ("score", f"{item.score:.2f}"),
        ("because", line(item.why)),
        ("links", "none: only an administrator may release it" if item.guarded else "as in the digest"),
        ("trace", f"postroom trace {item.entry}"),
    ]
    if item.release:
        pairs.append(("released as", f"postroom trace {item.release}"))
    record(pairs)


async def _one(store: Store, number: str) -> QuarantineItem:
    """Raises CommandFailed."""
    from postroom.store.api import ItemState, QuarantineQuery

    found = await store.quarantine.find(QuarantineQuery(ids=(number,), states=frozenset(ItemState)))
    if not found:
        raise CommandFailed(Exit.NOT_FOUND, f"{number} is not in quarantine", "See: postroom quarantine list")
    return found[0]


async def _change(site: Site, ids: Sequence[str], state: ItemState, before: frozenset[ItemState]) -> list[str]:
    """In steps, with a line of progress; those that changed."""
    from postroom.store.api import StateChange

    changed: list[str] = []
    async with open_store(site) as store:
        for start in range(0, len(ids), _AT_ONCE):
            change = StateChange(before=before, state=state, at=time.time(), by=operator())
            changed += await store.quarantine.put_state(tuple(ids[start : start + _AT_ONCE]), change)
            _progress(str(state), min(start + _AT_ONCE, len(ids)), len(ids))
    return changed


def _progress(what: str, number: int, of: int) -> None:
    """A line on a terminal, for what takes a while."""
    if of >= _AT_ONCE and sys.stderr.isatty():
        click.echo(f"\r{what}: {number} of {of}", nl=number == of, err=True)


async def _chosen(
    site: Site, ids: Sequence[str], given: dict[str, Any], states: frozenset[ItemState]
) -> list[QuarantineItem]:
    """By number, or by the options. Raises CommandFailed when a number is unknown, UsageError without any choice."""
    if bool(ids) == any(value not in ("", None) for value in given.values()):
        raise click.UsageError("Say which: numbers from `postroom quarantine list`, or options such as --sender.")
    if ids:
        async with open_store(site) as store:
            return [await _one(store, one) for one in dict.fromkeys(ids)]
    query = await _query(site, given, states)
    async with open_store(site) as store:
        return await store.quarantine.find(query)


def _told(word: str, changed: Sequence[str], items: Sequence[QuarantineItem], as_json: bool, **more: Any) -> None:
    """What was done. Raises CommandFailed when nothing was."""
    if as_json:
        emit_json(changed=list(changed), unchanged=[one.id for one in items if one.id not in set(changed)], **more)
    elif changed:
        say(f"{len(changed)} message{'s' * (len(changed) != 1)} {word}")
    if not changed:
        states = sorted({str(item.state) for item in items})
        why = f"it is {', '.join(states)} already" if items else "nothing in quarantine fits"
        raise CommandFailed(
            Exit.NO_CHANGE if items else Exit.NOT_FOUND, why, "See: postroom quarantine list --state all"
        )


@command.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@choice
@click.option("--link", default="", metavar="URL", help="The message of a link in a digest.")
@click.option("--learn", is_flag=True, help="Learn it as wanted, for its reader and for everybody.")
@click.option("--again", is_flag=True, help="Also what was released or deleted before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def release(ids: tuple[str, ...], again: bool, yes: bool, as_json: bool, config_file: str | None, **given: Any) -> None:
    """Let messages through, to their recipients' inboxes, or out.

    They pass the recipient's Sieve script but not the spam filter. What was released before stays so.
    """
    from postroom.store.api import ItemState

    site = find_site(config_file)
    link, learn = given.pop("link"), given.pop("learn")
    if link:
        if ids or any(value not in ("", None) for value in given.values()):
            raise click.UsageError("A link says by itself which message it is for.")
        ids = (run(_of_link(site, link)),)
    before = frozenset({ItemState.KEPT})
    if again:
        before |= {ItemState.RELEASED, ItemState.DELETED}
    items = run(_chosen(site, ids, given, before))
    if len(items) > 1 and not ids:
        confirm(f"Release {counted(len(items), 'message')}?", yes=yes)
    learned = run(_learn(site, items, before)) if learn else 0
    changed = run(_change(site, [item.id for item in items], ItemState.RELEASING, before))
    answers = poke(site, "quarantine") if changed else []
    served = any(answer.get("ok") for answer in answers)
    word = "released" if served else "released; delivered as soon as the server runs"
    _told(word, changed, items, as_json, learned=learned, served=served)


async def _of_link(site: Site, link: str) -> str:
    """The number of the message. Raises CommandFailed."""
    from postroom.app.secrets import link_secret
    from postroom.policy.release_links import BadLink, check, read_link
    from postroom.store.api import ItemState, QuarantineQuery

    try:
        given = read_link(link)
        async with open_store(site) as store:
            found = await store.quarantine.find(QuarantineQuery(ids=(given.item,), states=frozenset(ItemState)))
        check(link_secret(site.data), given, found[0].account if found else "", time.time())
    except BadLink as fault:
        raise CommandFailed(Exit.FAILED, str(fault), "See: postroom quarantine list") from fault
    _not_guarded(found[0])
    return given.item


def _not_guarded(item: QuarantineItem) -> None:
    """Raises CommandFailed."""
    if item.guarded:
        raise CommandFailed(
            Exit.FAILED,
            f"{item.id} is for no link: {line(item.why, 200)}",
            f"If it is harmless: postroom quarantine release {item.id}",
        )


async def _learn(site: Site, items: Sequence[QuarantineItem], states: frozenset[ItemState]) -> int:
    """As wanted mail; how many were new. Mail of our own people teaches nothing."""
    from postroom.filter.training import Trainer
    from postroom.values.clock import SystemClock

    learned = 0
    async with open_store(site) as store:
        trainer = Trainer(store, SystemClock(), _unheard, site.config.server.hostname)
        for number, item in enumerate(items, 1):
            if item.state in states and not item.outgoing:
                content = await store.quarantine.content(item.id)
                learned += await trainer.learn_content(item.account, item.id, content, False)
            _progress("learning", number, len(items))
    return learned


def _unheard(name: str, /, **fields: object) -> None:
    """Faults of a command are raised."""


@command.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@choice
@json_option
@config_option
def delete(ids: tuple[str, ...], as_json: bool, config_file: str | None, **given: Any) -> None:
    """Delete messages.

    Until their time is over, undelete brings them back.
    """
    from postroom.store.api import ItemState

    site = find_site(config_file)
    before = frozenset({ItemState.KEPT})
    items = run(_chosen(site, ids, given, before))
    _told("deleted", run(_change(site, [item.id for item in items], ItemState.DELETED, before)), items, as_json)


@command.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@choice
@json_option
@config_option
def undelete(ids: tuple[str, ...], as_json: bool, config_file: str | None, **given: Any) -> None:
    """Take a deletion back: the messages are in quarantine again."""
    from postroom.store.api import ItemState

    site = find_site(config_file)
    before = frozenset({ItemState.DELETED})
    items = run(_chosen(site, ids, given, before))
    _told("kept again", run(_change(site, [item.id for item in items], ItemState.KEPT, before)), items, as_json)


@command.command()
@click.argument("number", metavar="ID")
@json_option
@config_option
def link(number: str, as_json: bool, config_file: str | None) -> None:
    """Print a link that releases one message.

    As it stands in a digest, good for quarantine.link_days.
    """
    from postroom.app.secrets import link_secret
    from postroom.policy import release_links

    site = find_site(config_file)

    async def work() -> QuarantineItem:
        async with open_store(site) as store:
            return await _one(store, number)

    item = run(work())
    _not_guarded(item)
    settings = site.config.quarantine
    until = min(time.time() + settings.link_days * 86400, item.until)
    token = release_links.token(link_secret(site.data), item.id, item.account, until)
    text = release_links.link(settings.url, token) if settings.url else token
    if as_json:
        emit_json(id=item.id, link=text, until=until)
    else:
        click.echo(text)
