"""What every command that touches a server needs: its configuration, its store, its running processes.

A command works on the files themselves, whether a server runs or not; SQLite's locks keep both right. Afterwards it
pokes the running workers so that the change acts at once.
On failure: CommandFailed with the way out.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from postroom.cli.codes import CommandFailed, Exit

if TYPE_CHECKING:
    from postroom.cli.auditing import Audited
    from postroom.config import Config
    from postroom.store.api import Store

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

PLACES = ("postroom.toml", "/etc/postroom/postroom.toml")
ANSWER_SECONDS = 5.0
_HINTS_AT_ONCE = 500
_EVENTS_AT_ONCE = 100  # a line to a worker has at most 64 KiB

config_option: Callable[[F], F] = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False),
    envvar="POSTROOM_CONFIG",
    help="Configuration file [default: ./postroom.toml, then /etc/postroom/postroom.toml].",
)


@dataclass(frozen=True, slots=True)
class Site:
    """A configuration file and what it says."""

    path: Path
    config: Config

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.config.server.data)


def find_site(config_file: str | None) -> Site:
    """Load the configuration. Raises CommandFailed (78) with every problem named."""
    from postroom.config import ConfigError, load

    path = Path(config_file) if config_file else next((Path(p) for p in PLACES if Path(p).exists()), None)
    if path is None:
        raise CommandFailed(
            Exit.BAD_CONFIG,
            "no configuration file found",
            "Name one with --config, or make one: postroom init DIR. To try it out: postroom demo.",
        )
    try:
        return Site(path, load(path))
    except ConfigError as fault:
        denied = isinstance(fault.__cause__, PermissionError)
        raise CommandFailed(Exit.NO_PERMISSION if denied else Exit.BAD_CONFIG, str(fault)) from fault


@asynccontextmanager
async def open_store(site: Site) -> AsyncIterator[Store]:
    """The site's store, for commands: without a queue slot of its own."""
    from postroom.app.privileges import become_user
    from postroom.cli.auditing import Audited
    from postroom.config import ConfigError
    from postroom.store.api import StoreError, StoreUnavailable
    from postroom.store.embedded.store import EmbeddedStore

    if not site.data.is_dir():
        raise CommandFailed(
            Exit.NOT_FOUND, f"there is no data folder {site.data}", f"Make it: postroom init {site.path.parent}"
        )
    try:
        become_user(site.config)
        store = EmbeddedStore(site.data, None)
    except ConfigError as fault:
        raise CommandFailed(Exit.BAD_CONFIG, str(fault)) from fault
    except (StoreUnavailable, PermissionError) as fault:
        raise _unopened(site, fault) from fault
    audited = Audited(store)
    hints: dict[tuple[str, int], int] = {}
    store.feed.forward = lambda hint: hints.update({(hint.account, hint.mailbox): hint.modseq})
    try:
        yield cast("Store", audited)
    except StoreUnavailable as fault:
        raise _unopened(site, fault) from fault
    except StoreError as fault:
        raise CommandFailed(Exit.FAILED, str(fault)) from fault
    finally:
        announce(site, store, audited)
        tell(site, hints)
        await store.close()


def _unopened(site: Site, fault: Exception) -> CommandFailed:
    """Why the store cannot be used, and the way out."""
    from postroom.store.api import StoreDamaged

    cause = fault if isinstance(fault, PermissionError) else fault.__cause__
    if isinstance(cause, PermissionError):
        advice = "Run this as the server's user or as root."
        return CommandFailed(Exit.NO_PERMISSION, f"{cause.filename}: permission denied", advice)
    if isinstance(fault, StoreDamaged):
        which = ", ".join(map(str, _no_databases(site.data))) or f"a database in {site.data}"
        return CommandFailed(
            Exit.FAILED,
            f"{which} is damaged ({fault})",
            'Stop the server and put it back from a backup: "Restore" in docs/operations.md.',
        )
    return CommandFailed(Exit.TRY_LATER, f"the store cannot do that now: {fault}")


def _no_databases(data: Path) -> list[Path]:
    """Files that should be databases and do not begin like one."""
    found = []
    for path in sorted(data.glob("*.db")):
        with suppress(OSError), path.open("rb") as file:
            if (head := file.read(16)) and head != b"SQLite format 3\0":
                found.append(path)
    return found


def tell(site: Site, hints: dict[tuple[str, int], int]) -> None:
    """The command changed mailboxes: workers look at them again, so that clients see it at once."""
    told = [(account, mailbox, modseq) for (account, mailbox), modseq in hints.items()]
    for start in range(0, len(told), _HINTS_AT_ONCE):
        poke(site, "hints", hints=told[start : start + _HINTS_AT_ONCE])


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    import asyncio  # --help has 150 ms

    return asyncio.run(work)


def announce(site: Site, store: Store, audited: Audited) -> None:
    """Tell of what was recorded and of mail that was moved: in the log and the events of a worker, or without one."""
    from postroom.observe.alarms import watch

    told: list[tuple[str, dict[str, Any]]] = [
        (
            "audit.recorded",
            {"number": act.number, "hash": act.hash, "act": act.act, "on": act.on, "who": act.who.get("user", "")},
        )
        for act in audited.acts
    ]
    user = audited.acts[0].who.get("user", "") if audited.acts else ""
    told += [("queue.changed", {"queue_id": entry, "state": word, "who": user}) for entry, word in audited.moved]
    told += [("account.unfrozen", {"login": login}) for login in audited.freed]
    for start in range(0, len(told), _EVENTS_AT_ONCE):
        part = told[start : start + _EVENTS_AT_ONCE]
        if not any(answer.get("ok") for answer in poke(site, "events", first=True, events=part)):
            for name, fields in part:
                store.events.add(time.time(), name, fields)
                watch(time.time(), name, fields, store.alarms.note, store.alarms.end)


def poke(site: Site, command: str, *, first: bool = False, **fields: Any) -> list[dict[str, Any]]:
    """Tell the running workers something, or only the first that answers; their answers, none when no server runs."""
    from postroom.app.runfolder import RunFolder

    folder = RunFolder(site.data)
    answers: list[dict[str, Any]] = []
    for slot in folder.sockets():
        if first and answers:
            break
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(ANSWER_SECONDS)
            link.connect(folder.socket_path(slot))
            link.sendall(json.dumps({"command": command, **fields}).encode() + b"\n")
            with link.makefile("rb") as reader:
                answers.append(json.loads(reader.readline()))
    return answers
