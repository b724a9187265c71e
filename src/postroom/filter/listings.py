"""What of a message lists in the DNS are asked about: addresses that answers would go to, and attachments, as digests.

An address that a swindler wants to be answered at is what he cannot change with every message, and so is a file that
does the harm. Lists learn neither: they are asked for digests.
Pure. Bounded: so many addresses and attachments, and octets of these.
On failure: OSError when the content's file is gone.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.filter.seen import Seen
from postroom.message.decode import parse_addresses
from postroom.policy.blocklists import address_digest, file_digest

_ADDRESSES: Final = 20
_FILES: Final = 10
#: octets of an attachment, decoded, and characters of a text that are looked at
_LARGEST: Final = 8 * 1024 * 1024
_TEXT: Final = 16_384
_ADDRESS: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_FIELDS: Final = ("reply-to", "from", "sender")


def addresses(seen: Seen, sender: str) -> list[tuple[str, str]]:
    """Addresses of the header, of the envelope and in the text, each with its digest."""
    found: dict[str, None] = {}
    for name in _FIELDS:
        for value in seen.values(name)[:2]:
            found.update(dict.fromkeys(one.address.lower() for one in parse_addresses(value.encode())[:_ADDRESSES]))
    found[sender.lower()] = None
    found.update(dict.fromkeys(one.lower() for one in _ADDRESS.findall(seen.text[:_TEXT])))
    return [(one, address_digest(one)) for one in found if "@" in one][:_ADDRESSES]


def files(seen: Seen) -> list[tuple[str, str]]:
    """Attachments that are not too large, each with its digest."""
    found = {}
    for one in seen.attachments[:_FILES]:
        octets = one.octets(_LARGEST + 1)
        if octets and len(octets) <= _LARGEST:
            found[file_digest(octets)] = one.name or "an attachment without a name"
    return [(name, digest) for digest, name in found.items()]
