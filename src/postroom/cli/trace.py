"""`postroom trace`: where is my mail?

Reads the events files, the queue and the mailboxes themselves, so it works with and without a running server; a running
one is asked to write down the last second first.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, say
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run

if TYPE_CHECKING:
    from postroom.observe.story import Place, Story
    from postroom.store.api import Life, Store

_COLOURS = {
    "delivered": "green",
    "relayed": "green",
    "waiting": "yellow",
    "held": "yellow",
    "failed": "red",
    "refused": "red",
    "dropped": "red",
}


@click.command()
@click.argument("word", default="", metavar="[ADDRESS|MESSAGE-ID|ID|IP]")
@click.option("--since", default="", metavar="WHEN", help="Not older than 2h, 3d, or a date like 2026-11-22.")
@click.option("--until", default="", metavar="WHEN", help="Not newer than this.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many messages.")
@click.option("--steps", is_flag=True, help="Print every step, also when there are several messages.")
@click.option("--all", "everything", is_flag=True, help="Also log-ins that failed and refused connections.")
@json_option
@config_option
def command(word: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Say what became of a message, of mail in or out, accepted or refused.

    Look for a sender's or recipient's address, a Message-ID, the id in an answer of this server ("Queued as ..."), or
    the IP address of a peer. Without one, the newest messages are listed.
    """
    now = time.time()
    since, until = (parse_when(options[name], now, f"--{name}") for name in ("since", "until"))
    site = find_site(config_file)
    poke(site, "flush")
    alone = options["everything"] or _is_ip(word)
    found = run(_stories(site, word, since, until or now + 60, options["limit"], alone))
    if as_json:
        emit_json(messages=[_plain(one) for one in found])
    else:
        for number, one in enumerate(found):
            _print(one, blank=number > 0, steps=options["steps"] or len(found) == 1)
    if not found:
        raise CommandFailed(
            Exit.NOT_FOUND,
            f"nothing is known of {word}" if word else "nothing has happened yet",
            f"Events are kept for {site.config.retention.events_days:g} days. Give a whole address, Message-ID or id.",
        )
    if not as_json and len(found) == options["limit"]:
        say(f"only the newest {len(found)}; more with --limit, older ones with --until")
    if not as_json and len(found) > 1 and not options["steps"]:
        say(f"every step of one: postroom trace {next((one.id for one in found if one.id), 'ID')}")


def _is_ip(word: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(word)
    except ValueError:
        return False
    return True


# finding


async def _stories(site: Site, word: str, since: float, until: float, limit: int, alone: bool) -> list[Story]:
    from postroom.observe.story import Waiting, story
    from postroom.store.api import EventQuery, QueueFilter

    async with open_store(site) as store:
        query = EventQuery(word=word, since=since, until=until, limit=limit, alone=alone)
        lives = await store.events.find(query)
        names = tuple(life.id for life in lives if life.id)
        entries = {entry.id: entry for entry in await store.queue.entries(QueueFilter(ids=names))} if names else {}
        found = []
        for life in lives:
            entry = entries.get(life.id)
            waiting = [
                Waiting(
                    address=one.address,
                    state=str(one.state),
                    next_try=one.next_try,
                    attempts=one.attempts,
                    last_reply=one.last_reply,
                )
                for one in (entry.recipients if entry else ())
            ]
            places = await _places(site, store, life)
            found.append(story(life.id, life.events, waiting, places, moment))
        return found


async def _places(site: Site, store: Store, life: Life) -> dict[str, Place]:
    """Where the mailboxes have it now, by recipient; not for many recipients."""
    from postroom.store.api import StoreError

    delivered = [told for told in life.events if told.name == "message.delivered" and told.fields.get("message")]
    places: dict[str, Place] = {}
    for told in delivered[:10]:
        who = str(told.fields["recipient"])
        try:
            place = await _place(site, store, who, told.fields)
        except StoreError:
            continue
        if place is not None:
            places[who] = place
    return places


async def _place(site: Site, store: Store, address: str, fields: dict[str, Any]) -> Place | None:
    """The mailbox that has the message, first the one it came to; None when the account cannot be told."""
    from postroom.identity.hashing import InlineHasher
    from postroom.identity.service import Identity
    from postroom.observe.story import Place
    from postroom.values.clock import SystemClock
    from postroom.values.flags import SEEN

    passwords = site.config.passwords
    identity = Identity(
        store.directory, InlineHasher(passwords), SystemClock(), passwords, hostname=site.config.server.hostname
    )
    found = await identity.find(address)
    if found is None:
        return None
    account = await store.account(found.row.id)
    boxes = sorted(await account.mailboxes(), key=lambda box: box.name != fields.get("mailbox"))
    for box in boxes:
        snapshot = await account.snapshot(box.id)
        for page in snapshot.pages:
            if fields["message"] in page.messages:
                at = list(page.messages).index(fields["message"])
                return Place(mailbox=box.name, seen=bool(page.flags[at] & SEEN))
    return Place(mailbox="")


# telling


def _plain(one: Story) -> dict[str, Any]:
    return {
        "id": one.id,
        "time": one.time,
        "state": str(one.state),
        "sender": one.sender,
        "to": one.to,
        "message_id": one.message_id,
        "recipients": [
            {
                "address": fate.address,
                "state": str(fate.state),
                "text": fate.text,
                "time": fate.time,
                "next_try": fate.next_try,
                "mailbox": fate.mailbox,
                "uid": fate.uid,
            }
            for fate in one.fates
        ],
        "events": [{"time": told.time, "event": told.name, "fields": told.fields} for told in one.events],
    }


def _print(one: Story, *, blank: bool, steps: bool) -> None:
    from postroom.observe.sentences import people, sentence

    if blank:
        click.echo()
    if not one.id:
        for told in one.events:
            _line(f"{moment(told.time)}  {sentence(told, moment)}")
        return
    sender = "" if one.sender is None else f"from {one.sender or '<> (the mail system)'} "
    to = people(one.to)
    _line(f"{moment(one.time)}  {one.id}  {sender}{f'to {to}' if to else ''}".rstrip(), bold=True)
    _fates(one)
    if steps:
        for told in one.events:
            _line(f"    {_clock(told.time, one.time)}  {sentence(told, moment)}")


def _fates(one: Story) -> None:
    for fate in one.fates[:20]:
        who = f"{fate.address} " if len(one.fates) > 1 or [fate.address] != one.to else ""
        text = fate.text
        if not who and fate.state == "delivered" and fate.mailbox:
            text = text.replace(fate.mailbox, f"{fate.mailbox} of {fate.address}", 1)
        _line(f"  {who}{text if who else text[:1].upper() + text[1:]}", colour=_COLOURS.get(str(fate.state)))
    if len(one.fates) > 20:
        _line(f"  and {len(one.fates) - 20} recipients more; all of them: --json")


def _clock(at: float, start: float) -> str:
    """The time of day; with the date when it is another day than the first event's."""
    text = moment(at)
    return text[11:] if text[:10] == moment(start)[:10] else text


def _line(text: str, *, bold: bool = False, colour: str | None = None) -> None:
    plain = "".join(char if char.isprintable() else "�" for char in text)  # peers' words must not steer a terminal
    if os.environ.get("NO_COLOR"):
        click.echo(plain)
    else:
        click.echo(click.style(plain, bold=bold or None, fg=colour))
