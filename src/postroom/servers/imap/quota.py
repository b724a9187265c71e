"""GETQUOTA, GETQUOTAROOT, SETQUOTA: one quota root "" for the whole account (RFC 9208).

STORAGE counts units of 1024 octets (RFC 9208 5.1), MESSAGE messages (RFC 9208 5.2). A resource without a limit is not
shown, and a root may have none (RFC 9208 4.2.1), which clients show as unlimited.
"""

from __future__ import annotations

from typing import cast

from postroom.servers.imap.replies import Reply, no, ok
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, GetQuota, Mailbox


async def _send_quota(session: Session) -> None:
    quota = await session.me.quota()
    resources = [("STORAGE", -(-quota.used // 1024), quota.limit // 1024)] if quota.limit else []
    if quota.message_limit:
        resources.append(("MESSAGE", quota.messages, quota.message_limit))
    session.send(response.quota("", resources))


async def get_quota(session: Session, command: Command) -> Reply:
    """GETQUOTA of the one root there is."""
    if cast(GetQuota, command.args).root:
        return no('There is no such quota root; the only one is ""', b"NONEXISTENT")
    await _send_quota(session)
    return ok("Quota completed")


async def get_quota_root(session: Session, command: Command) -> Reply:
    """GETQUOTAROOT: the root and what it holds; the mailbox need not exist (RFC 9208 4.1.2)."""
    session.send(response.quotaroot(cast(Mailbox, command.args).mailbox, [""], session.wire.utf8))
    await _send_quota(session)
    return ok("Quota root completed")


def set_quota(_session: Session, _command: Command) -> Reply:
    """SETQUOTA is the administrator's business (RFC 9208 4.1.3)."""
    return no("Quotas are set by the administrator: postroom user set ADDRESS --quota", b"NOPERM")
