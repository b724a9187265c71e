"""The configuration: one frozen, documented value read from one TOML file.

Each field is declared once with its type, default and explanation; loader, sample file and manual are read from
there. On failure: ConfigError naming file, line or key, what is wrong, and what is allowed.
"""

from postroom.config.check import Problem, check
from postroom.config.endpoints import Place, parse_dns_server, parse_server, parse_socket, parse_url
from postroom.config.filtering import Clamav, Filter, OnFailure, Quarantine, Rspamd, RspamdMode, VirusAct
from postroom.config.listeners import ClientCertificate, Listener, Protocol, Tls, TlsMode
from postroom.config.load import ConfigError, load, parse
from postroom.config.mailboxes import Imap, Mailboxes, Sieve, WhenFull
from postroom.config.manual import Described, describe, sample
from postroom.config.model import (
    Authentication,
    Bans,
    Blocklist,
    BlocklistKind,
    Check,
    Config,
    Limits,
    Log,
    MtaSts,
    OutgoingTls,
    Passwords,
    Peers,
    Pop3,
    Relay,
    Reports,
    Retention,
    Route,
    Sending,
    Server,
    Signing,
    Source,
    Webhook,
)

__all__ = [
    "Authentication",
    "Bans",
    "Blocklist",
    "BlocklistKind",
    "Check",
    "Clamav",
    "ClientCertificate",
    "Config",
    "ConfigError",
    "Described",
    "Filter",
    "Imap",
    "Limits",
    "Listener",
    "Log",
    "Mailboxes",
    "MtaSts",
    "OnFailure",
    "OutgoingTls",
    "Passwords",
    "Peers",
    "Place",
    "Pop3",
    "Problem",
    "Protocol",
    "Quarantine",
    "Relay",
    "Reports",
    "Retention",
    "Route",
    "Rspamd",
    "RspamdMode",
    "Sending",
    "Server",
    "Sieve",
    "Signing",
    "Source",
    "Tls",
    "TlsMode",
    "VirusAct",
    "Webhook",
    "WhenFull",
    "check",
    "describe",
    "load",
    "parse",
    "parse_dns_server",
    "parse_server",
    "parse_socket",
    "parse_url",
    "sample",
]
