"""The mailbox that the detail of an address names: mail for ann+lists@example.org goes into "lists".

Trusts: nothing in the detail, which whoever writes a mail makes up. It names a mailbox of the top level that has no
special use (nobody files mail in somebody's Trash), in any case of letters; anything else leaves the mail in INBOX.
Owns: how many mailboxes strangers can have made.
"""

from __future__ import annotations

from typing import Final

from postroom.mailbox.errors import BadName, TooManyMailboxes
from postroom.mailbox.names import DELIMITER, INBOX, check
from postroom.mailbox.service import Account
from postroom.store.api import MailboxExists, MailboxInfo

#: mailboxes an account has at most for another one to be made for a detail
MOST_MADE: Final = 200
#: characters of a detail that becomes a mailbox
_LONGEST: Final = 40


async def mailbox_of_detail(account: Account, detail: str, *, create: bool) -> str:
    """The name of the mailbox for mail with this detail; create: one that is not there is made."""
    try:
        name = check(detail)
    except BadName:
        return INBOX
    known = await account.store.mailboxes()
    found = _named(known, name)
    if found is not None:
        return INBOX if found.special_use else found.name
    if not create or DELIMITER in name or len(name) > _LONGEST or len(known) >= MOST_MADE:
        return INBOX
    try:
        made = (await account.create(name)).name
        await account.subscribe(made, True)
    except (MailboxExists, TooManyMailboxes):
        return INBOX  # another message was quicker; the next one finds it
    return made


def _named(known: list[MailboxInfo], name: str) -> MailboxInfo | None:
    """As written, else in another case of letters."""
    if DELIMITER in name:
        return None
    exact = next((info for info in known if info.name == name), None)
    folded = name.casefold()
    return exact or next((info for info in known if info.name.casefold() == folded), None)
