"""`postroom webhook`: programs elsewhere that are told what becomes of mail."""

from __future__ import annotations

import secrets
import time
from typing import Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, say, table
from postroom.cli.site import Site, config_option, find_site, open_store, run
from postroom.config import Webhook


@click.group(short_help="Webhooks: list, test, retry.")
def command() -> None:
    """Programs that are told what becomes of mail; [[webhook]] in the configuration names them."""


def _hook(site: Site, name: str) -> Webhook:
    """Raises CommandFailed."""
    for one in site.config.webhook:
        if one.name == name:
            return one
    raise CommandFailed(Exit.NOT_FOUND, f"there is no webhook {name}", "See: postroom webhook list")


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """List webhooks, and the calls that wait."""
    site = find_site(config_file)
    rows = run(_rows(site))
    if as_json:
        emit_json(webhooks=rows)
        return
    table(
        ("NAME", "URL", "HEARS OF", "WAITING", "GIVEN UP", "OLDEST", "LAST FAILURE"),
        [
            (
                one["name"],
                one["url"],
                " ".join(one["events"]) or "everything",
                one["waiting"],
                one["given_up"],
                moment(one["oldest"]),
                one["last_failure"] or "-",
            )
            for one in rows
        ],
        none="no webhooks; see docs/api.md",
    )


async def _rows(site: Site) -> list[dict[str, Any]]:
    async with open_store(site) as store:
        states = {one.hook: one for one in await store.hooks.states()}
    return [
        {
            "name": one.name,
            "url": one.url,
            "events": [str(event.value) for event in one.events],
            "domain": one.domain,
            "login": one.login,
            "waiting": states[one.name].waiting if one.name in states else 0,
            "given_up": states[one.name].dead if one.name in states else 0,
            "oldest": states[one.name].oldest if one.name in states else 0.0,
            "last_failure": states[one.name].last if one.name in states else "",
        }
        for one in site.config.webhook
    ]


@command.command()
@click.argument("name")
@json_option
@config_option
def test(name: str, as_json: bool, config_file: str | None) -> None:
    """Call a webhook now with an event webhook.test."""
    from postroom.app.webhooks import CallFailed, WebhookClient
    from postroom.observe import webhooks

    hook, now = _hook(find_site(config_file), name), time.time()
    body = webhooks.body(webhooks.TEST, now, {"webhook": name})
    try:
        status = run(WebhookClient().post(hook, f"evt_{secrets.token_hex(16)}", body, int(now)))
    except CallFailed as fault:
        raise CommandFailed(Exit.UNREACHABLE, f"{hook.url}: {fault}") from fault
    if as_json:
        emit_json(name=name, url=hook.url, status=status)
    else:
        say(f"{hook.url} answered {status}")


@command.command()
@click.argument("name")
@json_option
@config_option
def retry(name: str, as_json: bool, config_file: str | None) -> None:
    """Make all its calls now, those given up too."""
    site = find_site(config_file)
    hook = _hook(site, name)

    async def work() -> int:
        async with open_store(site) as store:
            return await store.hooks.retry(hook.name, time.time())

    count = run(work())
    if as_json:
        emit_json(name=name, calls=count)
    elif count:
        say(f"{count} calls are made now")
    else:
        raise CommandFailed(Exit.NO_CHANGE, f"no call of {name} waits")
