"""What can be configured. `option` carries the explanation; see the package for who reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from postroom.config.filtering import Bounces, Clamav, Filter, Quarantine, Rspamd
from postroom.config.listeners import ClientCertificate, Listener, Tls
from postroom.config.mailboxes import Imap, Index, Mailboxes, Sieve


class OutgoingTls(StrEnum):
    """How a connection that we make does TLS."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # when the server offers it, any certificate
    STARTTLS = "starttls"  # or no mail
    IMPLICIT = "implicit"


class Server(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The machine and its processes."""

    hostname: Annotated[str, Meta(description="Name given in greetings, Received fields and bounces.")] = "localhost"
    data: Annotated[str, Meta(description="Folder for everything that is kept.")] = "data"
    workers: Annotated[int, Meta(ge=0, le=256, description="Worker processes; 0 is one per core.")] = 0
    user: Annotated[str, Meta(description="System user to become after the ports are bound; empty stays.")] = ""
    dns: Annotated[
        tuple[str, ...],
        Meta(description="DNS servers that resolve and validate (address or address:port); empty: /etc/resolv.conf."),
    ] = ()
    event_loop: Annotated[str, Meta(pattern="^(uvloop|asyncio)$", description="uvloop, or asyncio without it.")] = (
        "uvloop"
    )
    postmaster: Annotated[
        str, Meta(description="Address for mail to a postmaster nobody has set up; empty is the first account.")
    ] = ""
    shutdown_seconds: Annotated[float, Meta(gt=0, description="How long a stop may take before it is forced.")] = 10.0


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one peer, message or account may cost."""

    message_size: Annotated[int, Meta(ge=1024, description="Octets of one message.")] = 50 * 1024 * 1024
    recipients: Annotated[int, Meta(ge=1, description="Recipients of one message.")] = 1000
    connections_per_ip: Annotated[
        int, Meta(ge=1, description="Open connections from one address to one service (IPv6: one /64).")
    ] = 25
    connections: Annotated[int, Meta(ge=1, description="Open connections of one worker.")] = 20_000
    ip_messages_per_minute: Annotated[
        int, Meta(ge=0, description="Messages a minute from one outside address; 0 is no limit.")
    ] = 0
    ip_connections_per_minute: Annotated[
        int, Meta(ge=0, description="New connections a minute from one address and service; 0 is no limit.")
    ] = 0
    ip_bytes_per_minute: Annotated[
        int, Meta(ge=0, description="Octets of mail a minute from one outside address; 0 is no limit.")
    ] = 0
    network_multiple: Annotated[
        int,
        Meta(ge=0, description="A network (IPv4 /24, IPv6 /56) may do this many times what an address may; 0: any."),
    ] = 8
    trusted_networks: Annotated[
        tuple[str, ...], Meta(description="Networks that bans and the limits per address do not apply to.")
    ] = ()
    relay_networks: Annotated[
        tuple[str, ...], Meta(description="Networks that may send to other domains without a login. Rarely right.")
    ] = ()
    smtp_line: Annotated[int, Meta(ge=512, description="Octets of an SMTP command line.")] = 2048
    smtp_text_line: Annotated[int, Meta(ge=998, description="Octets of a line of mail tolerated from outside.")] = 8192
    smtp_commands: Annotated[int, Meta(ge=10, description="Commands in an SMTP session without a message.")] = 200
    smtp_errors: Annotated[int, Meta(ge=1, description="Refused commands before an SMTP session is ended.")] = 20
    imap_line: Annotated[int, Meta(ge=1024, description="Octets of an IMAP command without its literals.")] = 65536
    imap_login_literal: Annotated[int, Meta(ge=128, description="Octets of a literal before login.")] = 4096
    received_fields: Annotated[int, Meta(ge=10, description="Received fields after which mail is looping.")] = 100
    mime_depth: Annotated[int, Meta(ge=5, description="Nested MIME parts that are looked into.")] = 100
    mime_parts: Annotated[int, Meta(ge=10, description="MIME parts of a message that are looked at.")] = 10_000
    header_size: Annotated[int, Meta(ge=65536, description="Octets of a message's header.")] = 1024 * 1024
    greeting_delay: Annotated[
        float, Meta(ge=0, le=30, description="Seconds to wait before the SMTP greeting; who talks earlier is refused.")
    ] = 0.0
    idle_smtp: Annotated[float, Meta(gt=0, description="Seconds an SMTP peer may be silent (RFC 5321 4.5.3.2).")] = 300
    idle_pop3: Annotated[float, Meta(gt=0, description="Seconds a POP3 client may be silent (RFC 1939 3).")] = 600
    idle_imap: Annotated[float, Meta(gt=0, description="Seconds an IMAP client may be silent (RFC 9051 5.4).")] = 1800
    idle_login: Annotated[float, Meta(gt=0, description="Seconds until a client must have logged in.")] = 60
    command_seconds: Annotated[
        float, Meta(gt=0, description="Seconds an IMAP command line may take; in SMTP and POP3 it is idle_*.")
    ] = 300
    transfer_octets: Annotated[
        int, Meta(ge=1, description="Octets of a message or literal that must come within transfer_seconds, always.")
    ] = 8192
    transfer_seconds: Annotated[
        float, Meta(gt=0, description="See transfer_octets; the defaults are 45 octets a second (RFC 5321 4.5.3.2.5).")
    ] = 180
    login_failures_per_minute: Annotated[
        int, Meta(ge=1, description="Failed logins a minute from one network before it is refused.")
    ] = 10
    login_slow_after: Annotated[int, Meta(ge=1, description="Failed logins after which answers slow down.")] = 5
    login_attack_after: Annotated[
        int,
        Meta(ge=0, description="Failures of one login in ten minutes, from anywhere, after which it slows; 0: never."),
    ] = 30


class Bans(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Addresses that misbehave are turned away for a while, longer each time. What costs points is in operations.md."""

    points: Annotated[
        int, Meta(ge=0, description="Points within ten minutes after which an address is banned; 0 bans nobody.")
    ] = 100
    first: Annotated[float, Meta(gt=0, description="Seconds of the first ban; the next is twice as long.")] = 600
    longest: Annotated[float, Meta(gt=0, description="Seconds of the longest ban.")] = 86400
    exempt_networks: Annotated[
        tuple[str, ...], Meta(description="Networks that are never banned by the server itself.")
    ] = ("127.0.0.0/8", "::1/128")


class Relay(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How mail for other domains leaves."""

    host: Annotated[str, Meta(description="Smart host for everything no [[route]] names; empty uses none.")] = ""
    direct: Annotated[
        bool,
        Meta(description="Without a smart host, deliver to each domain's own servers (MX); false leaves it waiting."),
    ] = True
    port: Annotated[
        int,
        Meta(ge=0, le=65535, description="Port of the smart host, else of other domains' servers; 0 is 587, else 25."),
    ] = 0
    tls: Annotated[OutgoingTls, Meta(description="To the smart host: none, opportunistic, starttls or implicit.")] = (
        OutgoingTls.STARTTLS
    )
    verify: Annotated[
        bool, Meta(description="Check the smart host's certificate against the system's authorities.")
    ] = True
    user: Annotated[str, Meta(description="Login at the smart host; empty sends without one.")] = ""
    password_file: Annotated[str, Meta(description="File whose first line is the password.")] = ""
    ip: Annotated[
        str,
        Meta(
            pattern="^(prefer_ipv4|prefer_ipv6|ipv4|ipv6)$",
            description="Addresses of other servers: prefer_ipv4 (many servers judge IPv6 senders more harshly), "
            "prefer_ipv6, or ipv4 or ipv6 alone.",
        ),
    ] = "prefer_ipv4"
    connections: Annotated[int, Meta(ge=1, description="Outgoing connections at once; workers share them evenly.")] = (
        100
    )
    per_destination: Annotated[
        int,
        Meta(ge=1, description="The most to one destination, shared too; a worker starts with 5 and follows success."),
    ] = 20
    messages_per_connection: Annotated[int, Meta(ge=1, description="Messages before a connection is closed.")] = 100
    suppress_days: Annotated[
        float, Meta(ge=0, description="Days nothing is sent to an address whose server calls it unknown; 0 is off.")
    ] = 14
    authorities: Annotated[
        str, Meta(description="PEM file of authorities that vouch for servers; empty: those of the system.")
    ] = ""
    retry_first: Annotated[float, Meta(gt=0, description="Seconds until the first retry.")] = 300
    retry_longest: Annotated[float, Meta(gt=0, description="Seconds the doubling retry interval grows to.")] = 14400
    lifetime: Annotated[float, Meta(gt=0, description="Seconds after which undelivered mail bounces.")] = 432000
    warn_after: Annotated[float, Meta(gt=0, description="Seconds after which the sender hears of a delay.")] = 14400


class Sending(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What our own people may send to other domains. A domain or an account may have limits of its own."""

    domain_messages_per_hour: Annotated[
        int, Meta(ge=0, description="Messages an hour from all addresses of one hosted domain; 0 is no limit.")
    ] = 500
    account_messages_per_day: Annotated[
        int, Meta(ge=0, description="Messages a day from one account; 0 is no limit.")
    ] = 1000
    account_recipients_per_day: Annotated[
        int, Meta(ge=0, description="Recipients a day of one account, each message's counted; 0 is no limit.")
    ] = 5000
    account_new_recipients_per_day: Annotated[
        int, Meta(ge=0, description="Recipients a day that the account has never written to; 0 is no limit.")
    ] = 200
    warn_percent: Annotated[
        int, Meta(ge=1, le=100, description="Share of a limit at which user and administrator are told.")
    ] = 80
    freeze_score: Annotated[
        int,
        Meta(ge=0, description="An account whose signs of theft reach this may not send; a sign gives 50. 0: never."),
    ] = 100
    bounce_percent: Annotated[
        int, Meta(ge=0, le=100, description="Sign: share of new recipients that do not exist. 0 is no sign.")
    ] = 30
    bounce_least: Annotated[int, Meta(ge=1, description="New recipients a day before that share says anything.")] = 20
    spam_refusals: Annotated[
        int, Meta(ge=0, description="Sign: messages a day that other servers refuse as spam. 0 is no sign.")
    ] = 5
    new_recipients_burst: Annotated[
        int, Meta(ge=1, description="Sign: recipients never written to, within ten minutes.")
    ] = 60
    new_networks: Annotated[
        int, Meta(ge=0, description="Sign: networks (/16, /32) that it first logs in from, within an hour. 0: no sign.")
    ] = 4
    country_file: Annotated[str, Meta(description="MaxMind DB (*.mmdb) of addresses' countries; empty: none.")] = ""
    new_countries: Annotated[int, Meta(ge=0, description="Sign: new countries of log-ins in a day. 0: no sign.")] = 2
    foreign_senders: Annotated[int, Meta(ge=0, description="Sign: tries an hour to send as another. 0: no sign.")] = 10
    flagged_messages: Annotated[
        int, Meta(ge=0, description="Sign: messages an hour that our own filter flags (filter.flag_sent). 0: no sign.")
    ] = 20


class Route(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where mail for one domain goes, instead of the general way."""

    domain: Annotated[str, Meta(description="The domain; .example.org is every domain below example.org.")]
    host: Annotated[str, Meta(description='Server that takes it; "mx" is the domain\'s own servers.')] = "mx"
    port: Annotated[int, Meta(ge=0, le=65535, description="Its port; 0 is 25, or 587 with a login.")] = 0
    tls: Annotated[OutgoingTls, Meta(description="none, opportunistic, starttls (or no mail) or implicit.")] = (
        OutgoingTls.OPPORTUNISTIC
    )
    verify: Annotated[bool, Meta(description="With starttls and implicit: check the server's certificate.")] = True
    user: Annotated[str, Meta(description="Login there; empty sends without one.")] = ""
    password_file: Annotated[str, Meta(description="File whose first line is the password.")] = ""
    connections: Annotated[int, Meta(ge=0, description="Connections at once; 0 is relay.per_destination.")] = 0
    per_minute: Annotated[
        int, Meta(ge=0, description="Messages a minute, evenly, shared by the workers; 0 is no limit.")
    ] = 0


class Source(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From which addresses of this machine mail of a sender's domain leaves."""

    domain: Annotated[
        str, Meta(description="Domain of the sender; empty is every domain without a table of its own.")
    ] = ""
    addresses: Annotated[
        tuple[str, ...], Meta(description="IPv4 and IPv6 addresses of this machine; of several, each is used in turn.")
    ] = ()
    hostname: Annotated[str, Meta(description="Name said in EHLO from there; empty is server.hostname.")] = ""


class Check(StrEnum):
    """What becomes of a check of a peer's names."""

    OFF = "off"
    MARK = "mark"  # the result is kept with the message
    REFUSE = "refuse"


class BlocklistKind(StrEnum):
    """What a list has entries of."""

    IP = "ip"
    DOMAIN = "domain"
    URL = "url"
    EMAIL = "email"
    FILE = "file"


class Peers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What other servers on the SMTP port are asked to prove. Trusted networks and this machine are not."""

    reverse_name: Annotated[
        Check, Meta(description="Its address must have a name that leads back to it: off, mark or refuse.")
    ] = Check.MARK
    helo_name: Annotated[
        Check, Meta(description="HELO must be a whole host name or its address, and not our own: off, mark or refuse.")
    ] = Check.MARK
    blocklist_threshold: Annotated[
        float, Meta(gt=0, description="Mail is refused when the weights of the lists that have the peer reach this.")
    ] = 1.0
    seconds: Annotated[
        float, Meta(gt=0, le=20, description="Seconds to wait for the DNS; later answers are no answers.")
    ] = 3.0


class Blocklist(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A list of senders in the DNS (RFC 5782). One zone may stand several times, with other codes and weights."""

    zone: Annotated[str, Meta(description="The list's domain, such as bl.example.net.")]
    kind: Annotated[
        BlocklistKind,
        Meta(
            description="ip: the peer's address is looked up; domain: the domains of the sender and of HELO; url: the "
            "domains that links in a message lead to; email: addresses in a message, as SHA-1; file: attachments, as "
            "SHA-256 in base32 (the last three: see filter)."
        ),
    ] = BlocklistKind.IP
    weight: Annotated[float, Meta(description="Added to the peer's score; below zero for a list of good ones.")] = 1.0
    codes: Annotated[
        tuple[str, ...],
        Meta(description="Answers that count, such as 127.0.0.2 or 127.0.0.8/30; none is every answer."),
    ] = ()
    test: Annotated[
        str,
        Meta(
            description="An entry the list has for tests, if not 127.0.0.2 or TEST (RFC 5782 5); an address for email. "
            "Lists of email and file are not tested without one."
        ),
    ] = ""


class Passwords(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How passwords are kept: argon2id."""

    memory_kib: Annotated[int, Meta(ge=8, description="argon2id memory in KiB.")] = 19456
    passes: Annotated[int, Meta(ge=1, description="argon2id passes.")] = 2
    scram_iterations: Annotated[int, Meta(ge=4096, description="SCRAM-SHA-256 iteration count.")] = 4096
    cache_seconds: Annotated[float, Meta(ge=0, description="How long a verified login is remembered.")] = 300
    plaintext_on_loopback: Annotated[
        bool, Meta(description="Allow passwords without TLS for clients on this machine.")
    ] = False
    app_passwords: Annotated[
        int, Meta(ge=0, le=1000, description="Most app passwords an account may have; 0: none can be made.")
    ] = 25


class Pop3(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POP3."""

    login_delay: Annotated[int, Meta(ge=0, description="Least seconds between two logins of an account.")] = 0
    expire: Annotated[int, Meta(ge=-1, description="Days mail is kept after retrieval, as announced; -1 NEVER.")] = -1


class Api(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sending by programs over HTTP. It is served by http listeners, and takes credentials over TLS only."""

    enabled: Annotated[bool, Meta(description="Serve /api/v1 on http listeners.")] = True


class Happening(StrEnum):
    """What a webhook can be told of."""

    DELIVERED = "message.delivered"
    RELAYED = "message.relayed"
    DEFERRED = "message.deferred"
    FAILED = "message.failed"
    RECEIVED = "message.received"


class Webhook(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A program elsewhere that is told what becomes of mail."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,64}$", description="What commands call it.")]
    url: Annotated[str, Meta(description="Where it listens: https://..., or http://127.0.0.1:... on this machine.")]
    secret_file: Annotated[
        str, Meta(description="File whose lines are secrets, the newest first; each call is signed with all of them.")
    ]
    events: Annotated[
        tuple[Happening, ...],
        Meta(description="message.delivered, .relayed, .deferred, .failed (bounced) and .received; none is all."),
    ] = ()
    domain: Annotated[str, Meta(description="Only mail of this hosted domain; empty is all.")] = ""
    login: Annotated[str, Meta(description="Only mail of this account; empty is all.")] = ""


class Retention(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long removed things can be brought back, and events be read."""

    expunged_days: Annotated[float, Meta(ge=0, description="Days that expunged messages stay recoverable.")] = 30
    accounts_days: Annotated[float, Meta(ge=0, description="Days that deleted accounts can be brought back.")] = 30
    events_days: Annotated[
        float, Meta(ge=1, description="Days that the events of messages are kept for `postroom trace`.")
    ] = 30
    reports_days: Annotated[
        float, Meta(ge=31, description="Days that reports of others about our domains are kept: 13 months.")
    ] = 396


class Authentication(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who sent mail from outside: SPF, DKIM, DMARC, ARC. Needs DNS."""

    verify: Annotated[bool, Meta(description="Check mail from outside, and do what its domain's owner asks.")] = True
    seconds: Annotated[float, Meta(gt=0, le=120, description="How long a message may wait for the DNS.")] = 20
    seal: Annotated[
        bool, Meta(description="Seal (ARC) mail that an alias passes on outside, so that its proof is not lost.")
    ] = True
    trusted_sealers: Annotated[
        tuple[str, ...],
        Meta(description="Domains whose ARC seal is believed when forwarding has broken what proves the author."),
    ] = ("google.com", "microsoft.com", "messagingengine.com")


class Signing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """DKIM: mail of our own users is signed with the key of its From domain."""

    enabled: Annotated[bool, Meta(description="Sign mail of hosted domains.")] = True
    rotate_days: Annotated[
        float, Meta(ge=0, description="Days a key signs before the next one is made; 0 keeps it until told otherwise.")
    ] = 180
    retire_days: Annotated[
        float, Meta(ge=1, description="Days a retired key stays published for mail that is still on its way.")
    ] = 8


class MtaSts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The MTA-STS policy of the domains hosted here, served by an http listener with tls = "implicit"."""

    mode: Annotated[
        str,
        Meta(
            pattern="^(none|testing|enforce)$",
            description="testing: others only report failures; enforce: they send over TLS to this server or not at "
            "all; none takes a policy back.",
        ),
    ] = "testing"


class Reports(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Daily reports to the owners of other domains who ask for them, about mail that came in their name (DMARC) and
    about connections to their servers (TLS). Needs DNS, and a hosted domain with DKIM keys, in whose name they leave.
    """

    send: Annotated[bool, Meta(description="Send them, some hours after midnight UTC.")] = True
    org_name: Annotated[str, Meta(description="Who reports, for people; empty is the hosted domain's name.")] = ""
    contact: Annotated[str, Meta(description="Address for questions; empty is postmaster of the hosted domain.")] = ""


class Log(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log: JSON lines."""

    level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$", description="debug, info, warning, error.")] = (
        "info"
    )
    file: Annotated[str, Meta(description="File to append to; empty is standard error.")] = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything; a TOML file with one table per field."""

    server: Server = field(default_factory=Server)
    listener: tuple[Listener, ...] = ()
    tls: Tls = field(default_factory=Tls)
    client_certificate: tuple[ClientCertificate, ...] = ()
    limits: Limits = field(default_factory=Limits)
    relay: Relay = field(default_factory=Relay)
    sending: Sending = field(default_factory=Sending)
    bans: Bans = field(default_factory=Bans)
    route: tuple[Route, ...] = ()
    source: tuple[Source, ...] = ()
    peers: Peers = field(default_factory=Peers)
    blocklist: tuple[Blocklist, ...] = ()
    passwords: Passwords = field(default_factory=Passwords)
    mailboxes: Mailboxes = field(default_factory=Mailboxes)
    sieve: Sieve = field(default_factory=Sieve)
    index: Index = field(default_factory=Index)
    imap: Imap = field(default_factory=Imap)
    pop3: Pop3 = field(default_factory=Pop3)
    api: Api = field(default_factory=Api)
    webhook: tuple[Webhook, ...] = ()
    retention: Retention = field(default_factory=Retention)
    authentication: Authentication = field(default_factory=Authentication)
    filter: Filter = field(default_factory=Filter)
    bounces: Bounces = field(default_factory=Bounces)
    quarantine: Quarantine = field(default_factory=Quarantine)
    rspamd: Rspamd = field(default_factory=Rspamd)
    clamav: Clamav = field(default_factory=Clamav)
    signing: Signing = field(default_factory=Signing)
    mta_sts: MtaSts = field(default_factory=MtaSts)
    reports: Reports = field(default_factory=Reports)
    log: Log = field(default_factory=Log)
