"""The store's promises, as Protocols and frozen values.

Everything that changes something is durable when its coroutine returns: it would survive power loss (the bytes are
synced). What raises has changed nothing. Reads see every change that returned before them in this process.
"""

from postroom.store.api.account import (
    AccountStore,
    AppendResult,
    CopyResult,
    ExpungeResult,
    FlagChange,
    FlagOp,
    MailboxInfo,
    NewMessage,
    Rendered,
    StoreFlagsResult,
    Usage,
)
from postroom.store.api.directory import (
    AccountRow,
    AliasRow,
    DirectoryStore,
    DomainRow,
    KeyState,
    SigningKeyRow,
)
from postroom.store.api.errors import (
    DeliveredAlready,
    MailboxExists,
    MailboxHasChildren,
    NotFound,
    OverQuota,
    StoreError,
    StoreUnavailable,
    TooManyKeywords,
)
from postroom.store.api.feed import Feed, Hint
from postroom.store.api.pages import Page, Snapshot
from postroom.store.api.queue import (
    Entry,
    NewEntry,
    NewRecipient,
    QueueFilter,
    QueueStore,
    Recipient,
    RecipientState,
    new_entry,
)
from postroom.store.api.store import Finding, Spool, Store

__all__ = [
    "AccountRow",
    "AccountStore",
    "AliasRow",
    "AppendResult",
    "CopyResult",
    "DeliveredAlready",
    "DirectoryStore",
    "DomainRow",
    "Entry",
    "ExpungeResult",
    "Feed",
    "Finding",
    "FlagChange",
    "FlagOp",
    "Hint",
    "KeyState",
    "MailboxExists",
    "MailboxHasChildren",
    "MailboxInfo",
    "NewEntry",
    "NewMessage",
    "NewRecipient",
    "NotFound",
    "OverQuota",
    "Page",
    "QueueFilter",
    "QueueStore",
    "Recipient",
    "RecipientState",
    "Rendered",
    "SigningKeyRow",
    "Snapshot",
    "Spool",
    "Store",
    "StoreError",
    "StoreFlagsResult",
    "StoreUnavailable",
    "TooManyKeywords",
    "Usage",
    "new_entry",
]
