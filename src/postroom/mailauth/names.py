"""Domain names as mail authentication sees them: A-labels, well formed or not, and safe to print.

Purpose: the few questions that SPF and DMARC ask about a name; nothing here asks the DNS.
Trust: every name comes from a peer, a message or somebody's record. `shown` makes any text fit for a reason, a log or
a header field: printable ASCII, bounded.
On failure: `a_labels` gives "" for what is no domain name; nothing raises.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: RFC 1035 2.3.4 in presentation form: 255 octets on the wire
LONGEST_NAME = 253
LONGEST_LABEL = 63

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def shown(text: str, limit: int = 200) -> str:
    """The text as it may be printed: what is not printable ASCII becomes "?", and the end is cut with "..."."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("?", text)


def well_formed(name: str) -> bool:
    """Whether the DNS can be asked for this name at all (RFC 1035 2.3.4): ASCII, label and name lengths.

    Characters are not restricted to letters and digits: SPF asks for names such as `a:b/c.example.org`.
    """
    if not 0 < len(name) <= LONGEST_NAME or not name.isascii():
        return False
    if ".." in name or name[0] == "." or name[-1] == ".":
        return False
    return len(name) <= LONGEST_LABEL or max(map(len, name.split("."))) <= LONGEST_LABEL


def clipped(name: str) -> str:
    """Without the trailing dot, and without left labels until 253 characters remain (RFC 7208 7.3)."""
    name = name.removesuffix(".")
    if len(name) > LONGEST_NAME:
        name = name[name.find(".", len(name) - LONGEST_NAME - 1) + 1 :]
    return name


@lru_cache(maxsize=2048)
def _encoded(name: str) -> str:
    import idna  # only mail with international domains needs it

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return ""


def a_labels(domain: str) -> str:
    """The domain in lower case as A-labels (RFC 5890 2.3.2.1) without the trailing dot; "" when it is none.

    Address literals, empty labels, labels over 63 octets, spaces and control characters make it none.
    """
    if len(domain) > 4 * LONGEST_NAME:
        return ""
    name = domain.removesuffix(".")
    if not name.isascii():
        name = _encoded(name)
    if not well_formed(name) or name[0] == "[" or not name.isprintable() or " " in name:
        return ""
    return name.lower()


def within(name: str, parent: str) -> bool:
    """Whether `name` is `parent` or below it; both lower case."""
    return name == parent or name.endswith("." + parent)
