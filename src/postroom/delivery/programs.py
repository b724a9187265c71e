"""The compiled script of each account, kept while its scripts stay as they are.

Owns: programs in memory. Trusts: nothing of scripts; a script that does not compile (any more) counts as an error at
each run.
On failure: BadScript, StoreError.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from postroom.mailbox.scripts import library_of
from postroom.sieve.compiler import Program, compile_script
from postroom.sieve.faults import BadScript
from postroom.sieve.run import Limits
from postroom.store.api import AccountStore, NotFound

#: steps of a run on the event loop, some milliseconds; what takes more goes to a thread
_QUICK: Final = 4_000
#: programs that are kept, and octets of script above which they are not
_MOST: Final = 500
_LARGEST: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Compiled:
    """The active script. serial: of the account's scripts; fault: why it cannot be run, "" when it can."""

    name: str
    serial: int
    program: Program | None
    fault: str = ""


class Programs:
    """Of all accounts."""

    __slots__ = ("_kept", "limits", "quick")

    def __init__(self, limits: Limits) -> None:
        self.follow(limits)
        self._kept: OrderedDict[str, Compiled] = OrderedDict()

    def follow(self, limits: Limits) -> None:
        """Other limits from now on. quick: those of a run on the event loop."""
        self.limits = limits
        self.quick = replace(limits, steps=min(_QUICK, limits.steps))

    async def of(self, account: AccountStore) -> Compiled | None:
        """The account's program; None when no script is active. Raises StoreError."""
        state = await account.filters.filter()
        if not state.active:
            self._kept.pop(account.id, None)
            return None
        known = self._kept.get(account.id)
        if known is not None and known.serial == state.serial:
            self._kept.move_to_end(account.id)
            return known
        try:
            text = await account.filters.script(state.active)
        except NotFound:
            return None  # renamed just now
        try:
            program = compile_script(text, await library_of(account.filters, text), self.limits)
            found = Compiled(state.active, state.serial, program)
        except BadScript as bad:
            found = Compiled(state.active, state.serial, None, str(bad.faults[0]))
        if len(text) <= _LARGEST:
            self._kept[account.id] = found
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return found
