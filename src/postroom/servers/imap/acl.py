"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 3).

Who may be given rights and how they add up is mailbox.acl's. Owners have all rights and are told first; an account
that nobody logs in to has none.
On failure: a mailbox that the login may not see is not there, whatever it asks (RFC 4314 6).
"""

from __future__ import annotations

from typing import Final, cast

from postroom.mailbox import acl
from postroom.mailbox.places import Place, refusal
from postroom.servers.imap.replies import Refused, Reply, no, ok
from postroom.servers.imap.session import Session
from postroom.store.api import FlagOp, Hint, RightsChange
from postroom.values import rights as right
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Identified, Mailbox, SetAcl

_OPS: Final = {"": FlagOp.REPLACE, "+": FlagOp.ADD, "-": FlagOp.REMOVE}
#: RFC 4314 4: any of these lets MYRIGHTS answer
_KNOWING: Final = right.LOOKUP | right.READ | right.INSERT | right.CREATE | right.DELETE_MAILBOX | right.ADMINISTER
_EACH: Final = (*right.LETTERS, *"cd")


async def set_acl(session: Session, command: Command) -> Reply:
    """SETACL."""
    args = cast(SetAcl, command.args)
    place = await session.world.find(args.mailbox, right.ADMINISTER)
    change = RightsChange(_OPS[args.op], args.rights)
    directory, owner = session.service.store.directory, place.account.row
    identifier = await acl.known(directory, args.identifier, owner)
    there = await place.account.store.acl(place.id)
    if identifier not in there and len(there) >= acl.MOST_IDENTIFIERS:
        raise Refused(no(f"An ACL can have {acl.MOST_IDENTIFIERS} identifiers; give rights to a group", b"LIMIT"))
    await _grant(session, place, identifier, change)
    return ok("Setacl completed")


async def delete_acl(session: Session, command: Command) -> Reply:
    """DELETEACL; an identifier that is not there is as good as removed, and its account need not exist any more."""
    args = cast(Identified, command.args)
    place = await session.world.find(args.mailbox, right.ADMINISTER)
    identifier = acl.normal(args.identifier, acl.domain_of(place.account.row.login))
    await _grant(session, place, identifier, RightsChange(FlagOp.REPLACE, right.NONE))
    return ok("Deleteacl completed")


async def _grant(session: Session, place: Place, identifier: str, change: RightsChange) -> None:
    store = session.service.store
    await acl.grant(store.directory, place.account.store, [place.id], identifier, change)
    for account in await acl.whose(store.directory, identifier):
        store.feed.publish(Hint(account, 0, 1))  # their clients that said NOTIFY may not know the owner yet
    session.service.acl_changed(session, place.name, identifier, change)


async def get_acl(session: Session, command: Command) -> Reply:
    """GETACL."""
    place = await session.world.find(cast(Mailbox, command.args).mailbox, right.ADMINISTER)
    owner = place.account.row
    pairs = [] if owner.shared else [(owner.login, right.told(right.ALL))]
    for identifier, rights in sorted((await place.account.store.acl(place.id)).items()):
        pairs.append((identifier, right.told(rights)))
    session.send(response.acl(place.name, pairs, session.wire.utf8))
    return ok("Getacl completed")


async def list_rights(session: Session, command: Command) -> Reply:
    """LISTRIGHTS: no rights are tied together; the owner has all anyway. The identifier is told as it came."""
    args = cast(Identified, command.args)
    place = await session.world.find(args.mailbox, right.ADMINISTER)
    owner = place.account.row
    name = acl.normal(args.identifier, acl.domain_of(owner.login)).removeprefix("-")
    required, optional = ("", _EACH) if name != owner.login else (right.told(right.ALL), ())
    session.send(response.listrights(place.name, args.identifier, (required, *optional), session.wire.utf8))
    return ok("Listrights completed")


async def my_rights(session: Session, command: Command) -> Reply:
    """MYRIGHTS."""
    place = await session.world.find(cast(Mailbox, command.args).mailbox)
    if not place.rights & _KNOWING:
        raise refusal(right.NONE, place.name)
    send_my_rights(session, place)
    return ok("Myrights completed")


def send_my_rights(session: Session, place: Place) -> None:
    """The MYRIGHTS response, also of a LIST (RFC 8440)."""
    session.send(response.myrights(place.name, right.told(place.rights), session.wire.utf8))
