"""From command to executor: one loop runs it, tells the news and prints the reply.

Who may do what and when is data in the command table (wire.imap.table), which the wire session asks; what to do is
data here (EXECUTORS).
Owns: the order of a command's responses: its own data, news (if the table allows it), the tagged reply.
Standards: RFC 9051 3, 5.5, 7.5.1 (no EXPUNGE during FETCH, STORE, SEARCH), RFC 7162 6 (HIGHESTMODSEQ while waiting).
On failure: errors of the rooms below become their NO; a bug becomes NO [SERVERBUG] and a log line with the trace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec.structs import replace

from postroom.servers.imap import (
    access,
    acl,
    append,
    basics,
    compress,
    copy,
    expunge,
    fetch,
    filters,
    idle,
    list,
    login,
    mailboxes,
    metadata,
    multisearch,
    notify,
    quota,
    search,
    select,
    sort,
    status,
    store,
    uidbatches,
    updates,
)
from postroom.servers.imap.replies import Reply, bad, is_damage, reply_for
from postroom.servers.imap.selected import Selected
from postroom.servers.imap.session import Session
from postroom.store.api import StoreError
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command
from postroom.wire.imap.table import COMMANDS

#: None: the command goes on with the client's next line (Session.await_line)
Executor = Callable[[Session, Command], "Awaitable[Reply | None] | Reply | None"]

EXECUTORS: Final[dict[str, Executor]] = {
    "CAPABILITY": basics.capability,
    "GETJMAPACCESS": basics.jmap_access,
    "NOOP": basics.noop,
    "CHECK": basics.noop,
    "LOGOUT": basics.logout,
    "ID": basics.identify,
    "ENABLE": basics.enable,
    "NAMESPACE": basics.namespace,
    "STARTTLS": login.starttls,
    "LOGIN": login.login,
    "AUTHENTICATE": login.authenticate,
    "COMPRESS": compress.compress,
    "UNAUTHENTICATE": compress.unauthenticate,
    "SELECT": select.select,
    "EXAMINE": select.select,
    "CLOSE": select.close,
    "UNSELECT": select.unselect,
    "CREATE": mailboxes.create,
    "DELETE": mailboxes.delete,
    "RENAME": mailboxes.rename,
    "SUBSCRIBE": mailboxes.subscribe,
    "UNSUBSCRIBE": mailboxes.subscribe,
    "LIST": list.list_mailboxes,
    "LSUB": list.list_subscribed,
    "STATUS": status.status,
    "APPEND": append.append,
    "REPLACE": append.append,
    "UID REPLACE": append.append,
    "IDLE": idle.idle,
    "NOTIFY": notify.notify,
    "UIDBATCHES": uidbatches.uidbatches,
    "EXPUNGE": expunge.expunge,
    "UID EXPUNGE": expunge.expunge,
    "SEARCH": filters.with_filters(search.search),
    "UID SEARCH": filters.with_filters(search.search),
    "ESEARCH": multisearch.esearch,
    "CANCELUPDATE": sort.cancel_update,
    "SORT": filters.with_filters(sort.sort),
    "UID SORT": filters.with_filters(sort.sort),
    "THREAD": filters.with_filters(sort.thread),
    "UID THREAD": filters.with_filters(sort.thread),
    "FETCH": fetch.fetch,
    "UID FETCH": fetch.fetch,
    "STORE": store.store,
    "UID STORE": store.store,
    "COPY": copy.copy,
    "UID COPY": copy.copy,
    "MOVE": copy.move,
    "UID MOVE": copy.move,
    "SETACL": acl.set_acl,
    "DELETEACL": acl.delete_acl,
    "GETACL": acl.get_acl,
    "LISTRIGHTS": acl.list_rights,
    "MYRIGHTS": acl.my_rights,
    "GETQUOTA": quota.get_quota,
    "GETQUOTAROOT": quota.get_quota_root,
    "SETQUOTA": quota.set_quota,
    "GETMETADATA": metadata.get_metadata,
    "SETMETADATA": metadata.set_metadata,
}

_SEARCHING: Final = frozenset(("UID SEARCH", "UID SORT", "UID THREAD", "ESEARCH"))
#: commands by which a client asks for news
_ASKING: Final = frozenset(("NOOP", "CHECK"))


async def execute(session: Session, command: Command) -> None:
    """Run one command to its tagged reply (or to the point where it waits for a line)."""
    box = session.selected
    if box is not None and not box.own and not await _may_go_on(session, box):
        return
    if box is not None and not box.modseqs and access.names_modseqs(command):
        await _finish(session, command, bad("This mailbox has no mod-sequences (RFC 7162 3.1.2.2)"))
        return
    session.running = command
    reply = await _guarded(session, EXECUTORS[command.name], command, command.name)
    session.running = session.progress = None
    if reply is not None:
        await _finish(session, command, reply)


async def _may_go_on(session: Session, box: Selected) -> bool:
    """The mailbox of somebody else is still shared with this client (access)."""
    try:
        return await access.may_go_on(session, box)
    except StoreError:
        return True  # with the rights it had; the command itself needs the store, too


async def line(session: Session, data: bytes) -> None:
    """A line for the command that waits for one."""
    command, taker = session.waiting, session.takes_line
    assert command is not None
    assert taker is not None
    reply = await _guarded(session, taker, data, command.name)
    if reply is not None:
        session.end_lines()
        await _finish(session, command, reply)


async def push(session: Session) -> None:
    """News for a client in IDLE, or of what it asked for by NOTIFY."""
    if session.link.choked:
        await session.link.drain()
    box = session.selected
    if box is not None and not box.own and not await _may_go_on(session, box):
        return
    await metadata.tell(session)
    watch = session.watch
    if session.selected is not None and (session.news or session.selected.view.ghosts):
        changes = await updates.news(session, expunge_ok=session.idling or watch is None or not watch.patient)
        if changes and changes.vanished and session.qresync:
            code = response.number_code(b"HIGHESTMODSEQ", session.box.view.modseq)
            session.send(response.ok(b"*", "All changes up to this are told", code))
    if watch is not None and watch.pending:
        await watch.tell(session)


async def _guarded(
    session: Session, does: Callable[[Session, Any], Awaitable[Reply | None] | Reply | None], what: object, name: str
) -> Reply | None:
    try:
        work = does(session, what)
        if work is None or isinstance(work, Reply):
            return work
        return await work
    except ConnectionError:
        raise  # the peer is gone: nobody is left to answer
    except Exception as fault:
        if is_damage(fault):
            session.service.damaged(session, name, fault)
        return reply_for(fault) or session.service.bug(session, name, fault)


async def _finish(session: Session, command: Command, reply: Reply) -> None:
    """News, then the tagged reply."""
    if reply.status == b"BAD":
        session.connection.fault()
    else:
        session.connection.sense()
    if session.annotated is not None:
        await metadata.tell(session)
    if session.selected is not None and reply.status != b"BAD" and not session.frozen:
        expunge_ok = _expunge_ok(command)
        ghosts = session.selected.view.ghosts
        # The feed says when there is something to tell, also from other processes. NOOP asks the store itself.
        if session.news or command.name in _ASKING or (ghosts and expunge_ok):
            reply = await _with_news(session, reply, expunge_ok=expunge_ok)
        elif ghosts:
            reply = _held_back(session, reply, session.selected.view.modseq)
        if session.selected is not None and session.selected.contexts:
            await updates.follow(session)
    if reply.spare:
        reply = _with_spare(session, reply)
    session.send(reply.line(command.tag))
    if session.then is not None:
        then, session.then = session.then, None
        then()
    if session.watch is not None and session.due:
        session.connection.wake()


def _with_spare(session: Session, reply: Reply) -> Reply:
    """RFC 9738 3.1: the tagged reply has room for one code; the other comes before it, in an untagged NO."""
    if not reply.code:
        return replace(reply, code=reply.spare)
    session.send(response.no(b"*", "Not all of the messages were worked on", reply.spare))
    return reply


def _expunge_ok(command: Command) -> bool:
    """RFC 9051 7.5.1; RFC 7162 3.2.10.2: nor during a UID SEARCH, SORT or THREAD that names message numbers."""
    if command.name in _SEARCHING:
        return not search.names_numbers(filters.search_of(command).key)
    return COMMANDS[command.name].expunge_ok


async def _with_news(session: Session, reply: Reply, *, expunge_ok: bool) -> Reply:
    changes = await updates.news(session, expunge_ok=expunge_ok)
    if changes is None or session.selected is None:
        return reply
    view = session.selected.view
    if view.ghosts or (changes.vanished and session.qresync):
        return _held_back(session, reply, view.modseq)
    return reply


def _held_back(session: Session, reply: Reply, modseq: int) -> Reply:
    """Expunges wait to be told, or have just been: what the client is told about that."""
    code = b"EXPUNGEISSUED"  # RFC 5530 3
    if session.qresync:
        # RFC 7162 3.2 and 6: what the client may rely on is lower than MODSEQs it has seen, or settled again
        code = response.number_code(b"HIGHESTMODSEQ", modseq)
    stale = reply.code.startswith(b"HIGHESTMODSEQ ")  # EXPUNGE and MOVE say it, and more was told since
    if (not reply.code or stale) and reply.status == b"OK":
        return replace(reply, code=code)
    if session.qresync:
        session.send(response.ok(b"*", "All changes up to this are told", code))
    return reply
