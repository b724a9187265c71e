"""Special uses of mailboxes: which there are, and that each is given to one mailbox of an account at most.

Standards: RFC 6154 2 and 3, RFC 8457 3. On failure: SpecialUseRefused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from postroom.mailbox.errors import SpecialUseRefused
from postroom.store.api import MailboxInfo

#: RFC 6154 2 and RFC 8457 3, those that are real mailboxes here; \\All and \\Flagged would be virtual ones
SPECIAL_USES: Final = ("\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Sent", "\\Trash")


def special_use(wanted: Sequence[str], others: Sequence[MailboxInfo]) -> str:
    """RFC 6154 3: one attribute that no other mailbox has. Raises SpecialUseRefused."""
    if not wanted:
        return ""
    if len(wanted) > 1:
        raise SpecialUseRefused("A mailbox has one special use at most")
    for use in SPECIAL_USES:
        if use.lower() == wanted[0].lower():
            holder = next((info.name for info in others if info.special_use.lower() == use.lower()), None)
            if holder is not None:
                raise SpecialUseRefused(f"{use} is given to {holder!r} already")
            return use
    raise SpecialUseRefused(f"{wanted[0][:40]} is not supported; these are: {' '.join(SPECIAL_USES)}")
