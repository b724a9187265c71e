"""What `postroom explain spam` does: judge a message as intake would, and say why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from postroom.app.filtering import make_judge
from postroom.cli.people import directory
from postroom.filter.judge import Judgement, Known, Reader
from postroom.filter.seen import see
from postroom.filter.training import origin
from postroom.values.clock import SystemClock
from postroom.values.content import Content

if TYPE_CHECKING:
    from postroom.cli.site import Site
    from postroom.values.dns import Dns


async def explain_spam(site: Site, octets: bytes, login: str, dns: Dns) -> Judgement:
    """login: for whom, "" for nobody in particular. The peer and the proof are taken from the trace fields."""
    content = Content.of(octets)
    ip, author = origin(see(content), site.config.server.hostname)
    async with directory(site) as (people, store):
        readers = []
        if login:
            row = await people.account(login)
            readers = [Reader(row.login, row.id)]
        judge = make_judge(site.config, store, dns, SystemClock(), _unheard)
        return await judge.judge(content, Known(ip=ip, now=time.time(), author=author), readers)


def plain(found: Judgement) -> dict[str, Any]:
    """For --json."""
    score = found.told()
    return {
        "check": "spam",
        "score": score.points,
        "junk_from": found.spam,
        "act": str(found.acts[0]) if found.acts else None,
        "reasons": [{"name": one.name, "points": one.points, "text": one.text} for one in score.reasons],
    }


def _unheard(name: str, /, **fields: object) -> None:
    """A command has no log."""
