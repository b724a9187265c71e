"""An account as its script sees it: read before the script runs, and only what it can ask for.

On failure: StoreError.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from postroom.mailbox import names
from postroom.mailbox.objectids import mailbox_id
from postroom.store.api import AccountStore, Annotation, MailboxInfo

_MAILBOXES = frozenset(("mailbox", "mailboxid", "special-use", "mboxmetadata"))


def digest(*parts: str) -> bytes:
    """What something is remembered by."""
    return blake2b("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "replace"), digest_size=16).digest()


class AccountWorld:
    """See sieve.world.World."""

    def __init__(
        self,
        account: str,
        mailboxes: Iterable[MailboxInfo],
        annotations: Iterable[Annotation],
        remembered: frozenset[bytes],
    ) -> None:
        self._account = account
        self._mailboxes = {info.name: info for info in mailboxes}
        self._annotations = {
            (each.mailbox, ("/private/" if each.login else "/shared/") + each.name.lower()): each.value
            for each in annotations
        }
        self._remembered = remembered

    def _named(self, name: str) -> MailboxInfo | None:
        return self._mailboxes.get(names.normalize(name))

    def mailbox_exists(self, name: str) -> bool:
        return self._named(name) is not None

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        return next((name for name, info in self._mailboxes.items() if self._id(info) == mailbox_id), None)

    def _id(self, info: MailboxInfo) -> str:
        return mailbox_id(self._account, info.id)

    def special_use(self, attribute: str) -> str | None:
        wanted = attribute.lower()
        return next((name for name, info in self._mailboxes.items() if info.special_use.lower() == wanted), None)

    def special_uses(self, name: str) -> tuple[str, ...]:
        info = self._named(name)
        return (info.special_use,) if info is not None and info.special_use else ()

    def metadata(self, mailbox: str | None, entry: str) -> str | None:
        info = self._named(mailbox) if mailbox is not None else None
        if mailbox is not None and info is None:
            return None
        value = self._annotations.get((info.id if info is not None else 0, entry.lower()))
        return None if value is None else value.decode("utf-8", "replace")

    def seen(self, key: str) -> bool:
        return digest("seen", key) in self._remembered


async def world_of(account: AccountStore, asks: frozenset[str], now: float) -> AccountWorld:
    """What a program with tests of these extensions can ask. Raises StoreError."""
    mailboxes = await account.mailboxes() if not _MAILBOXES.isdisjoint(asks) else []
    annotations: list[Annotation] = []
    if "mboxmetadata" in asks:
        for info in mailboxes:
            annotations += await account.annotations(info.id, account.id)
    if "servermetadata" in asks:
        annotations += await account.annotations(0, account.id)
    remembered = await account.filters.remembered(now) if "duplicate" in asks else frozenset[bytes]()
    return AccountWorld(account.id, mailboxes, annotations, remembered)
