"""Domains, accounts, aliases: what the directory keeps. Rules about them live in the room `identity`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRow:
    """A hosted domain. name: A-labels, lower case.

    disabled: nobody of it can log in, and mail for it is refused unless it receives all the same.
    alias_of: another hosted domain, whose addresses exist here too; "" for a domain with addresses of its own.
    separators: characters that begin the detail of an address (RFC 5233 1), "" for none; detail_folders: does a detail
    name the mailbox of new mail: "off", "existing" ones only, or "create".
    hourly_messages: limit on what its people send to other domains; -1: as configured, 0: no limit.
    quota, quota_messages: octets and messages that all its accounts may hold together; account_quota,
    account_messages: what each of them may that says nothing itself (-1: as configured); most_accounts: how many there
    may be; 0: no limit.
    spoof: what becomes of mail from outside that claims the domain in From and cannot prove it: "refuse", "junk" or
    "mark".
    batv: do envelope senders of its people leave with a tag: "off", "tag", or "require": reports to addresses without
    one are refused too; batv_since: Unix seconds since when they do, 0.0 when they do not.
    """

    name: str
    created: float
    disabled: bool = False
    catch_all: str = ""  # address that takes mail for unknown local parts; "" refuses it
    hourly_messages: int = -1
    spoof: str = "refuse"
    alias_of: str = ""
    separators: str = "+"
    detail_folders: str = "off"
    receives: bool = False
    quota: int = 0
    quota_messages: int = 0
    account_quota: int = -1
    account_messages: int = -1
    most_accounts: int = 0
    batv: str = "off"
    batv_since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """A person (or role) with mailboxes. id: opaque, never reused, names the folder; login: Address.key.

    disabled: nobody can log in, and mail for it is refused unless it receives all the same; detail_folders: as
    DomainRow has it, "" for what the domain says; past: what IMAP shows of what was: "off", "deleted" mail, or "all".
    quota, quota_messages, quota_mailboxes, quota_annotations: what it may hold: octets, messages, mailboxes, octets of
    annotations; -1: as its domain has it, else as configured; 0: no limit.
    administers: whose quotas it may change: "" nobody's, "domain" those of its domain, "server" everybody's.
    daily_messages, daily_recipients, daily_new: limits on what it sends to other domains: messages, recipients, and
    recipients that it has never written to; -1: as configured, 0: no limit.
    """

    id: str
    login: str
    created: float
    name: str = ""
    password: str = ""  # argon2id string, or "" when none is set
    scram: bytes = b""  # msgpack: salt, iterations, stored key, server key (SHA-256)
    disabled: bool = False
    quota: int = -1
    quota_messages: int = -1
    quota_mailboxes: int = -1
    quota_annotations: int = -1
    administers: str = ""
    imap_without: tuple[str, ...] = ()  # IMAP capabilities its clients are not offered
    pop3_delete: str = "delete"  # delete | trash | keep
    pop3_seen: bool = True  # RETR sets \Seen
    pop3_last_login: float = 0.0
    daily_messages: int = -1
    daily_recipients: int = -1
    daily_new: int = -1
    receives: bool = False
    detail_folders: str = ""
    past: str = "off"
    filtered: bool = False  # it may have an active script; without, nobody looks for one
    reacting: bool = False  # mailboxes may have scripts for what is done by IMAP; without, nobody looks
    contacts: bool = False  # it may have an address book; without, nobody looks into it
    shared: bool = False  # nobody logs in to it: members read its mailboxes below "Shared/"
    sent_copies: bool = False  # what others send as it is filed in its mailbox for sent mail


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """People who are given rights together. address: Address.key, a name only: no mail goes there.

    members: log-ins, and addresses of other groups.
    """

    address: str
    members: tuple[str, ...]
    created: float
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRow:
    """What a domain or a person wants of the spam filter. owner: domain (A-labels), or Address.key of a log-in.

    junk, quarantine, refuse: scores from which on, 0 never, -1 as configured; allow, block: patterns (filter.wishes),
    lower case; off: mail is not judged. flag, hold, refuse_sent: the same for what a domain's people send; digest: when
    its people are told of what is in quarantine ("HH:MM", local time), "off", "" as configured.
    """

    owner: str
    junk: float = -1.0
    quarantine: float = -1.0
    refuse: float = -1.0
    flag: float = -1.0
    hold: float = -1.0
    refuse_sent: float = -1.0
    digest: str = ""
    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteScriptRow:
    """A script that people's scripts may include (RFC 6609 3.2 :global). owner: a domain (A-labels), or "" for all;
    text: octets as given; changed: Unix seconds.
    """

    owner: str
    name: str
    text: bytes
    changed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRow:
    """An address that stands for others. address: Address.key; members: addresses, inside or outside.

    trap: it stands for nobody; who writes there has the address from where only senders of spam get theirs.
    """

    address: str
    members: tuple[str, ...]
    created: float
    disabled: bool = False
    trap: bool = False


class KeyState(StrEnum):
    """Where a DKIM key stands in its life (RFC 5863 5.1)."""

    NEXT = "next"  # to be published; signs once the DNS shows it
    ACTIVE = "active"  # signs
    RETIRED = "retired"  # signs no more; stays published while mail it signed may still be verified


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRow:
    """A DKIM key of a hosted domain. algorithm: "rsa-sha256" or "ed25519-sha256"; private: PKCS #8 in PEM;
    since: when it came into its state, in Unix seconds.
    """

    domain: str
    selector: str
    algorithm: str
    private: str = field(repr=False)
    state: KeyState = KeyState.NEXT
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """What a program shows instead of a password. id: for people and lists, part of the digest in hex.

    account: whose it is; digest: SHA-256 of the token, which itself is kept nowhere; scopes: what it may do;
    expires: Unix seconds, 0 for never. Of an app password (identity.app_passwords) scram: its SCRAM keys, packed;
    networks: from where it may be used, () everywhere.
    """

    id: str
    account: str
    digest: bytes = field(repr=False)
    name: str = ""
    scopes: tuple[str, ...] = ()
    created: float = 0.0
    expires: float = 0.0
    scram: bytes = field(default=b"", repr=False)
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedAccount:
    """An account that was deleted and whose mail is kept for a while. deleted: when, in Unix seconds.

    aliases, groups: addresses it was a member of; tokens: what its programs showed.
    """

    row: AccountRow
    deleted: float
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tokens: tuple[TokenRow, ...] = ()


class DirectoryStore(Protocol):
    """Look-ups are answered from a cache that is checked against the file at each call.

    So a change made by another process (a command) acts at once. All names are keys: lower case, A-labels.
    """

    async def domain(self, name: str) -> DomainRow | None: ...
    async def domains(self) -> list[DomainRow]: ...
    async def put_domain(self, row: DomainRow) -> None:
        """Insert or replace."""
        ...

    async def remove_domain(self, name: str) -> None:
        """Its signing keys go with it. Raises NotFound; StoreError while accounts, aliases or groups of it
        exist, or accounts that can be brought back.
        """
        ...

    async def account(self, account: str) -> AccountRow | None: ...
    async def account_by_login(self, login: str) -> AccountRow | None: ...
    async def accounts(self, domain: str = "") -> list[AccountRow]: ...
    async def named(self, key: str) -> tuple[str, ...]:
        """Log-ins of accounts whose name has this key (values.likeness.name_key), at most 10; () for the key ""."""
        ...

    async def put_account(self, row: AccountRow) -> None:
        """Insert or replace by id. Raises StoreError when the login belongs to another account or alias."""
        ...

    async def remove_account(self, account: str) -> None:
        """Its tokens, memberships and shares go with it. Raises NotFound."""
        ...

    async def retire_account(self, gone: DeletedAccount) -> None:
        """As remove_account, but the account can be brought back. Raises NotFound."""
        ...

    async def deleted_accounts(self, domain: str = "") -> list[DeletedAccount]:
        """Those that can be brought back, the last deleted first."""
        ...

    async def was_deleted(self, login: str) -> bool:
        """Can an account that had this log-in be brought back?"""
        ...

    async def revive_account(self, row: AccountRow, tokens: Sequence[TokenRow]) -> None:
        """Bring a deleted account back as this row. Raises NotFound; StoreError as put_account."""
        ...

    async def forget_account(self, account: str) -> None:
        """A deleted account cannot be brought back any more. Raises NotFound."""
        ...

    async def alias(self, address: str) -> AliasRow | None: ...
    async def aliases(self, domain: str = "") -> list[AliasRow]: ...
    async def put_alias(self, row: AliasRow) -> None:
        """Insert or replace. Raises StoreError when the address is an account's login."""
        ...

    async def remove_alias(self, address: str) -> None: ...

    async def wishes(self, owner: str) -> FilterRow | None: ...
    async def all_wishes(self) -> list[FilterRow]: ...
    async def put_wishes(self, row: FilterRow) -> None:
        """Insert or replace; a row that says nothing is removed."""
        ...

    async def site_scripts(self, owner: str) -> tuple[SiteScriptRow, ...]:
        """The administrator's scripts of a domain, or with "" of all, by name."""
        ...

    async def put_site_script(self, row: SiteScriptRow) -> None:
        """Insert or replace."""
        ...

    async def remove_site_script(self, owner: str, name: str) -> None:
        """Raises NotFound."""
        ...

    async def group(self, address: str) -> GroupRow | None: ...
    async def groups(self, domain: str = "") -> list[GroupRow]: ...
    async def put_group(self, row: GroupRow) -> None:
        """Insert or replace."""
        ...

    async def remove_group(self, address: str) -> None:
        """It leaves the groups it is a member of, too, and nobody lets it send any more. Raises NotFound."""
        ...

    async def groups_of(self, member: str) -> frozenset[str]:
        """The groups that a log-in is a member of, also through other groups (a loop ends)."""
        ...

    async def sharers(self, identifier: str) -> tuple[str, ...]:
        """Accounts that may have this identifier in an ACL: an index of what the accounts hold, ids ascending."""
        ...

    async def put_share(self, account: str, identifier: str) -> None:
        """To be called before the account's ACL says so. Raises NotFound without the account."""
        ...

    async def remove_share(self, account: str, identifier: str) -> None:
        """To be called after the account's ACLs have it no more; nothing happens when it is not there."""
        ...

    async def delegates(self, account: str) -> Mapping[str, str]:
        """Who may send as an account ("as") or on its behalf ("behalf"): log-ins and "group:" with an address."""
        ...

    async def put_delegate(self, account: str, identifier: str, mode: str) -> None:
        """Insert or replace. Raises NotFound without the account."""
        ...

    async def remove_delegate(self, account: str, identifier: str) -> None:
        """Raises NotFound."""
        ...

    async def shares(self, account: str) -> tuple[str, ...]:
        """The identifiers of an account in the index, ascending."""
        ...

    async def signing_keys(self, domain: str) -> tuple[SigningKeyRow, ...]:
        """The domain's DKIM keys, oldest first (by time, then selector)."""
        ...

    async def put_signing_keys(self, rows: Sequence[SigningKeyRow]) -> None:
        """Insert or replace by (domain, selector), all in one transaction. Raises NotFound without the domain."""
        ...

    async def remove_signing_key(self, domain: str, selector: str) -> None:
        """Raises NotFound."""
        ...

    async def token(self, digest: bytes) -> TokenRow | None:
        """The token with this SHA-256."""
        ...

    async def tokens(self, account: str) -> tuple[TokenRow, ...]:
        """An account's tokens, oldest first (by time, then id)."""
        ...

    async def put_token(self, row: TokenRow) -> None:
        """Insert or replace by digest. Raises NotFound without the account."""
        ...

    async def remove_token(self, account: str, token: str) -> None:
        """token: its id. Raises NotFound."""
        ...

    async def version(self) -> int:
        """A number that changes with every change, whoever made it; cheap."""
        ...

    def generation(self) -> int:
        """The number as the look-ups' cache sees it: while it stays, all look-ups answer as before. Half a us.

        Raises StoreUnavailable.
        """
        ...
