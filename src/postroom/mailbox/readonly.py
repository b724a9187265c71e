"""What is left of an account for those who may only look: the part that its read-only views have in common.

A view (recover.PastStore, saved.SavedStore) answers what it has an answer of its own for, and hands all else to this:
a few questions are the account's to answer, some have a short answer here, and what would change something is refused.
Trusts: the view for which messages may be asked for.
On failure: NoPermission, with the view's words, for whatever changes something.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from postroom.mailbox.errors import NoPermission
from postroom.store.api import Placing, Snapshot, Source

if TYPE_CHECKING:
    from postroom.mailbox.places import Place
    from postroom.store.api import AccountStore, Annotation

#: what a view lets the account itself answer
_READS: Final = frozenset({
    "rendered", "columns", "content", "origins", "originals", "usage", "index", "messages", "subscriptions",
    "refusals", "traits",
})  # fmt: skip


class ReadOnly:
    """An account behind a view of it."""

    __slots__ = ("_real", "_refusal")

    def __init__(self, real: AccountStore, refusal: str) -> None:
        """refusal: what is said to who would change something."""
        self._real = real
        self._refusal = refusal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name) if name in _READS else self._refuse

    async def _refuse(self, *_given: object, **_named: object) -> NoReturn:
        raise NoPermission(self._refusal)

    async def vanished(self, mailbox: int, since: int) -> None:
        """There is no history of what is shown."""

    async def recent(self, mailbox: int, uidnext: int, *, claim: bool) -> int:
        """Nothing here is recent."""
        return uidnext

    async def annotations(self, mailbox: int, login: str) -> list[Annotation]:
        """None."""
        return []

    async def annotated(self, login: str, since: int) -> list[Annotation]:
        """None."""
        return []

    async def acl(self, mailbox: int) -> dict[str, int]:
        """Nobody else sees it."""
        return {}

    async def place(
        self, sources: Sequence[Source], shown: Sequence[int], target: Place
    ) -> tuple[int, tuple[int, ...], tuple[int, ...], Snapshot]:
        """Put messages into a mailbox of the account, as they were. shown: their UIDs in the view.

        UIDVALIDITY, UIDs of the view that came, theirs in the mailbox, and the mailbox after it, as CopyResult has
        them. Raises NotFound, OverQuota, TooManyKeywords.
        """
        quota = await target.account.quota()
        done = await self._real.restore(
            [Placing(target=target.info.name, sources=sources)],
            quota=quota.limit,
            quota_messages=quota.message_limit,
        )
        after = await target.account.snapshot(target.id)
        if not done.placed:
            return after.uidvalidity, (), (), after
        [placed] = done.placed
        return placed.uidvalidity, tuple(shown[place] for place in placed.places), placed.uids, after
