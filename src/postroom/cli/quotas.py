"""Options about quotas, and how quotas and what is used of them are shown, for `user` and `domain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from postroom.cli.amounts import parse_size
from postroom.cli.output import octets

if TYPE_CHECKING:
    from postroom.policy.allowance import Allowance

F = TypeVar("F", bound=Callable[..., Any])

_SIZES: Final = frozenset({"quota", "quota_annotations", "account_quota"})
_COUNTS: Final = frozenset({"quota_messages", "quota_mailboxes", "account_messages", "most_accounts"})
_DEFAULT: Final = "none, default"


def account_options(function: F) -> F:
    """What an account may hold."""
    for option in (
        click.option("--quota-annotations", metavar="SIZE", help=f"Most annotations (METADATA): 1M, {_DEFAULT}."),
        click.option("--quota-mailboxes", metavar="COUNT", help=f"Most mailboxes: 500, {_DEFAULT}."),
        click.option("--quota-messages", metavar="COUNT", help=f"Most messages it may hold: 10000, {_DEFAULT}."),
        click.option("--quota", metavar="SIZE", help=f"Most it may hold: 500M, 2G, {_DEFAULT} (what its domain says)."),
    ):
        function = option(function)
    return function


def administers_option(function: F) -> F:
    """Whose quotas it may change."""
    option = click.option(
        "--administers",
        type=click.Choice(["none", "domain", "server"]),
        default=None,
        help="Whose quotas it may change over IMAP (SETQUOTA): those of its domain, of everybody. [none]",
    )
    return option(function)


def domain_options(function: F) -> F:
    """What a domain may hold, and each of its accounts."""
    for option in (
        click.option("--accounts", "most_accounts", metavar="COUNT", help="Most accounts it may have: 100, none."),
        click.option(
            "--account-messages",
            metavar="COUNT",
            help=f"Most messages of an account without a quota of its own: {_DEFAULT}.",
        ),
        click.option(
            "--account-quota",
            metavar="SIZE",
            help=f"Most an account may hold without a quota of its own: 2G, {_DEFAULT}.",
        ),
        click.option("--quota-messages", metavar="COUNT", help="Most messages of all its accounts together, or none."),
        click.option("--quota", metavar="SIZE", help="Most that all its accounts may hold together: 100G, none."),
    ):
        function = option(function)
    return function


def read_quotas(changes: dict[str, Any]) -> None:
    """Texts of the options above become what the directory keeps. Raises click.BadParameter."""
    for key, text in list(changes.items()):
        if key in _SIZES:
            changes[key] = -1 if str(text).lower() == "default" else _size(text)
        elif key in _COUNTS:
            changes[key] = -1 if str(text).lower() == "default" else _count(text)
    if changes.get("administers") == "none":
        changes["administers"] = ""


def _size(text: str) -> int:
    size = parse_size(text)
    if size < 0:
        raise click.BadParameter(f"{text!r} is no size; write 500M, 2G, or none")
    return size


def _count(text: str) -> int:
    if text.lower() in {"none", "unlimited"}:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{text!r} is no number; write 10000, or none")
    return int(text)


def shown(quota: int) -> str:
    """A quota of octets as it was set."""
    return "default" if quota < 0 else octets(quota) if quota else "none"


def holds(limits: tuple[int, int], used: int, messages: int) -> str:
    """ "1.2 GiB of 2.0 GiB (60 %) in 5120 of 10000 messages". limits: octets and messages, 0 is none."""
    room = f" of {octets(limits[0])} ({percent(used, limits[0])} %)" if limits[0] else ""
    most = f" of {limits[1]}" if limits[1] else ""
    return f"{octets(used)}{room} in {messages}{most} messages"


def percent(used: int, limit: int) -> int:
    """How much of a limit is used."""
    return used * 100 // limit if limit else 0


def plain(may: Allowance) -> dict[str, Any]:
    """What holds, for programs; 0 is no limit."""
    return {
        "octets": may.octets,
        "messages": may.messages,
        "mailboxes": may.mailboxes,
        "annotations": may.annotations,
    }
