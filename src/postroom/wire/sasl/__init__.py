"""SASL (RFC 4422): mechanisms as step objects, the same for SMTP, POP3 and IMAP.

Server: `start(initial)` and `step(response)` return what comes next:
`Challenge(data)` send it, feed the answer to `step`; `Password` check login and password, then tell the client;
`KeysWanted` look the login's SCRAM keys up and call `keys(...)`; `Proven` the client is who it says; `Asserted` see
whether the connection itself proves who it is.
They raise `SaslFault` for malformed messages and `NotProven` for a wrong proof.
Client: `PlainClient` and `LoginClient`, `respond(challenge)`.
"""

from postroom.wire.sasl.clients import ClientMechanism, LoginClient, PlainClient, choose_client
from postroom.wire.sasl.prepare import saslprep
from postroom.wire.sasl.scram import Scram, ScramKeys, decoy_keys, derive_scram_keys
from postroom.wire.sasl.server import (
    Asserted,
    Challenge,
    External,
    KeysWanted,
    LoginMechanism,
    NotProven,
    Password,
    Plain,
    Proven,
    SaslFault,
    ServerMechanism,
    Step,
    decode_base64,
)

__all__ = [
    "Asserted",
    "Challenge",
    "ClientMechanism",
    "External",
    "KeysWanted",
    "LoginClient",
    "LoginMechanism",
    "NotProven",
    "Password",
    "Plain",
    "PlainClient",
    "Proven",
    "SaslFault",
    "Scram",
    "ScramKeys",
    "ServerMechanism",
    "Step",
    "choose_client",
    "decode_base64",
    "decoy_keys",
    "derive_scram_keys",
    "saslprep",
]
