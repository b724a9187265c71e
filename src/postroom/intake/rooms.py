"""What intake works with: the rooms below it, as far as it asks them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from postroom.identity.srs import Srs
from postroom.identity.tagging import Tagging
from postroom.intake import routing
from postroom.intake.answers import Answers
from postroom.intake.bounces import Bounces
from postroom.intake.outside import Outside
from postroom.intake.scanning import Scanning
from postroom.intake.sent_filter import SentFilter
from postroom.intake.signing import Signer
from postroom.policy.greylist import Greylist
from postroom.policy.outgoing import Outgoing
from postroom.store.api import Entry, NewEntry, Store, Suppression
from postroom.values.clock import Clock


class Queue(Protocol):
    """What intake asks of the queue."""

    def new_id(self) -> str: ...
    async def accept(self, entry: NewEntry) -> Entry: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What intake works with. outgoing: limits what our own people send, None limits nothing; signer: signs what they
    send, None leaves it as it is; outside: examines mail from outside, None takes it as it is; srs: knows the return
    addresses of mail that was passed on; tags: those of mail of our own; bounces: looks at reports, None takes them
    all; answers: knows addresses that release from quarantine, None knows none; greylist: lets unknown servers wait,
    None nobody; suppressed: why nothing is sent to an outside address (key) now; refuses: why the only recipient's own
    filter refuses a message, "" when it does not (RFC 5429 2.1.1); sent: looks at what our own people send, None does
    not; scanning: looks for viruses in it, None does not.
    """

    store: Store
    queue: Queue
    identity: routing.Identity
    clock: Clock
    outgoing: Outgoing | None = None
    signer: Signer | None = None
    outside: Outside | None = None
    srs: Srs | None = None
    tags: Tagging | None = None
    bounces: Bounces | None = None
    answers: Answers | None = None
    greylist: Greylist | None = None
    suppressed: Callable[[str, float], Suppression | None] | None = None
    refuses: Callable[[NewEntry], Awaitable[str]] | None = None
    sent: SentFilter | None = None
    scanning: Scanning | None = None
