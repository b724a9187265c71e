"""What may be put into the directory: each value checked, with advice where it will not do.

On failure: BadValue.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from postroom.identity.errors import BadValue
from postroom.values.address import Address, BadAddress, parse_domain
from postroom.wire.imap.capability import OPTIONAL

#: what `Directory.set_account` and `Directory.set_domain` may change
ACCOUNT: Final = frozenset({
    "name", "quota", "quota_messages", "quota_mailboxes", "quota_annotations", "administers",
    "pop3_delete", "pop3_seen", "imap_without", "daily_messages",
    "daily_recipients", "daily_new", "detail_folders", "past", "sent_copies",
})  # fmt: skip
DOMAIN: Final = frozenset({
    "catch_all", "disabled", "receives", "hourly_messages", "spoof", "alias_of", "separators", "detail_folders",
    "quota", "quota_messages", "account_quota", "account_messages", "most_accounts", "batv",
})  # fmt: skip

_CHOICES: Final = {
    "spoof": ("refuse", "junk", "mark"),  # mail that claims a hosted domain and cannot prove it
    "pop3_delete": ("delete", "trash", "keep"),
    "detail_folders": ("off", "existing", "create"),
    "batv": ("off", "tag", "require"),  # are envelope senders of a domain tagged, and must reports come to a tag
    "past": ("off", "deleted", "all"),
    "administers": ("", "domain", "server"),  # whose quotas an account may change
}
_SWITCHES: Final = frozenset({"pop3_seen", "sent_copies", "disabled", "receives"})
#: characters of local parts (RFC 5321 4.1.2 atext) that people put before a detail
_SEPARATORS: Final = "+-_=#~"
#: what limits on sending may be: -1 is the configured one, 0 none
_LIMITS: Final = range(-1, 1 << 40)


def account_setting(key: str, value: Any) -> Any:
    """The value as it is kept."""
    if key not in ACCOUNT:
        raise BadValue(f"{key} cannot be set", f"What can: {', '.join(sorted(ACCOUNT))}.")
    if key == "detail_folders" and value == "":
        return value  # as the domain has it
    return _setting(key, value)


def domain_setting(key: str, value: Any) -> Any:
    """The value as it is kept; that there is such a domain or address is not looked at."""
    if key not in DOMAIN:
        raise BadValue(f"{key} cannot be set", f"What can: {', '.join(sorted(DOMAIN))}.")
    if key in ("quota", "quota_messages", "most_accounts"):
        return quota_of(value, least=0)
    if key == "catch_all":
        return address_of(value).key if value else ""
    if key == "alias_of":
        return domain_name(value) if value else ""
    return _setting(key, value)


def _setting(key: str, value: Any) -> Any:
    if key.startswith(("quota", "account_")):
        return quota_of(value)
    if key == "imap_without":
        return _capabilities(value)
    if key == "separators":
        return _separators(value)
    if key.startswith(("daily_", "hourly_")):
        return limit_of(value)
    if key in _CHOICES and value not in _CHOICES[key]:
        raise BadValue(f"{key} cannot be {value!r}", f"It is one of: {', '.join(_CHOICES[key])}.")
    if key in _SWITCHES and not isinstance(value, bool):
        raise BadValue(f"{key} cannot be {value!r}", "It is true or false.")
    return name_of(str(value)) if key == "name" else value


def _separators(text: str) -> str:
    """Each once."""
    if any(char not in _SEPARATORS for char in text):
        raise BadValue(f"{text!r} cannot separate a detail", f"What can, one or several: {' '.join(_SEPARATORS)}")
    return "".join(dict.fromkeys(text))


def quota_of(value: object, least: int = -1) -> int:
    """A number of what an account or domain may hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 62:
        raise BadValue(
            f"a quota cannot be {value!r}",
            "It is a number, such as of octets or messages; 0 is no limit"
            + (", -1 what its domain or the configuration says." if least < 0 else "."),
        )
    return value


def _capabilities(names: Sequence[str]) -> tuple[str, ...]:
    """As they are printed, in the order of the CAPABILITY response."""
    for name in names:
        if name.upper() not in OPTIONAL:
            advice = guess(name.upper(), OPTIONAL) or f"What can: {', '.join(OPTIONAL.values())}."
            raise BadValue(f"{name} is no capability that can be switched off", advice)
    wanted = {name.upper() for name in names}
    return tuple(name for key, name in OPTIONAL.items() if key in wanted)


def limit_of(value: object) -> int:
    """A limit on sending."""
    if not isinstance(value, int) or isinstance(value, bool) or value not in _LIMITS:
        raise BadValue(f"a limit cannot be {value!r}", "It is a number; 0 is no limit, -1 the configured one.")
    return value


def name_of(text: str) -> str:
    """What a person is called."""
    if len(text) > 200 or not text.isprintable():
        raise BadValue("a name is one line of up to 200 characters")
    return text


def address_of(text: str) -> Address:
    """An address as people type it."""
    try:
        return Address.parse(text.strip())
    except BadAddress as fault:
        raise BadValue(f"{text!r} is no mail address", "Write it as local@domain, such as ann@example.com.") from fault


def domain_name(text: str) -> str:
    """A-labels of a domain as people type it."""
    try:
        name = parse_domain(text.strip())
    except BadAddress as fault:
        raise BadValue(f"{text!r} is no domain name", "Write it as in a mail address, such as example.com.") from fault
    if name.startswith("["):
        raise BadValue(f"{text!r} is an address literal, not a domain name")
    return name


#: of two local parts, or two domains
_ALIKE: Final = 0.6


def guess(wrong: str, known: Iterable[str]) -> str:
    """What was meant, as advice; "" when nothing is near."""
    for close in difflib.get_close_matches(wrong, list(known), 3, 0.75):
        if all(map(_near, wrong.split("@"), close.split("@"))):  # one domain makes all its addresses alike
            return f"Did you mean {close}?"
    return ""


def _near(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other).ratio() >= _ALIKE
