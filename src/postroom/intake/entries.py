"""From an envelope and what was found out about its message to the entry that the queue is given.

Pure. On failure: never.
"""

from __future__ import annotations

from msgspec import structs

from postroom.intake import routing
from postroom.intake.model import Envelope, RcptResult
from postroom.intake.outside import Examined
from postroom.store.api import NewEntry, NewRecipient


def filed(entry: NewEntry, examined: Examined | None) -> NewEntry:
    """The entry with what was found out about it."""
    if examined is None or not (examined.junk or examined.keywords or examined.kept or _for_programs(entry.recipients)):
        return entry
    recipients = entry.recipients
    if examined.inbox:
        wanted = frozenset(examined.inbox)
        recipients = tuple([structs.replace(one, inbox=one.address in wanted) for one in recipients])
    if examined.kept:
        recipients = tuple([_set_apart(one, examined.kept.get(one.address, "")) for one in recipients])
    found = {"junk": examined.junk, "keywords": examined.keywords, "proven": examined.proven}
    return structs.replace(entry, recipients=recipients, **found)


def _set_apart(recipient: NewRecipient, why: str) -> NewRecipient:
    """A local recipient whose mail goes into quarantine, when there is a reason."""
    if not why or recipient.route != routing.LOCAL:
        return recipient
    return structs.replace(recipient, route=routing.QUARANTINE, why=why)


def _for_programs(targets: tuple[NewRecipient, ...]) -> bool:
    """Somebody reads it who asks who is proven to have sent it."""
    return any(target.route in (routing.REPORTS, routing.TRAP) for target in targets)


def merged(envelope: Envelope, results: tuple[RcptResult, ...]) -> tuple[NewRecipient, ...]:
    """The queue recipients of those RCPTs that stand, each address once."""
    if len(envelope.given) == 1:
        return envelope.given[0].targets if results[0].refusal is None else ()
    found: dict[str, NewRecipient] = {}
    for given, result in zip(envelope.given, results, strict=True):
        if result.refusal is None:
            for target in given.targets:
                local = target.route == routing.LOCAL
                found.setdefault(target.address.casefold() if local else target.address, target)
    return tuple(found.values())
