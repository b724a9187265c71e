"""A strict reader of what FETCH prints: RFC 9051 9, nothing tolerated. For tests only."""

from __future__ import annotations

import re

_NUMBER = re.compile(rb"0|[1-9][0-9]*")
_LITERAL = re.compile(rb"\{(0|[1-9][0-9]*)\}\r\n")


class NotImap(AssertionError):
    pass


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def peek(self, token: bytes) -> bool:
        return self.data.startswith(token, self.at)

    def expect(self, token: bytes) -> None:
        if not self.peek(token):
            raise NotImap(f"wanted {token!r} at {self.at}: {self.data[max(0, self.at - 60) : self.at + 60]!r}")
        self.at += len(token)

    def number(self) -> int:
        found = _NUMBER.match(self.data, self.at)
        if not found:
            raise NotImap(f"wanted a number at {self.at}: {self.data[self.at : self.at + 60]!r}")
        self.at = found.end()
        return int(found[0])

    def string(self) -> bytes:
        if self.peek(b'"'):
            return self._quoted()
        found = _LITERAL.match(self.data, self.at)
        if not found:
            raise NotImap(f"wanted a string at {self.at}: {self.data[self.at : self.at + 60]!r}")
        self.at = found.end() + int(found[1])
        value = self.data[found.end() : self.at]
        if b"\0" in value or len(value) != int(found[1]):
            raise NotImap(f"bad literal {value!r}")
        return value

    def _quoted(self) -> bytes:
        self.at += 1
        out = bytearray()
        while True:
            octet = self.data[self.at]
            if octet == 0x22:
                self.at += 1
                return bytes(out)
            if octet == 0x5C:
                self.at += 1
                octet = self.data[self.at]
                if octet not in b'"\\':
                    raise NotImap("bad escape")
            elif octet in b"\0\r\n" or octet >= 0x80:
                raise NotImap(f"octet {octet} in quoted string")
            out.append(octet)
            self.at += 1

    def nstring(self) -> bytes | None:
        if self.peek(b"NIL"):
            self.at += 3
            return None
        return self.string()

    def strings(self) -> list[bytes]:
        self.expect(b"(")
        found = [self.string()]
        while not self.peek(b")"):
            self.expect(b" ")
            found.append(self.string())
        self.expect(b")")
        return found

    def parameters(self) -> dict[str, bytes]:
        if self.peek(b"NIL"):
            self.at += 3
            return {}
        found = self.strings()
        assert len(found) % 2 == 0
        return {
            name.decode("latin-1"): value for name, value in reversed(list(zip(found[::2], found[1::2], strict=True)))
        }

    def envelope(self) -> dict[str, object]:
        self.expect(b"(")
        date = self.nstring()
        self.expect(b" ")
        subject = self.nstring()
        found: dict[str, object] = {"date": date, "subject": subject}
        for name in ("from", "sender", "reply-to", "to", "cc", "bcc"):
            self.expect(b" ")
            found[name] = self.addresses()
        self.expect(b" ")
        found["in-reply-to"] = self.nstring()
        self.expect(b" ")
        found["message-id"] = self.nstring()
        self.expect(b")")
        return found

    def addresses(self) -> list[tuple[bytes | None, ...]]:
        if self.peek(b"NIL"):
            self.at += 3
            return []
        self.expect(b"(")
        found = []
        while True:
            self.expect(b"(")
            one = [self.nstring()]
            for _ in range(3):
                self.expect(b" ")
                one.append(self.nstring())
            self.expect(b")")
            found.append(tuple(one))
            if self.peek(b")"):
                self.at += 1
                return found

    def body(self, extended: bool) -> dict[str, object]:
        self.expect(b"(")
        found = self._multipart(extended) if self.peek(b"(") else self._single(extended)
        self.expect(b")")
        return found

    def _multipart(self, extended: bool) -> dict[str, object]:
        parts = [self.body(extended)]
        while self.peek(b"("):
            parts.append(self.body(extended))
        self.expect(b" ")
        found: dict[str, object] = {"type": "MULTIPART", "subtype": self.string().decode(), "parts": parts}
        if extended:
            self.expect(b" ")
            found["parameters"] = self.parameters()
            self._extension(found)
        return found

    def _single(self, extended: bool) -> dict[str, object]:
        found: dict[str, object] = {"type": self.string().decode()}
        self.expect(b" ")
        found["subtype"] = self.string().decode()
        self.expect(b" ")
        found["parameters"] = self.parameters()
        for name in ("id", "description"):
            self.expect(b" ")
            found[name] = self.nstring()
        self.expect(b" ")
        found["encoding"] = self.string().decode("latin-1")
        self.expect(b" ")
        found["octets"] = self.number()
        if found["type"] == "MESSAGE" and found["subtype"] in ("RFC822", "GLOBAL"):
            self.expect(b" ")
            found["envelope"] = self.envelope()
            self.expect(b" ")
            found["body"] = self.body(extended)
        if found["type"] == "TEXT" or "body" in found:
            self.expect(b" ")
            found["lines"] = self.number()
        if extended:
            self.expect(b" ")
            found["md5"] = self.nstring()
            self._extension(found)
        return found

    def _extension(self, found: dict[str, object]) -> None:
        self.expect(b" ")
        if self.peek(b"NIL"):
            self.at += 3
            found["disposition"] = None
        else:
            self.expect(b"(")
            kind = self.string()
            self.expect(b" ")
            found["disposition"] = (kind.decode(), self.parameters())
            self.expect(b")")
        self.expect(b" ")
        found["language"] = self.strings() if self.peek(b"(") else self.nstring()
        self.expect(b" ")
        found["location"] = self.nstring()

    def end(self) -> None:
        if self.at != len(self.data):
            raise NotImap(f"left over: {self.data[self.at :]!r}")


def read_envelope(data: bytes) -> dict[str, object]:
    reader = Reader(data)
    found = reader.envelope()
    reader.end()
    return found


def read_body(data: bytes, extended: bool = False) -> dict[str, object]:
    reader = Reader(data)
    found = reader.body(extended)
    reader.end()
    return found
