"""One account's mailboxes and messages.

MODSEQ (RFC 7162) is counted per account: every change takes the account's next number, and the mailbox it touched
remembers its highest. UIDs are never reused; UIDVALIDITY of a mailbox never changes while it lives, renames included.
A message's octets and rendered fields are kept once per account however many mailboxes it is in; `message` ids name
them and never change, so they serve as EMAILID and, with the GUID, as POP3 UIDL.
Expunged messages stay readable by message id until they are swept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from msgspec import Struct

from postroom.store.api.contacts import ContactStore
from postroom.store.api.index import IndexFile
from postroom.store.api.marks import MarkStore, SeenMode
from postroom.store.api.pages import Snapshot
from postroom.store.api.past import Departure, MailboxLife, Placing, Restored, Undone
from postroom.store.api.saved import SearchStore
from postroom.store.api.traits import TraitStore
from postroom.values.content import Content
from postroom.values.flags import VISIBLE

if TYPE_CHECKING:
    from postroom.store.api.filters import FilterStore


class MailboxInfo(Struct, frozen=True, kw_only=True):
    """A mailbox as LIST and STATUS need it. name: Unicode, "/" between levels, INBOX in upper case.

    unseen: -1 where it was not counted, because each reader has an own \\Seen (mailbox.reader).
    """

    id: int
    name: str
    uidvalidity: int
    uidnext: int
    modseq: int  # HIGHESTMODSEQ
    messages: int
    unseen: int
    deleted: int
    size: int  # octets of all its messages
    special_use: str = ""  # such as "\\Drafts"
    seen: SeenMode = SeenMode.DEFAULT  # whose \\Seen is


class Origin(Struct, frozen=True):
    """What a message that came from another account is called (RFC 8474 5.1): EMAILID as printed, THREADID's number."""

    emailid: str
    thread: int


class NewMessage(Struct, frozen=True, kw_only=True):
    """A message to append. What a reader will ask for was rendered by the caller and is opaque here.

    guid: 32 hex digits, new for each message; envelope, structure: IMAP text; bodystructure: with extension data;
    parts: packed part offsets; internaldate: Unix seconds; header: octets up to and including the empty line.
    references: the value of the References field, unfolded, of bounded size; origin: set when it is a copy of a message
    of another account, whose identifiers it keeps.
    """

    content: Content
    guid: str
    internaldate: int
    envelope: bytes
    structure: bytes
    bodystructure: bytes
    parts: bytes
    header: int
    references: bytes = b""
    flags: int = 0
    keywords: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was rendered of one message (see NewMessage)."""

    message: int
    guid: str
    size: int
    internaldate: int
    envelope: bytes
    structure: bytes
    bodystructure: bytes
    parts: bytes
    header: int


class AppendResult(Struct, frozen=True):
    """UIDPLUS data (RFC 4315 3) of an append: uids in the order given; snapshot: the mailbox after it."""

    uidvalidity: int
    uids: tuple[int, ...]
    snapshot: Snapshot


class FlagOp(Enum):
    """RFC 9051 6.4.6: FLAGS, +FLAGS, -FLAGS."""

    REPLACE = 0
    ADD = 1
    REMOVE = 2


class Settable(NamedTuple):
    """Which flags of a message whoever asks may set or clear (RFC 4314 4): system flags, and whether keywords.

    Others stay as they are, and are not taken along by a copy.
    """

    flags: int = VISIBLE
    keywords: bool = True


EVERY_FLAG: Final = Settable()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagChange:
    """What a STORE asks for. bits: system flags; keywords by name; unchanged_since: RFC 7162 3.1.3, None = any.

    may: what it can reach; REPLACE leaves the rest alone.
    """

    op: FlagOp
    bits: int
    keywords: tuple[str, ...] = ()
    unchanged_since: int | None = None
    may: Settable = EVERY_FLAG


@dataclass(frozen=True, slots=True)
class StoreFlagsResult:
    """changed: UIDs whose flags differ now; modified: UIDs refused by unchanged_since; missing: UIDs not there."""

    snapshot: Snapshot
    changed: tuple[int, ...]
    modified: tuple[int, ...]
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """COPYUID data (RFC 4315 3): source[i] became target[i]. source_snapshot: the source after a move, else before."""

    uidvalidity: int
    source: tuple[int, ...]
    target: tuple[int, ...]
    source_snapshot: Snapshot
    target_snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class ExpungeResult:
    """UIDs that went, ascending, and the mailbox after it."""

    uids: tuple[int, ...]
    snapshot: Snapshot


class Annotation(Struct, frozen=True):
    """One entry of METADATA (RFC 5464 3). mailbox: 0 is the account itself (what clients call the server).

    login: the account id of whose private entry it is, "" when it is shared; name: the entry without its scope and the
    slash behind that ("comment", "vendor/kolab/color"), in the case it was first written in, compared without; value:
    None when it was removed; modseq: of its last change.
    """

    mailbox: int
    login: str
    name: str
    value: bytes | None
    modseq: int


class NewAnnotation(Struct, frozen=True):
    """A value to be set (see Annotation); value None removes the entry."""

    login: str
    name: str
    value: bytes | None


class AnnotationLimits(Struct, frozen=True, kw_only=True):
    """What an account may hold: entries of a mailbox, shared and of one log-in each; octets of names and values."""

    count: int = 100
    octets: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What the account holds: octets (every copy counts) and messages."""

    octets: int
    messages: int


@dataclass(frozen=True, slots=True)
class RightsChange:
    """What SETACL asks for (RFC 4314 3.1): op as with flags; rights: bits of values.rights."""

    op: FlagOp
    rights: int


class AccountStore(Protocol):
    """All of one account. Methods that change are durable on return and publish hints on the feed.

    Every method may raise StoreUnavailable; those that take a mailbox id raise NotFound when it is gone.
    """

    @property
    def id(self) -> str: ...

    @property
    def filters(self) -> FilterStore:
        """Scripts, and what belongs to them."""
        ...

    @property
    def marks(self) -> MarkStore:
        """What readers of shared mailboxes have seen."""
        ...

    @property
    def index(self) -> IndexFile:
        """The account's full-text index."""
        ...

    @property
    def saved(self) -> SearchStore:
        """Searches it keeps."""
        ...

    @property
    def contacts(self) -> ContactStore:
        """Its address book."""
        ...

    @property
    def traits(self) -> TraitStore:
        """What its messages are sorted, threaded and found by."""
        ...

    async def mailboxes(self) -> list[MailboxInfo]:
        """All mailboxes, by name."""
        ...

    async def mailbox(self, name: str) -> MailboxInfo | None:
        """Look one up by its exact name (INBOX in upper case)."""
        ...

    async def create(self, name: str, special_use: str = "") -> MailboxInfo:
        """Make a mailbox, not subscribed. Missing parents are made too (RFC 9051 6.3.4). Raises MailboxExists."""
        ...

    async def rename(self, mailbox: int, name: str) -> None:
        """Rename with everything below it; the account's own subscriptions to what is renamed go along.

        Raises MailboxExists. Renaming INBOX is the room mailbox's business.
        """
        ...

    async def delete(self, mailbox: int) -> None:
        """Remove a mailbox; its messages are expunged (recoverable), its subscription stays.

        Raises MailboxHasChildren.
        """
        ...

    async def subscriptions(self) -> frozenset[str]:
        """The names this account's log-in is subscribed to, also those of mailboxes that are not there (any more).

        Names as the log-in sees them, so also such as lie in other accounts.
        """
        ...

    async def refusals(self) -> frozenset[str]:
        """The names that were taken out of the subscriptions to be remembered. None of them is subscribed to."""
        ...

    async def subscribe(self, name: str, subscribed: bool, *, remember: bool = False) -> None:
        """Add a name to the subscriptions or take it out; there need not be a mailbox (RFC 3501 6.3.6).

        remember: a name that is taken out is one of the refusals from then on, until it is subscribed to.
        """
        ...

    async def acl(self, mailbox: int) -> Mapping[str, int]:
        """Who may do what with a mailbox, the owner apart: identifiers (RFC 4314 2) and bits of values.rights.

        Mailbox 0 is the top level. {} also for a mailbox that is not there. A mailbox that is made takes over the
        ACL of the one above it, or of the top level.
        """
        ...

    async def acls(self) -> Mapping[int, Mapping[str, int]]:
        """The ACLs of all mailboxes that have one."""
        ...

    async def grant(self, mailboxes: Sequence[int], identifier: str, change: RightsChange) -> bool:
        """Change what an identifier may do with mailboxes (0: the top level), all in one commit.

        Without any rights it leaves the ACL. True while it stands in any ACL of the account. Raises NotFound.
        """
        ...

    async def specialize(self, mailbox: int, special_use: str) -> None:
        """Change the special use of a mailbox, "" is none. That no other has it is the caller's business."""
        ...

    async def annotations(self, mailbox: int, login: str) -> list[Annotation]:
        """The shared entries of a mailbox and those of a log-in, by login and name; those that were removed are not
        among them. mailbox 0: of the account; of a mailbox that is not there: none.
        """
        ...

    async def annotate(self, mailbox: int, changes: Sequence[NewAnnotation], limits: AnnotationLimits) -> int:
        """Set and remove entries, all or none; the MODSEQ of the change. They go with the mailbox.

        Raises NotFound, TooManyAnnotations (of the mailbox), OverQuota (octets of the account).
        """
        ...

    async def copy_annotations(self, source: int, target: int) -> None:
        """Give a mailbox that has none the entries of another one, everybody's. Raises NotFound."""
        ...

    async def annotated(self, login: str, since: int) -> list[Annotation]:
        """What of the shared entries, and of those of a log-in, changed after MODSEQ `since`, by MODSEQ.

        With those that were removed, unless that is long ago.
        """
        ...

    async def annotation_octets(self) -> int:
        """Octets of all names and values of annotations that the account holds."""
        ...

    async def snapshot(self, mailbox: int) -> Snapshot:
        """The mailbox as it is now: shared, immutable, cheap when nothing changed."""
        ...

    async def append(
        self,
        mailbox: int,
        messages: Sequence[NewMessage],
        *,
        quota: int = 0,
        quota_messages: int = 0,
        delivery: tuple[str, str] | None = None,
        replaces: tuple[int, int] | None = None,
    ) -> AppendResult:
        """Add messages, all or none (RFC 3502). quota, quota_messages: octets and messages the account may hold,
        0 = any; else OverQuota.

        replaces: (mailbox, UID) of a message that goes in the same commit, and whose room counts for the new ones
        (RFC 8508 3.4). Raises MessageGone.
        delivery: (queue id, recipient) makes it idempotent: the second time raises DeliveredAlready.
        Files of large contents are linked or moved in, never read. Raises TooManyKeywords.
        """
        ...

    async def store_flags(self, mailbox: int, uids: Sequence[int], change: FlagChange) -> StoreFlagsResult:
        """Change flags of the messages with these UIDs (ascending). Raises TooManyKeywords."""
        ...

    async def copy(
        self,
        source: int,
        uids: Sequence[int],
        target: int,
        *,
        quota: int = 0,
        quota_messages: int = 0,
        may: Settable = EVERY_FLAG,
    ) -> CopyResult:
        """Copy messages with flags and INTERNALDATE; UIDs not there are left out. Raises OverQuota.

        may: flags that are taken along.
        """
        ...

    async def move(self, source: int, uids: Sequence[int], target: int, *, may: Settable = EVERY_FLAG) -> CopyResult:
        """Copy and expunge in one transaction (RFC 6851 3.3)."""
        ...

    async def expunge(self, mailbox: int, uids: Sequence[int] | None, *, only_deleted: bool = True) -> ExpungeResult:
        """Remove messages with \\Deleted (all, or only among uids); only_deleted=False removes uids regardless."""
        ...

    async def rendered(self, messages: Sequence[int]) -> list[Rendered]:
        """Rendered fields of messages in the order asked; ids that are gone are left out."""
        ...

    async def columns(self, messages: Sequence[int], column: str) -> list[bytes]:
        """One rendered column ("envelope", "structure", "bodystructure", "parts", "references") in the order asked.

        b"" if the message is gone. The fast path of FETCH 1:* ENVELOPE.
        """
        ...

    async def origins(self, messages: Sequence[int]) -> dict[int, Origin]:
        """Those of these messages that came from another account."""
        ...

    async def originals(self, emailid: str) -> list[int]:
        """Message ids of what came from another account with this EMAILID."""
        ...

    async def messages(self, after: int, limit: int) -> Sequence[int]:
        """Ids above `after` of messages whose octets are kept, expunged ones too, ascending; `limit` at most."""
        ...

    async def content(self, message: int) -> Content:
        """The octets of a message. Raises NotFound."""
        ...

    async def vanished(self, mailbox: int, since: int) -> Sequence[int] | None:
        """UIDs expunged after MODSEQ `since`, ascending; None when history does not reach back that far."""
        ...

    async def lives(self) -> list[MailboxLife]:
        """Mailboxes that are or were within the window of sweeping, oldest first."""
        ...

    async def departures(self, mailbox: int | None = None) -> list[Departure]:
        """What left the account's mailboxes, or one that is or was, and can still be had; oldest first."""
        ...

    async def deleted_in(self) -> frozenset[int]:
        """The mailboxes, those that were too, out of which messages were expunged that can be brought back and are not.

        Cheaper than all departures.
        """
        ...

    async def modseq(self) -> int:
        """The account's MODSEQ: it grows with every change of anything in it, but for sweeping."""
        ...

    async def next_number(self) -> int:
        """The Departure.number of what is expunged next; never smaller than it was."""
        ...

    async def restore(self, placings: Sequence[Placing], *, quota: int = 0, quota_messages: int = 0) -> Restored:
        """Put messages into mailboxes again, all or none: under new UIDs, with their flags but \\Deleted, with
        INTERNALDATE. Where they left, and where they still are, nothing changes but Departure.back.

        Raises OverQuota, TooManyKeywords.
        """
        ...

    async def restores(self) -> list[Restored]:
        """What was brought back within the window of sweeping and not undone, oldest first."""
        ...

    async def undo_restore(self, restore: int) -> Undone:
        """Expunge what a restore brought and is still where it put it; Departure.back stays. Raises NotFound."""
        ...

    async def recent(self, mailbox: int, uidnext: int, *, claim: bool) -> int:
        """The first UID below `uidnext` that was told to no session yet, `uidnext` when there is none.

        claim: they are told now. Not durable, and not an error when it cannot be kept (RFC 3501 2.3.2).
        """
        ...

    async def usage(self) -> Usage: ...

    async def pop3_lock(self, holder: str, now: float, lifetime: float) -> bool:
        """Take or renew the exclusive maildrop lock (RFC 1939 4) as `holder` until now + lifetime; False if taken."""
        ...

    async def pop3_unlock(self, holder: str) -> None: ...
