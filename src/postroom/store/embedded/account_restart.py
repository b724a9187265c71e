"""After power loss: numbers that deliveries may have had which are lost are never given to another message.

The lost deliveries are still in the queue and come again, under new numbers. See `unsettled`.
Standards: RFC 9051 2.3.1.1 (a UID never means another message); RFC 7162 3.1 (MODSEQ only grows).
"""

from __future__ import annotations

from typing import Any, Final

import apsw

from postroom.store.embedded.account_read import read_totals

#: more than an account can get between two syncs, which is a second's deliveries of all workers
SKIPPED: Final = 65_536


def left_unsettled(writer: apsw.Connection) -> str:
    """The run of the machine in which the account last got deliveries that were not synced, "" for none."""
    boot: Any = writer.execute("SELECT boot FROM account").get
    return str(boot)


def note_unsettled(writer: apsw.Connection, boot: str) -> None:
    """From the commit of this transaction on, which is synced, deliveries need not be."""
    writer.execute("UPDATE account SET boot = ?", (boot,))


def skip_lost(writer: apsw.Connection) -> None:
    """In a transaction: go on with numbers nobody can have seen, and tell no client what vanished before (it asks)."""
    modseq, next_message, octets, messages = read_totals(writer)
    modseq += SKIPPED
    next_message += SKIPPED
    writer.execute(
        "UPDATE mailbox SET uidnext = min(uidnext + ?1, 4294967295), modseq = ?2, history = ?2, account_modseq = ?2,"
        " next_message = ?3, account_octets = ?4, account_messages = ?5",
        (SKIPPED, modseq, next_message, octets, messages),
    )
    writer.execute(
        "UPDATE account SET modseq = ?, next_message = ?, octets = ?, messages = ?, boot = ''",
        (modseq, next_message, octets, messages),
    )
