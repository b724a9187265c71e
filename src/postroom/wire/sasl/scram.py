"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, server side (RFC 5802, RFC 7677), with stored keys only.

Ownership: one `Scram` per exchange. The nonce comes from outside (no randomness here); keys come from the directory.
Trust: an unknown login is answered like a known one, with keys that nothing proves (`decoy_keys`), so that names
cannot be found out. PLUS binds to the TLS channel with tls-server-end-point (RFC 5929 4).
On failure: SaslFault, NotProven.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac

from msgspec import Struct

from postroom.wire.sasl.server import Challenge, KeysWanted, NotProven, Proven, SaslFault, Step, decode_base64, prepared

_BINDING = "tls-server-end-point"
_PROOF = 32  # octets


class ScramKeys(Struct, frozen=True):
    """What is stored of a password (RFC 5802 3): enough to check a proof, not enough to make one."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


def derive_scram_keys(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """RFC 5802 3. Takes about half a microsecond an iteration: not for the event loop. Raises SaslFault."""
    secret = prepared(password.encode(), "password").encode()
    salted = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.sha256(client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", "sha256"),
    )


def decoy_keys(secret: bytes, login: str, iterations: int) -> ScramKeys:
    """Keys for a login that has none: the same salt at every try, and no password fits."""
    seed = hmac.digest(secret, login.encode(), "sha512")
    return ScramKeys(
        salt=seed[:16],
        iterations=iterations,
        stored_key=hmac.digest(seed, b"stored", "sha256"),
        server_key=hmac.digest(seed, b"server", "sha256"),
    )


class Scram:
    """One exchange.

    nonce: at least 18 random printable characters without comma. binding: tls-server-end-point of this connection,
    None without TLS. plus: the client chose the -PLUS name. offered_plus: the -PLUS name was in our list.
    """

    __slots__ = (
        "_authzid",
        "_binding",
        "_first",
        "_gs2",
        "_keys",
        "_login",
        "_nonce",
        "_offered_plus",
        "_plus",
        "_state",
        "_which",
    )

    def __init__(
        self, nonce: str, *, binding: bytes | None = None, plus: bool = False, offered_plus: bool = False
    ) -> None:
        self._nonce = nonce
        self._binding = binding
        self._plus = plus
        self._offered_plus = offered_plus
        self._state = "first"
        self._gs2 = self._first = b""
        self._login = self._authzid = ""
        self._which = 0
        self._keys: tuple[ScramKeys, ...] = ()

    def start(self, initial: bytes | None) -> Step:
        """The client's first message, or an empty challenge to ask for it."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        """client-first, client-final, and the empty answer to our signature."""
        if self._state == "first":
            return self._client_first(response)
        if self._state == "final":
            return self._client_final(response)
        if self._state == "proven" and not response:
            self._state = "over"
            return Proven(login=self._login, authzid=self._authzid, which=self._which)
        raise SaslFault("Nothing more was asked for")

    def keys(self, keys: ScramKeys, *others: ScramKeys) -> Challenge:
        """The keys of the login (or decoys): gives the server's first message.

        others: of further passwords of the login, with the same salt and count of iterations; any of them will do.
        """
        self._keys = keys, *others
        salt = binascii.b2a_base64(keys.salt, newline=False).decode()
        server_first = f"r={self._nonce},s={salt},i={keys.iterations}".encode()
        self._first += b"," + server_first
        self._state = "final"
        return Challenge(server_first)

    def _client_first(self, message: bytes) -> Step:
        """RFC 5802 7: client-first-message = gs2-header client-first-message-bare."""
        parts = message.split(b",", 2)
        if len(parts) != 3:
            raise SaslFault("SCRAM's first message is gs2-header, then n=login,r=nonce (RFC 5802 7)")
        flag, authzid, rest = parts
        self._check_flag(flag)
        if authzid:
            if not authzid.startswith(b"a="):
                raise SaslFault("The authorization identity begins with a= (RFC 5802 7)")
            self._authzid = _name(authzid[2:], "authorization identity")
        fields = rest.split(b",")
        if fields[0].startswith(b"m="):
            raise SaslFault("Mandatory extensions are not supported (RFC 5802 5.1)")
        if len(fields) < 2 or not fields[0].startswith(b"n=") or not fields[1].startswith(b"r="):
            raise SaslFault("SCRAM's first message carries n=login,r=nonce (RFC 5802 7)")
        client_nonce = fields[1][2:]
        if not client_nonce or not client_nonce.isascii() or not client_nonce.decode().isprintable():
            raise SaslFault("The nonce must be printable (RFC 5802 7)")
        self._login = _name(fields[0][2:], "login")
        self._gs2 = message[: len(message) - len(rest)]
        self._first = rest
        self._nonce = client_nonce.decode() + self._nonce
        self._state = "keys"
        return KeysWanted(login=self._login, authzid=self._authzid)

    def _check_flag(self, flag: bytes) -> None:
        """RFC 5802 6: the gs2 channel binding flag against what was offered and chosen."""
        if flag.startswith(b"p="):
            if not self._plus:
                raise SaslFault("Channel binding needs the mechanism SCRAM-SHA-256-PLUS (RFC 5802 6)")
            if flag[2:].decode("ascii", "replace") != _BINDING:
                raise SaslFault(f"Only the channel binding {_BINDING} is supported (RFC 5929 4)")
        elif self._plus:
            raise SaslFault("SCRAM-SHA-256-PLUS needs channel binding (RFC 5802 6)")
        elif flag == b"y":
            # The client could bind and believes that we cannot. If we offered it, somebody changed our list.
            if self._offered_plus:
                raise NotProven("downgrade: the list of mechanisms was changed on the way (RFC 5802 6)")
        elif flag != b"n":
            raise SaslFault("The channel binding flag is n, y or p=name (RFC 5802 7)")

    def _client_final(self, message: bytes) -> Step:
        """RFC 5802 7: channel-binding "," nonce ["," extensions] "," proof."""
        without_proof, comma, proof = message.rpartition(b",p=")
        fields = without_proof.split(b",")
        if not comma or len(fields) < 2 or not fields[0].startswith(b"c=") or not fields[1].startswith(b"r="):
            raise SaslFault("SCRAM's final message carries c=,r=,p= (RFC 5802 7)")
        expected = self._gs2 + (self._binding or b"" if self._plus else b"")
        if not hmac.compare_digest(decode_base64(fields[0][2:]), expected):
            raise NotProven("the channel binding differs")
        if not hmac.compare_digest(fields[1][2:], self._nonce.encode()):
            raise NotProven("the nonce differs")
        auth_message = self._first + b"," + without_proof
        given = decode_base64(proof)
        if len(given) != _PROOF:
            raise SaslFault("The proof has the wrong length")
        fitting = [place for place, keys in enumerate(self._keys) if _fits(keys, auth_message, given)]
        if not fitting:
            raise NotProven("the proof does not fit the stored key")
        self._which = fitting[0]
        self._state = "proven"
        verifier = hmac.digest(self._keys[self._which].server_key, auth_message, "sha256")
        return Challenge(b"v=" + binascii.b2a_base64(verifier, newline=False))


def _fits(keys: ScramKeys, auth_message: bytes, proof: bytes) -> bool:
    """RFC 5802 3: the proof is the client's key, XOR a signature by the stored key, which is the hash of the former."""
    signature = hmac.digest(keys.stored_key, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)


def _name(octets: bytes, what: str) -> str:
    """RFC 5802 5.1: saslname, where =2C is a comma and =3D an equals sign. Raises SaslFault."""
    plain = octets.replace(b"=2C", b",").replace(b"=3D", b"\0")
    if b"=" in plain or b"\0" in octets:
        raise SaslFault(f"In the {what} = is written =3D and , is written =2C (RFC 5802 5.1)")
    return prepared(plain.replace(b"\0", b"="), what)
