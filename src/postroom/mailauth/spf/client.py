"""The sending host, in the forms that SPF compares and prints (RFC 7208 5, 7.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Final

from postroom.values.dns import RecordType

#: RFC 7208 5.6  qnum: 0 to 255 without leading zeros
QNUM: Final = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4: Final = re.compile(rf"{QNUM}\.{QNUM}\.{QNUM}\.{QNUM}", re.ASCII)


def ipv4_number(text: str) -> int:
    """The 32 bits of an IPv4 address as text; -1 for anything else."""
    found = _IPV4.fullmatch(text)
    if found is None:
        return -1
    one, two, three, four = found.groups()
    return int(one) << 24 | int(two) << 16 | int(three) << 8 | int(four)


@dataclass(frozen=True, slots=True)
class Client:
    """version: 4 or 6. dotted: the macro %{i}. address_type: what is asked for hosts that are compared with it."""

    version: int
    number: int
    text: str
    dotted: str
    address_type: RecordType

    @classmethod
    def of(cls, ip: str) -> Client:
        """An address as text; an IPv4 address mapped into IPv6 is the IPv4 address (RFC 7208 5). Raises ValueError."""
        address = ip_address(ip.partition("%")[0])
        if isinstance(address, IPv6Address):
            mapped = address.ipv4_mapped
            if mapped is None:
                dotted = ".".join(f"{int(address):032X}")
                return cls(6, int(address), str(address), dotted, RecordType.AAAA)
            address = mapped
        return cls(4, int(address), str(address), str(address), RecordType.A)

    @property
    def reverse_name(self) -> str:
        """Where its PTR records are (RFC 1035 3.5, RFC 3596 2.5)."""
        labels = ".".join(reversed(self.dotted.lower().split(".")))
        return f"{labels}.in-addr.arpa" if self.version == 4 else f"{labels}.ip6.arpa"

    def equals(self, number: int, prefix: int) -> bool:
        """Whether the first `prefix` bits are those of another address of the same version."""
        return (self.number ^ number) >> ((32 if self.version == 4 else 128) - prefix) == 0

    def among(self, addresses: tuple[str, ...], prefix: int) -> bool:
        """Whether one of the addresses that the DNS gave is equal in the first bits; what is no address is not."""
        return any(self.equals(number, prefix) for number in map(self._number, addresses) if number >= 0)

    def _number(self, address: str) -> int:
        if self.version == 4:
            return ipv4_number(address)
        try:
            return int(IPv6Address(address))
        except AddressValueError:
            return -1
