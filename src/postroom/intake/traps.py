"""What it means for a message that it goes to spam traps too.

Pure. On failure: never.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postroom.filter.scoring import Reason
from postroom.intake.model import Envelope
from postroom.intake.routing import TRAP

_POINTS: Final = 8.0


def trapped(envelope: Envelope) -> Iterator[Reason]:
    """A reason for those who get it as well."""
    count = sum(target.route == TRAP for given in envelope.given for target in given.targets)
    if count:
        what = "an address that nobody has" if count == 1 else f"{count} addresses that nobody has"
        yield Reason("SPAM_TRAP", _POINTS, f"it also went to {what}, which only senders of spam know")


def only_traps(envelope: Envelope) -> bool:
    """Nobody is to read it."""
    targets = [target for given in envelope.given for target in given.targets]
    return bool(targets) and all(target.route == TRAP for target in targets)
