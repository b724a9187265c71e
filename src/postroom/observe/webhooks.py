"""Which events other programs are told of, what they are told, and how they know that it was us.

Pure: events in, bodies out. A message's owner and sender are told by its first event only (message.accepted); they are
kept as its context until its last recipient is done.
Trusts: nothing about the events; any field may be missing. Texts and subjects of messages are never in them.
Standards: the Standard Webhooks specification 1.0 (headers, HMAC-SHA256 over id.timestamp.body).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct

from postroom.values.told import Told

DELIVERED: Final = "message.delivered"
RELAYED: Final = "message.relayed"
DEFERRED: Final = "message.deferred"
FAILED: Final = "message.failed"
RECEIVED: Final = "message.received"
TEST: Final = "webhook.test"
TYPES: Final = (DELIVERED, RELAYED, DEFERRED, FAILED, RECEIVED)
#: events of ours, and as what they are told
_TOLD_AS: Final = {
    "message.delivered": DELIVERED,
    "message.relayed": RELAYED,
    "message.deferred": DEFERRED,
    "message.failed": FAILED,
    "message.expired": FAILED,
}
ACCEPTED: Final = "message.accepted"
#: events that matter here
WATCHED: Final = frozenset(_TOLD_AS) | {ACCEPTED}
_FIELDS: Final = ("recipient", "status", "reply", "attempts", "remote", "next_try", "mailbox", "uid")
_PREFIX: Final = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What a webhook wants to hear. domain, login: only of mail of theirs; "" of all."""

    name: str
    types: frozenset[str]
    domain: str = ""
    login: str = ""


class Context(Struct, kw_only=True):
    """Whose a message is. login: of who sent it, "" for mail from outside; left: recipients that are not done."""

    login: str = ""
    sender: str = ""
    message_id: str = ""
    left: int = 1


@dataclass(frozen=True, slots=True)
class Message:
    """What one hook is told. id: the same whenever it is told again."""

    hook: str
    id: str
    type: str
    time: float
    body: bytes


def context_of(told: Told) -> Context:
    """The context that an accepted message begins with."""
    fields = told.fields
    count = fields.get("recipients")
    return Context(
        login=str(fields.get("login") or ""),
        sender=str(fields.get("sender") or ""),
        message_id=str(fields.get("message_id") or ""),
        left=count if isinstance(count, int) else 1,
    )


def is_final(told: Told) -> bool:
    """Does nothing more come of this recipient?"""
    return told.name != "message.deferred" and told.name in _TOLD_AS


def messages(told: Told, context: Context | None, hooks: Iterable[Hook]) -> list[Message]:
    """What the hooks are told of an event. context None: the message came before there were hooks, or is nobody's."""
    kind = _TOLD_AS.get(told.name)
    if kind is None:
        return []
    known = context or Context()
    recipient = str(told.fields.get("recipient") or "")
    kinds = (kind, RECEIVED) if kind == DELIVERED else (kind,)
    return [
        _message(hook.name, one, told, known)
        for hook in hooks
        for one in kinds
        if one in hook.types and _concerns(hook, one, known, recipient)
    ]


def _concerns(hook: Hook, kind: str, context: Context, recipient: str) -> bool:
    """message.received belongs to its recipient; everything else to who sent it, or, without one, to its recipient."""
    if kind == DELIVERED and not context.login:
        return False  # mail from outside that arrives is message.received
    whose = (recipient if kind == RECEIVED or not context.login else context.login).lower()
    if hook.login and hook.login.lower() not in (whose, _plain(whose)):
        return False
    return not hook.domain or whose.rpartition("@")[2] == hook.domain.lower()


def _plain(address: str) -> str:
    """Without a +detail."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _message(hook: str, kind: str, told: Told, context: Context) -> Message:
    fields: Mapping[str, Any] = told.fields
    data = {
        "id": told.id,
        "message_id": context.message_id,
        "sender": context.sender,
        "login": context.login,
        **{name: fields[name] for name in _FIELDS if fields.get(name) not in (None, "")},
    }
    if told.name == "message.expired":
        data["expired"] = True
    place = f"{told.id}\0{data.get('recipient', '')}\0{kind}\0{data.get('attempts', '')}"
    name = f"evt_{sha256(place.encode()).hexdigest()[:32]}"
    return Message(hook, name, kind, told.time, body(kind, told.time, data))


def body(kind: str, time: float, data: Mapping[str, Any]) -> bytes:
    """A body as Standard Webhooks wants it."""
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return msgspec.json.encode({"type": kind, "timestamp": stamp, "data": data}, enc_hook=str)


def read_secrets(text: str) -> list[bytes]:
    """The keys in a secret file, one a line, the newest first: "whsec_" and base64, or other words. May be empty."""
    keys = []
    for line in text.splitlines():
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        key = word.encode("utf-8")
        if word.startswith(_PREFIX):
            try:
                key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
            except binascii.Error:
                continue
        keys.append(key)
    return keys


def headers(name: str, now: int, octets: bytes, keys: Sequence[bytes]) -> tuple[tuple[str, str], ...]:
    """The header fields of a call: id, time, and a signature by each key."""
    signed = b"%b.%d.%b" % (name.encode(), now, octets)
    signatures = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return (
        ("webhook-id", name),
        ("webhook-timestamp", str(now)),
        ("webhook-signature", " ".join(f"v1,{one}" for one in signatures)),
    )
