"""In which country an address is, as a database says that the administrator has put there (MaxMind DB, *.mmdb).

Many give such files away; none comes with Postroom. Only what a question needs is read (a mapping would end the process
when somebody shortens the file). It is opened again when it was replaced, looked at every ten minutes at most.
Owns: the open file. Trusts: nothing in the file: what leads nowhere is no country.
Standards: the MaxMind DB file format 2.0.
On failure: "", never an error; `fault` says why nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

_MARK: Final = b"\xab\xcd\xefMaxMind.com"
_LONGEST_METADATA: Final = 128 * 1024
_GAP: Final = 16  # octets between the tree and the data
_POINTER, _TEXT, _DOUBLE, _BYTES, _MAP, _ARRAY, _TRUE, _FLOAT = 1, 2, 3, 4, 7, 11, 14, 15
_DEEPEST: Final = 16
_LONGEST_TEXT: Final = 4096
_MOST_ITEMS: Final = 1000
_MOST_VALUES: Final = 5000  # of one answer, wherever pointers lead
_LOOK_AGAIN: Final = 600.0
#: where databases keep the code: of the address, or of who has registered it
_WHERE: Final = (("country", "iso_code"), ("registered_country", "iso_code"), ("country_code",), ("country",))


class BadDatabase(ValueError):
    """The file has not the form."""


class CountryFile:
    """One open file. Raises OSError, BadDatabase; also when it is asked."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read_metadata()
        except BaseException:
            os.close(self._fd)
            raise

    def _read_metadata(self) -> None:
        size = os.fstat(self._fd).st_size
        first = max(size - _LONGEST_METADATA, 0)
        start = self._octets(first, size - first).rfind(_MARK) + first
        if start < first:
            raise BadDatabase("it is no MaxMind DB")
        self._base, self._left = start + len(_MARK), _MOST_VALUES
        found, _ = self._value(self._base, 0)
        if not isinstance(found, dict):
            raise BadDatabase("it does not say what it is")
        nodes, bits, version = (found.get(name) for name in ("node_count", "record_size", "ip_version"))
        if not isinstance(nodes, int) or bits not in (24, 28, 32) or version not in (4, 6):
            raise BadDatabase("it is of a form that nobody here knows")
        self._nodes: int = nodes
        self._bits: int = bits
        self._version: int = version
        self._tree = self._nodes * self._bits // 4
        self._base = self._tree + _GAP
        if self._base > start:
            raise BadDatabase("it is cut off")

    def country(self, ip: str) -> str:
        """ISO 3166 code, "" for none. Raises BadDatabase."""
        address = ip_address(ip)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address.version == 6 and self._version == 4:
            return ""
        bits = 128 if self._version == 6 else 32
        number, node = int(address), 0
        for place in range(bits - 1, -1, -1):
            node = self._child(node, number >> place & 1)
            if node >= self._nodes:
                break
        if node <= self._nodes:
            return ""
        self._left = _MOST_VALUES
        found, _ = self._value(self._base + node - self._nodes - _GAP, 0)
        return _code(found)

    def close(self) -> None:
        """No more questions."""
        os.close(self._fd)

    def _octets(self, at: int, size: int) -> bytes:
        octets = os.pread(self._fd, size, at) if size and 0 <= at < 1 << 40 else b""
        if len(octets) < size:
            raise BadDatabase("its data leads nowhere")
        return octets

    def _child(self, node: int, side: int) -> int:
        size = self._bits // 4
        octets = self._octets(node * size, size)
        if self._bits != 28:
            half = size // 2
            return int.from_bytes(octets[side * half : side * half + half], "big")
        high = octets[3] & 15 if side else octets[3] >> 4
        return high << 24 | int.from_bytes(octets[4:7] if side else octets[:3], "big")

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        """The value there, and where the next begins."""
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise BadDatabase("its data leads nowhere")
        control = self._octets(at, 1)[0]
        kind, size, at = control >> 5, control & 31, at + 1
        if kind == _POINTER:
            extra = (size >> 3) + 1
            low = int.from_bytes(self._octets(at, extra), "big")
            more = (0, 2048, 526336, 0)[extra - 1]
            target = low if extra == 4 else ((size & 7) << 8 * extra | low) + more
            return self._value(self._base + target, depth + 1)[0], at + extra
        if kind == 0:
            kind, at = 7 + self._octets(at, 1)[0], at + 1
        if size >= 29:
            extra = size - 28
            size = int.from_bytes(self._octets(at, extra), "big") + (29, 285, 65821)[extra - 1]
            at += extra
        return self._content(kind, size, at, depth)

    def _content(self, kind: int, size: int, at: int, depth: int) -> tuple[Any, int]:
        if kind == _MAP:
            return self._map(size, at, depth)
        if kind == _ARRAY:
            for _ in range(min(size, _MOST_ITEMS)):
                _, at = self._value(at, depth + 1)
            return None, at
        if kind == _TRUE:
            return bool(size), at
        if kind in (_DOUBLE, _BYTES, _FLOAT) or size > _LONGEST_TEXT:
            return None, at + size
        octets = self._octets(at, size)
        return octets.decode("utf-8", "replace") if kind == _TEXT else int.from_bytes(octets, "big"), at + size

    def _map(self, size: int, at: int, depth: int) -> tuple[dict[str, Any], int]:
        if size > _MOST_ITEMS:
            raise BadDatabase("its data is not that of countries")
        found = {}
        for _ in range(size):
            key, at = self._value(at, depth + 1)
            value, at = self._value(at, depth + 1)
            found[str(key)] = value
        return found, at


def _code(found: Any) -> str:
    for path in _WHERE:
        value = found
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
            return value.upper()
    return ""


class Countries:
    """The countries of addresses. path: "" knows none; clock: monotonic seconds."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._looked = float("-inf")
        self._stamp: tuple[int, int] = (0, 0)
        self._file: CountryFile | None = None
        #: why nothing is known, "" when all is well
        self.fault = ""

    def of(self, ip: str) -> str:
        """ISO 3166 code of the country, "" when it is not known. A few us."""
        if not self._path:
            return ""
        if self._clock() - self._looked >= _LOOK_AGAIN:
            self._looked = self._clock()
            self._open()
        try:
            return self._file.country(ip) if self._file is not None else ""
        except (OSError, ValueError) as fault:
            self.fault = f"{self._path}: {fault}"
            return ""

    def _open(self) -> None:
        try:
            now = os.stat(self._path)
            stamp = (now.st_mtime_ns, now.st_size)
            if self._file is not None and stamp == self._stamp:
                return
            fresh = CountryFile(self._path)
        except (OSError, ValueError) as fault:
            self.fault = f"{self._path}: {fault}"  # an older one that is open goes on
            return
        if self._file is not None:
            self._file.close()
        self._file, self._stamp, self.fault = fresh, stamp, ""
