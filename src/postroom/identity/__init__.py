"""Domains, accounts, aliases, plus addresses and credentials: who somebody is, and what an address stands for."""

from postroom.identity.client import HashingClient
from postroom.identity.directory import Directory
from postroom.identity.errors import AccountDisabled, BadCredentials, DirectoryError, PasswordsUnavailable
from postroom.identity.hashing import Hasher, InlineHasher, run_hashing, socket_pair
from postroom.identity.model import Closed, Found, Hosted, NotHosted, Resolution, Target, Unknown
from postroom.identity.service import Identity

__all__ = [
    "AccountDisabled",
    "BadCredentials",
    "Closed",
    "Directory",
    "DirectoryError",
    "Found",
    "Hasher",
    "HashingClient",
    "Hosted",
    "Identity",
    "InlineHasher",
    "NotHosted",
    "PasswordsUnavailable",
    "Resolution",
    "Target",
    "Unknown",
    "run_hashing",
    "socket_pair",
]
