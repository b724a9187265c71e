"""The configuration: one frozen, documented value read from one TOML file.

Each field is declared once with its type, default and explanation; loader, sample file and manual are read from
there. On failure: ConfigError naming file, line or key, what is wrong, and what is allowed.
"""

from postroom.config.check import Problem, check
from postroom.config.endpoints import parse_dns_server
from postroom.config.load import ConfigError, load, parse
from postroom.config.manual import Described, describe, sample
from postroom.config.model import (
    Authentication,
    Bans,
    Blocklist,
    BlocklistKind,
    Check,
    Config,
    Imap,
    Limits,
    Listener,
    Log,
    MtaSts,
    OutgoingTls,
    Passwords,
    Peers,
    Pop3,
    Protocol,
    Relay,
    Reports,
    Retention,
    Route,
    Sending,
    Server,
    Signing,
    Source,
    Tls,
    TlsMode,
)

__all__ = [
    "Authentication",
    "Bans",
    "Blocklist",
    "BlocklistKind",
    "Check",
    "Config",
    "ConfigError",
    "Described",
    "Imap",
    "Limits",
    "Listener",
    "Log",
    "MtaSts",
    "OutgoingTls",
    "Passwords",
    "Peers",
    "Pop3",
    "Problem",
    "Protocol",
    "Relay",
    "Reports",
    "Retention",
    "Route",
    "Sending",
    "Server",
    "Signing",
    "Source",
    "Tls",
    "TlsMode",
    "check",
    "describe",
    "load",
    "parse",
    "parse_dns_server",
    "sample",
]
