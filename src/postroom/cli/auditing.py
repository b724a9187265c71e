"""Every change a command makes becomes an audit record, here and nowhere else.

Commands get their store from cli.site.open_store, which wraps it in `Audited`: a method that changes something writes
the record first and then does it, so nothing is done without a record; when it fails, a second record says so. Which
methods change something is listed here, and a test compares the lists with the store's promises, so that a new method
must be put in one of them.
Secrets never get into a record: only that they were set or changed.
On failure of the record: the change is not made.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

if TYPE_CHECKING:
    from postroom.store.api import Act, Store

#: fields whose value is nobody's business
SECRETS: Final = frozenset({"password", "scram", "private", "digest"})
#: values of a list that a record holds
_MOST: Final = 50
_LONGEST_TEXT: Final = 2000

#: what changes something, by part of the store; and everything else that can be called
CHANGES: Final[dict[str, frozenset[str]]] = {
    "directory": frozenset({
        "put_domain", "remove_domain", "put_account", "remove_account", "retire_account",
        "revive_account", "forget_account", "put_alias", "remove_alias",
        "put_signing_keys", "remove_signing_key", "put_token", "remove_token", "put_group", "remove_group",
        "put_delegate", "remove_delegate",
        "put_wishes", "put_site_script", "remove_site_script",
    }),
    "store": frozenset({"repair"}),
    "queue": frozenset({"change"}),
    "limits": frozenset({"put_ban", "freeze", "unfreeze", "lift", "forget", "suppress", "unsuppress"}),
    "marks": frozenset({"set_mode"}),
    "alarms": frozenset({"close"}),
    "hooks": frozenset({"retry"}),
    "training": frozenset({"unlearn"}),
    "quarantine": frozenset({"put_state"}),
    "account": frozenset({
        "create", "rename", "delete", "subscribe", "append", "store_flags", "copy", "move", "expunge", "restore",
        "undo_restore", "grant", "annotate", "copy_annotations", "specialize",
    }),
    "filters": frozenset({"put_script", "rename_script", "remove_script", "activate_script"}),
    "saved": frozenset({"put", "remove"}),
    "contacts": frozenset({"put", "remove"}),
}  # fmt: skip
READS: Final[dict[str, frozenset[str]]] = {
    # folders are made and removed beside the account's row, which is recorded
    "store": frozenset({
        "directory", "queue", "limits", "hooks", "feed", "events", "audit", "alarms", "reports", "transport", "usage",
        "quarantine",
        "account", "training", "outline",
        "spool", "sweep", "check", "close", "create_account", "remove_account",
    }),
    "directory": frozenset({
        "domain", "domains", "account", "account_by_login", "accounts", "named", "deleted_accounts",
        "was_deleted", "alias", "aliases", "signing_keys",
        "token", "tokens", "version", "generation", "group", "groups", "groups_of", "delegates",
        "wishes", "all_wishes", "site_scripts",
        # an index of what the accounts' ACLs say, whose changes are recorded
        "sharers", "shares", "put_share", "remove_share",
    }),
    # what is accepted, finished and counted is mail, and has its events
    "queue": frozenset({
        "accept", "answered", "claim", "finish", "update", "due", "load", "look", "next_due", "depth", "entries",
    }),
    "limits": frozenset({
        "take", "give_back", "used", "fresh", "written", "answered", "correspondents", "note", "tally", "sums",
        "place", "places", "generation", "rules", "bans", "ban", "sweep", "suppressed", "suppressions",
        "wait", "waits",
    }),
    # counts of mail, which can be made again from it
    "training": frozenset({"learned", "lesson", "learn", "standings", "rate", "sweep"}),
    "quarantine": frozenset({
        "keep", "find", "content", "reserve", "untold", "tell", "counts", "forget", "sweep",
    }),
    "hooks": frozenset({"add", "contexts", "due", "settle", "states", "sweep"}),
    "account": frozenset({
        "id", "index", "marks", "messages", "mailboxes", "mailbox", "subscriptions", "refusals", "snapshot", "rendered",
        "columns", "content", "vanished", "lives", "departures", "deleted_in", "next_number", "restores", "recent",
        "usage", "pop3_lock", "pop3_unlock", "acl", "acls", "annotations", "annotated", "annotation_octets", "origins",
        "originals", "filters", "traits", "modseq", "saved", "contacts",
    }),
    "filters": frozenset({"filter", "scripts", "script", "remembered", "remember", "claim", "file"}),
    "marks": frozenset({"read", "mark"}),
    "saved": frozenset({"all", "found"}),
    "contacts": frozenset({"all", "has"}),
    "alarms": frozenset({"note", "end", "flush", "open"}),
}  # fmt: skip

#: makes a look at what is about to change: its name, and its fields now (None when there is nothing)
Look = Callable[["Store", tuple[Any, ...]], Awaitable[tuple[str, Any]]]


async def _domain(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0] if isinstance(given[0], str) else given[0].name
    return name, await store.directory.domain(name)


async def _account(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0] if isinstance(given[0], str) else given[0].id
    row = await store.directory.account(name)
    return row.login if row else getattr(given[0], "login", name), row


async def _retired(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    row = given[0].row
    return row.login, await store.directory.account(row.id)


async def _forgotten(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    gone = [one.row for one in await store.directory.deleted_accounts() if one.row.id == given[0]]
    return (gone[0].login, gone[0]) if gone else (str(given[0]), None)


async def _alias(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0] if isinstance(given[0], str) else given[0].address
    return name, await store.directory.alias(name)


async def _site_script(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    owner, name = given if isinstance(given[0], str) else (given[0].owner, given[0].name)
    found = [row for row in await store.directory.site_scripts(owner) if row.name == name]
    return f"{owner} {name}".strip(), found[0] if found else None


async def _group(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0] if isinstance(given[0], str) else given[0].address
    return name, await store.directory.group(name)


async def _delegate(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    mode = (await store.directory.delegates(given[0])).get(given[1])
    return f"{await _login(store, given[0])} {given[1]}", None if mode is None else {"mode": mode}


async def _keys(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    rows = given[0]
    name = rows if isinstance(rows, str) else rows[0].domain if rows else ""
    selectors = {given[1]} if isinstance(rows, str) else {row.selector for row in rows}
    return name, [row for row in await store.directory.signing_keys(name) if row.selector in selectors] or None


async def _queue(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    from dataclasses import replace

    found = await store.queue.entries(replace(given[0], limit=10_000))
    names = [entry.id for entry in found]
    return f"{len(names)} messages" if len(names) != 1 else names[0], {"ids": names} if names else None


async def _ban(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0].network
    return name, next((ban for ban in store.limits.bans() if ban.network == name), None)


async def _frozen(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0] if isinstance(given[0], str) else given[0].account
    return await _login(store, name), store.limits.rules().frozen.get(name)


async def _token(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    if not isinstance(given[0], str):
        return f"{await _login(store, given[0].account)} {given[0].id}", await store.directory.token(given[0].digest)
    account, token = given
    rows = [row for row in await store.directory.tokens(account) if row.id == token]
    return f"{await _login(store, account)} {token}", rows[0] if rows else None


async def _suppressed(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    name = given[0] if isinstance(given[0], str) else given[0].address
    return name, store.limits.suppressed(name, time.time())


async def _lifted(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    return await _login(store, given[0].name), store.limits.rules().lifts.get(given[0].name)


async def _alarms(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    found = [f"{one.name} {one.subject}".strip() for one in await store.alarms.open() if one.id in given[0]]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else ""), found or None


async def _quarantined(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    """Of whom, from whom, and what it is about, so that it is clear later what was let through."""
    from postroom.store.api import ItemState, QuarantineQuery

    items = await store.quarantine.find(QuarantineQuery(ids=given[0], states=frozenset(ItemState)))
    told = [f"{one.id} {one.state} from {one.sender or one.author} to {one.recipient}" for one in items]
    return f"{len(told)} messages" if len(told) != 1 else items[0].id, {"items": told} if told else None


async def _name(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    return await _login(store, str(given[0])), None


async def _repaired(store: Store, given: tuple[Any, ...]) -> tuple[str, Any]:
    return await _login(store, given[0]) if given and given[0] else "all accounts, queue and directory", None


async def _login(store: Store, name: str) -> str:
    row = await store.directory.account(name)
    return row.login if row else name


_LOOKS: Final[dict[str, Look]] = {
    "put_domain": _domain,
    "remove_domain": _domain,
    "put_account": _account,
    "remove_account": _account,
    "retire_account": _retired,
    "revive_account": _account,
    "forget_account": _forgotten,
    "put_site_script": _site_script,
    "remove_site_script": _site_script,
    "put_alias": _alias,
    "remove_alias": _alias,
    "put_delegate": _delegate,
    "remove_delegate": _delegate,
    "put_group": _group,
    "remove_group": _group,
    "put_signing_keys": _keys,
    "remove_signing_key": _keys,
    "put_token": _token,
    "remove_token": _token,
    "change": _queue,
    "close": _alarms,
    "put_ban": _ban,
    "freeze": _frozen,
    "unfreeze": _frozen,
    "lift": _lifted,
    "put_state": _quarantined,
    "suppress": _suppressed,
    "unsuppress": _suppressed,
    "repair": _repaired,
}


def who() -> dict[str, Any]:
    """Who gives the command: the system user when the process started, and who that was before sudo or su."""
    import pwd

    told: dict[str, Any] = {"uid": _UID}
    try:
        told["user"] = pwd.getpwuid(_UID).pw_name
    except KeyError:
        told["user"] = str(_UID)
    try:
        with open("/proc/self/loginuid", "rb") as file:
            login = int(file.read())
        if login not in (_UID, 0xFFFFFFFF):
            told["login"] = pwd.getpwuid(login).pw_name
    except (OSError, ValueError, KeyError):
        pass
    if os.environ.get("SUDO_USER"):
        told["sudo"] = os.environ["SUDO_USER"][:64]
    return told


_UID: Final = os.getuid()  # before the command becomes the server's user


class Audited:
    """A store whose changes are recorded.

    acts: what was recorded; moved: ids of mail and what became of it; freed: log-ins that may send again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.acts: list[Act] = []
        self.moved: list[tuple[str, str]] = []
        self.freed: list[str] = []
        self.directory = _Part(self, store.directory, "directory")
        self.queue = _Part(self, store.queue, "queue")
        self.limits = _Part(self, store.limits, "limits")
        self.alarms = _Part(self, store.alarms, "alarms")
        self.hooks = _Part(self, store.hooks, "hooks")
        self.training = _Part(self, store.training, "training")
        self.repair = self.recorded("repair", store.repair)
        self.quarantine = _Part(self, store.quarantine, "quarantine")

    async def account(self, account: str) -> _Part:
        """The mailboxes of an account."""
        return _Part(self, await self._store.account(account), "account", account)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def recorded(
        self, name: str, change: Callable[..., Awaitable[Any]], account: str = ""
    ) -> Callable[..., Awaitable[Any]]:
        """The change, with its record before it. account: in whose mailboxes it is made."""

        async def run(*given: Any, **named: Any) -> Any:
            if account:
                login, done = await _login(self._store, account), _mail(name, (*given, *named.values()))
                if name == "grant":
                    done = await _rights(self._store, account, given)
                about: Any = login, None, done
            else:
                about = await self._about(name, (*given, *named.values()))
            if about is None:
                return await change(*given, **named)
            await self._append(*about)
            try:
                return await change(*given, **named)
            except Exception as fault:
                await self._append(about[0], None, None, f"it failed: {fault}"[:_LONGEST_TEXT])
                raise

        return run

    async def _about(self, name: str, given: tuple[Any, ...]) -> tuple[str, Any, Any] | None:
        """(on what, before, after); None when nothing will change."""
        look = _LOOKS.get(name, _name)
        on, old = await look(self._store, given)
        before, after = plain(old), _after(name, given)
        if before is None and name.startswith(("remove_", "un", "change", "close")):
            return None
        if name == "unfreeze":
            self.freed.append(on)
        if name == "put_state":
            return (on, before, after) if before is not None else None
        if name == "change":
            self.moved += [(entry, _became(after)) for entry in old["ids"]]
            return on, before, after
        if isinstance(before, dict) and isinstance(after, dict):
            before, after = differences(before, after, old, given[0])
            if not before and not after:
                return None
        return on, hidden(before), hidden(after)

    async def _append(self, on: str, before: Any, after: Any, note: str = "") -> None:
        from postroom.store.api import NewAct

        context = click.get_current_context(silent=True)
        act = context.command_path.partition(" ")[2] if context else "store"
        new = NewAct(time=time.time(), who=who(), act=act, on=on, before=_map(before), after=_map(after), note=note)
        self.acts.append(await self._store.audit.append(new))


class _Part:
    """A part of the store."""

    def __init__(self, whole: Audited, part: Any, name: str, account: str = "") -> None:
        self._whole = whole
        self._part = part
        self._changes = CHANGES[name]
        self._account = account

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name in ("filters", "marks", "saved", "contacts"):
            return _Part(self._whole, found, name, self._account)
        return self._whole.recorded(name, found, self._account) if name in self._changes else found


async def _rights(store: Store, account: str, given: tuple[Any, ...]) -> dict[str, Any]:
    """What an identifier may do from now on, with names of mailboxes; "" is the top level."""
    from postroom.values.rights import letters

    mailboxes, identifier, change = given
    names = {info.id: info.name for info in await (await store.account(account)).mailboxes()}
    word = {"ADD": "+", "REMOVE": "-"}.get(change.op.name, "") + letters(change.rights)
    return {"identifier": identifier, "rights": word, "mailboxes": [names.get(box, "") for box in mailboxes][:_MOST]}


def _mail(name: str, given: tuple[Any, ...]) -> dict[str, Any]:
    """What is done in an account's mailboxes."""
    if name == "restore":
        return {one.target: sum(len(source.uids) for source in one.sources) for one in given[0][:_MOST]}
    return {name: [plain(one) for one in given]}


def _after(name: str, given: tuple[Any, ...]) -> Any:
    if name.startswith(("remove_", "retire_", "un", "forget", "close")):
        return None
    if name == "put_delegate":
        return {"mode": given[2]}
    if name == "put_state":
        return {"state": plain(given[1].state)}
    if name == "change":
        names = ("state", "next_try", "nexthop")
        return {key: plain(value) for key, value in zip(names, given[1:], strict=False) if value is not None}
    return plain(given[0])


def _became(change: dict[str, Any]) -> str:
    """What was done to mail in the queue, in the word of the event queue.changed."""
    if change.get("nexthop") is not None:
        return "rerouted"
    return str(change.get("state") or "retried")


def plain(value: Any) -> Any:
    """As JSON knows it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(one) for key, one in asdict(value).items()}
    if isinstance(value, msgspec.Struct):
        return {key: plain(one) for key, one in msgspec.structs.asdict(value).items()}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        listed = [plain(one) for one in list(value)[:_MOST]]
        return [*listed, f"and {len(value) - _MOST} more"] if len(value) > _MOST else listed
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return value if isinstance(value, int | None) else str(value)[:_LONGEST_TEXT]


def differences(
    before: dict[str, Any], after: dict[str, Any], old: Any, new: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only the fields that change; of a secret only that it does. old, new: where the secrets still are."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    told = {name: before.get(name) for name in names}, {name: after.get(name) for name in names}
    for name in names:
        if name in SECRETS and getattr(old, name, None) and getattr(new, name, None):
            told[1][name] = "changed"
    return told


def hidden(value: Any) -> Any:
    """Without secrets."""
    if isinstance(value, dict):
        return {key: _secret(one) if key in SECRETS else hidden(one) for key, one in value.items()}
    return [hidden(one) for one in value] if isinstance(value, list) else value


def _secret(value: Any) -> str:
    return "changed" if value == "changed" else "set" if value and value != "b''" else ""


def _map(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) or value is None else {"rows": value}
