"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): a quota root for each account.

The root of a login's own account is "", that of another account its address. STORAGE counts units of 1024 octets,
MESSAGE messages, MAILBOX mailboxes, ANNOTATION-STORAGE units of 1024 octets of METADATA. A resource without a limit is
not shown, and a root may have none (RFC 9208 4.2.1), which clients show as unlimited.
Who may see: of other accounts, who may read a mailbox there (RFC 9208 6: "r"), and who administers it. Who may set:
who administers the account (AccountRow.administers); the right "a" on a mailbox is not enough, for everybody has it on
their own. A change is an act of an administrator, and is recorded before it is made.
On failure: NO [NONEXISTENT] for a root that is not there or may not be seen; NO [NOPERM] for SETQUOTA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from postroom.mailbox.places import Place
from postroom.mailbox.service import Account
from postroom.servers.imap.replies import Refused, Reply, no, ok
from postroom.servers.imap.session import Session
from postroom.store.api import AccountRow, NewAct
from postroom.values import rights as right
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, GetQuota, Mailbox, SetQuota

_UNIT: Final = 1024
#: resources, the fields of AccountRow that limit them, and the octets of a unit
_RESOURCES: Final = {
    "STORAGE": ("quota", _UNIT),
    "MESSAGE": ("quota_messages", 1),
    "MAILBOX": ("quota_mailboxes", 1),
    "ANNOTATION-STORAGE": ("quota_annotations", _UNIT),
}
#: what a resource is limited to that SETQUOTA does not name: none (RFC 9208 4.1.3); what every account has a limit of
#: keeps the configured one
_UNNAMED: Final = {"quota": 0, "quota_messages": 0, "quota_mailboxes": -1, "quota_annotations": -1}
_LARGEST: Final = (1 << 62) - 1
_UNKNOWN: Final = no("There is no such quota root that you may see", b"NONEXISTENT")
_NOT_YOURS: Final = no("Quotas are set by the administrator: postroom user set ADDRESS --quota", b"NOPERM")


async def get_quota(session: Session, command: Command) -> Reply:
    """GETQUOTA."""
    root = cast(GetQuota, command.args).root
    await _send_quota(session, root, await _account(session, root))
    return ok("Quota completed")


async def get_quota_root(session: Session, command: Command) -> Reply:
    """GETQUOTAROOT: the root and what it holds; the mailbox need not exist in one's own account (RFC 9208 4.1.2)."""
    name = cast(Mailbox, command.args).mailbox
    account = session.me
    if session.world.is_foreign(name):
        place: Place = await session.world.find(name, right.LOOKUP)
        account = place.account
        if account.id != session.me.id:
            place.require(right.READ)
    root = "" if account.id == session.me.id else account.row.login
    session.send(response.quotaroot(name, [root], session.wire.utf8))
    await _send_quota(session, root, account)
    return ok("Quota root completed")


async def set_quota(session: Session, command: Command) -> Reply:
    """SETQUOTA (RFC 9208 4.1.3)."""
    args = cast(SetQuota, command.args)
    account = await _account(session, args.root)
    row = await session.service.store.directory.account(account.id)
    if row is None or not await _administers(session, row):
        return _NOT_YOURS
    limits = _limits(dict(args.limits))
    changed = replace(
        row,
        quota=limits["quota"],
        quota_messages=limits["quota_messages"],
        quota_mailboxes=limits["quota_mailboxes"],
        quota_annotations=limits["quota_annotations"],
    )
    if changed != row:
        await _record(session, row, changed)
        await session.service.store.directory.put_account(changed)
    await _send_quota(session, args.root, account)
    return ok("Setquota completed")


def _limits(given: Mapping[str, int]) -> dict[str, int]:
    """The fields of AccountRow. Raises Refused."""
    found = dict(_UNNAMED)
    for resource, limit in given.items():
        if resource not in _RESOURCES:
            raise Refused(no(f"{resource} cannot be limited; these can: {' '.join(_RESOURCES)}", b"CANNOT"))
        field, unit = _RESOURCES[resource]
        if not limit:  # our 0 is no limit at all
            raise Refused(no("A limit of 0 would let nothing in; disable the account instead", b"CANNOT"))
        found[field] = min(limit * unit, _LARGEST)
    return found


async def _record(session: Session, row: AccountRow, changed: AccountRow) -> None:
    fields = [field for field, _ in _RESOURCES.values() if getattr(row, field) != getattr(changed, field)]
    await session.service.store.audit.append(
        NewAct(
            time=session.service.clock.now(),
            who={"login": session.me.row.login, "ip": session.link.peer[0]},
            act="imap setquota",
            on=row.login,
            before={field: getattr(row, field) for field in fields},
            after={field: getattr(changed, field) for field in fields},
        )
    )


# --- whose


async def _account(session: Session, root: str) -> Account:
    """The account of a root that the login may see. Raises Refused."""
    me = session.me
    if root in ("", me.row.login):
        return me
    row = await session.service.store.directory.account_by_login(root.lower())
    if row is not None:
        if row.id == me.id:
            return me
        if await _administers(session, row):
            return await session.service.mailboxes.open(row)
        shared = await _shared(session, row)
        if shared is not None:
            return shared
    raise Refused(_UNKNOWN)


async def _shared(session: Session, row: AccountRow) -> Account | None:
    """The account, if the login may read any mailbox of it."""
    for namespace in session.world.namespaces:
        realm = await namespace.realm(f"{namespace.prefix}{row.login}/")
        if realm is None or realm.account.id != row.id:
            continue
        for info in await realm.account.store.mailboxes():
            if await realm.rights(info.id) & right.READ:
                return realm.account
    return None


async def _administers(session: Session, row: AccountRow) -> bool:
    """May the login change the quotas of this account?"""
    me = await session.service.store.directory.account(session.me.id)
    if me is None or not me.administers:
        return False
    return me.administers == "server" or me.login.rpartition("@")[2] == row.login.rpartition("@")[2]


# --- how much


async def _send_quota(session: Session, root: str, account: Account) -> None:
    may = await account.allowance()
    resources: list[tuple[str, int, int]] = []
    if may.limited:
        usage = await account.store.usage()
        if may.octets:
            resources.append(("STORAGE", -(-usage.octets // _UNIT), may.octets // _UNIT))
        if may.messages:
            resources.append(("MESSAGE", usage.messages, may.messages))
    if may.mailboxes:
        resources.append(("MAILBOX", len(await account.store.mailboxes()), may.mailboxes))
    if may.annotations:
        held = await account.store.annotation_octets()
        resources.append(("ANNOTATION-STORAGE", -(-held // _UNIT), may.annotations // _UNIT))
    session.send(response.quota(root, resources, session.wire.utf8))
