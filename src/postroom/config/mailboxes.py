"""What can be configured about people's mailboxes: how much they may hold, how they are searched, and IMAP."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class WhenFull(StrEnum):
    """What becomes of mail that finds no room."""

    DEFER = "defer"
    REJECT = "reject"


class Mailboxes(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one account's mailboxes may hold."""

    quota: Annotated[
        int, Meta(ge=0, description="Octets an account may hold that has no quota of its own or its domain's; 0: any.")
    ] = 0
    quota_messages: Annotated[int, Meta(ge=0, description="Messages such an account may hold; 0 is any number.")] = 0
    quota_warn: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=100)], ...],
        Meta(description="Percent of a quota at which the user is warned by mail, once a crossing; none: never."),
    ] = (80, 90, 95)
    quota_warn_admin: Annotated[
        int, Meta(ge=1, le=101, description="Percent from which the administrator gets these warnings too; 101: never.")
    ] = 95
    when_full: Annotated[
        WhenFull,
        Meta(description="Mail for a full account: defer (its sender's server tries again), or reject."),
    ] = WhenFull.DEFER
    full_days: Annotated[
        float, Meta(ge=0, description="Days of being full after which mail is not deferred but rejected; 0 is never.")
    ] = 0
    grace_percent: Annotated[
        int,
        Meta(ge=0, le=100, description="Percent of its quota by which mail that comes in may go beyond it."),
    ] = 0
    most: Annotated[int, Meta(ge=10, description="Mailboxes of one account.")] = 10_000
    depth: Annotated[int, Meta(ge=2, le=50, description="Levels of a mailbox name.")] = 50
    annotations: Annotated[
        int, Meta(ge=10, description="Annotations (METADATA) of one mailbox: shared ones, and private ones of a login.")
    ] = 100
    annotation_size: Annotated[int, Meta(ge=1024, description="Octets of the value of an annotation.")] = 32 * 1024
    annotation_storage: Annotated[int, Meta(ge=16384, description="Octets of all annotations of an account.")] = (
        1024 * 1024
    )


class Sieve(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Filters of people's mail (Sieve)."""

    scripts: Annotated[int, Meta(ge=1, description="Scripts of one account.")] = 100
    script_size: Annotated[int, Meta(ge=4096, description="Octets of a script.")] = 1024 * 1024
    storage: Annotated[int, Meta(ge=4096, description="Octets of all scripts of an account.")] = 8 * 1024 * 1024
    actions: Annotated[int, Meta(ge=1, le=1000, description="Actions that a script takes for one message.")] = 32
    redirects: Annotated[int, Meta(ge=0, le=100, description="Addresses that a script passes one message on to.")] = 4
    seconds: Annotated[float, Meta(gt=0, le=60, description="How long a script may work on one message.")] = 5.0
    imap_script: Annotated[
        str,
        Meta(
            max_length=512,
            description="Script that is run when mail is stored, copied or marked by IMAP in mailboxes that name none "
            "(IMAPSIEVE): the person's script of this name, or else the site's; empty: none.",
        ),
    ] = ""


class Index(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The full-text index of each account. Searches find the same without it, only slower."""

    enabled: Annotated[bool, Meta(description="Keep an index of headers and texts, in a process of its own.")] = True
    attachments: Annotated[
        bool, Meta(description="Take text out of attachments (PDF, Office, OpenDocument, RTF), so that it is found.")
    ] = True


class Imap(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """IMAP."""

    disable: Annotated[
        tuple[str, ...], Meta(description="Capabilities that are not announced, such as QRESYNC, for broken clients.")
    ] = ()
    literal_minus: Annotated[
        bool, Meta(description="Announce LITERAL- instead of LITERAL+: large literals must be asked for (RFC 7888).")
    ] = False
    message_limit: Annotated[
        int,
        Meta(
            ge=0,
            description="Messages that one IMAP command works on (MESSAGELIMIT); clients go on where it stopped. Not "
            "below 1000 (RFC 9738 3); 0 is any number.",
        ),
    ] = 0
    save_limit: Annotated[
        int,
        Meta(ge=0, description="Messages that one COPY or APPEND adds (SAVELIMIT), without message_limit; 0 is any."),
    ] = 0
    accept_8bit_headers: Annotated[
        bool,
        Meta(
            description="Take messages with 8-bit header fields also from clients that did not enable UTF-8: old mail "
            "has them. false refuses them, as RFC 9755 4 has it."
        ),
    ] = True
    subscribe_shared: Annotated[
        bool,
        Meta(
            description="Mailboxes of accounts without a log-in count as subscribed to for their members, so that "
            "programs show them at once, until somebody unsubscribes."
        ),
    ] = True
    admin: Annotated[
        str,
        Meta(
            pattern="^([A-Za-z][A-Za-z0-9+.-]*:[!-~]+)?$",
            description="How clients are told to reach the administrator (METADATA /shared/admin): a URI such as "
            "mailto:... or https://...; empty is postmaster of this server.",
        ),
    ] = ""
    jmap_url: Annotated[
        str,
        Meta(
            pattern="^(https://[!-~]+)?$",
            description="URL of the JMAP session of the same mail, told to IMAP clients; empty: there is none.",
        ),
    ] = ""
    comment: Annotated[str, Meta(description="What clients show about this server (METADATA /shared/comment).")] = ""
