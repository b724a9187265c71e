"""NOTIFY: from now on the client hears of events as they happen, IDLE or not (RFC 5465).

What is heard is watch.py's; here is the command.
On failure: NO [BADEVENT], NO [NOTIFICATIONOVERFLOW]; the NOTIFY before stays in effect.
"""

from __future__ import annotations

from typing import Final, cast

from postroom.servers.imap import updates
from postroom.servers.imap.interests import SUPPORTED, Interests, unsupported
from postroom.servers.imap.replies import Reply, no, ok
from postroom.servers.imap.session import Session
from postroom.servers.imap.watch import TooMany, Watch
from postroom.wire.imap.commands import Command, Notify

#: names of mailboxes in one command
MOST_NAMES: Final = 1000


async def notify(session: Session, command: Command) -> Reply:
    """NOTIFY SET and NOTIFY NONE."""
    args = cast(Notify, command.args)
    groups = args.groups or ()
    if unsupported(groups):
        return no("These events can be told", b"BADEVENT (%b)" % " ".join(SUPPORTED).encode("ascii"))
    if sum(len(group.names) for group in groups) > MOST_NAMES:  # they are looked up with each change of the list
        return no(f"{MOST_NAMES} names can be given", b"NOTIFICATIONOVERFLOW")
    watch = Watch(Interests(groups), session.connection.wake)
    try:
        await watch.begin(session, status=args.status)
    except TooMany:
        return no("These are too many mailboxes to watch", b"NOTIFICATIONOVERFLOW")
    session.listen(None)
    if args.groups is not None and session.selected is not None:
        # RFC 5465 3.1: what has happened already, whatever is to be told from now on
        await updates.news(session, expunge_ok=True)
    session.listen(watch)
    return ok("Notify completed")
