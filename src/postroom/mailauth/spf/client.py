"""The sending host, in the forms that SPF compares and prints (RFC 7208 5, 7.3)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

from postroom.values.dns import RecordType


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
        try:
            return int(IPv4Address(address) if self.version == 4 else IPv6Address(address))
        except AddressValueError:
            return -1
