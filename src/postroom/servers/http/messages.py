"""Sending over HTTP: POST /api/v1/messages, what became of it, and taking it back while it waits.

It is submission in another dress: the same `intake` decides about sender, recipients, limits and content, in the same
order, and signs; there is no second way in. 202 is said when the message is in the queue for good.
A request with an Idempotency-Key is done once within a day: what it was told is kept in the same commit as the message
(store.api.queue.Once), so also a server that is killed between the two answers it again and does not send it again.
Owns: nothing between requests but the count of octets in memory. Trusts: nobody.
Standards: RFC 6409 (submission), RFC 9110, draft-ietf-httpapi-idempotency-key-header.
On failure: problems; see `problems`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from postroom.config import Config
from postroom.intake import header
from postroom.intake.model import Envelope, Peer, RcptOptions
from postroom.intake.service import Intake
from postroom.message.dates import format_date
from postroom.servers.http import orders
from postroom.servers.http.access import Access, Caller
from postroom.servers.http.bodies import Budget, in_memory, into_spool
from postroom.servers.http.fates import Fates
from postroom.servers.http.orders import Accepted, Refused, Submission
from postroom.servers.http.problems import Problem, of_refusal
from postroom.servers.ports import Log
from postroom.store.api import Once, Spool, Store, StoreError
from postroom.values.address import Address
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

#: octets of a JSON body, and of all that a worker holds at once
JSON_OCTETS: Final = 40 * 1024 * 1024
MEMORY: Final = 48 * 1024 * 1024
_SMALL: Final = 64 * 1024  # values.content: larger ones lie in a file
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SEND: Final = "send"
_READ: Final = "read-events"

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the interface rests on."""

    access: Access
    intake: Intake
    store: Store
    clock: Clock
    log: Log
    fates: Fates


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request to send. key: b"" without one; digest: of everything it asks."""

    caller: Caller
    key: bytes
    digest: bytes


class Messages:
    """The endpoints of one worker."""

    def __init__(self, rooms: Rooms, config: Config) -> None:
        self._rooms = rooms
        self._hostname = config.server.hostname
        self._limits = config.limits
        self._budget = Budget(MEMORY)

    def endpoint(self, work: Endpoint) -> Endpoint:
        """What runs `work` and writes down its problems."""

        async def run(request: Request) -> Response:
            try:
                return await work(request)
            except Problem as problem:
                return problem.response()
            except Refusal as refusal:
                return of_refusal(refusal).response()
            except StoreError:
                return Problem(503, "unavailable", "The store cannot do that now", retry_in=30.0).response()
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it

        return run

    async def send(self, request: Request) -> Response:
        """POST /api/v1/messages."""
        caller = await self._rooms.access.enter(request, _SEND)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            advice = "Larger messages can be sent as message/rfc822."
            async with in_memory(request, JSON_OCTETS, self._budget, advice) as body:
                asked = _asked(request, caller, sha256(body).digest())
                return await self._once(asked, lambda: self._send_order(asked, body))
        if kind == "message/rfc822":
            with _closing(self._rooms.store.spool()) as spool:
                arrived = await into_spool(request, spool, self._limits.message_size)
                asked = _asked(request, caller, arrived.digest)
                return await self._once(asked, lambda: self._send_message(asked, request, spool, arrived.ascii))
        raise Problem(415, "bad_type", "Send application/json or message/rfc822")

    async def show(self, request: Request) -> Response:
        """GET /api/v1/messages/ID."""
        caller = await self._rooms.access.enter(request, _SEND, _READ)
        found = await self._rooms.fates.find(request.path_params["id"], caller.account)
        return _json(found)

    async def cancel(self, request: Request) -> Response:
        """DELETE /api/v1/messages/ID."""
        caller = await self._rooms.access.enter(request, _SEND)
        return _json(await self._rooms.fates.cancel(request.path_params["id"], caller.account))

    # once

    async def _once(self, asked: _Asked, work: Callable[[], Awaitable[bytes]]) -> Response:
        if not asked.key:
            return _accepted(await work())
        queue, now = self._rooms.store.queue, self._rooms.clock.now()
        with queue.claim(asked.key) as mine:
            if not mine:
                raise Problem(
                    409, "in_progress", "A request with this Idempotency-Key is being worked on", retry_in=1.0
                )
            known = await queue.answered(asked.key, now)
            if known is None:
                return _accepted(await work())
        if known.request != asked.digest:
            raise Problem(
                422, "key_reused", "This Idempotency-Key was used for another message", field="Idempotency-Key"
            )
        return _accepted(known.answer, replayed=True)

    # the message

    async def _send_order(self, asked: _Asked, body: bytearray) -> bytes:
        """From JSON. Large ones are taken apart and put together beside the loop."""
        large = len(body) > _SMALL
        order = await asyncio.to_thread(orders.read_order, body) if large else orders.read_order(body)
        letter = orders.letter(order, format_date(self._rooms.clock.now()), "", "")
        plain = all(one.address.ascii for one in (letter.author, *letter.to, *letter.cc, *letter.reply_to))
        submission = orders.of_order(order, letter, min(len(body), self._limits.message_size), plain)
        peer = self._peer(asked.caller)
        envelope, accepted, refused = await self._open(peer, submission)
        name = f"{envelope.id}@{self._hostname}"
        letter = replace(letter, message_id=name, seed=envelope.id)
        pieces = await asyncio.to_thread(orders.composed, letter) if large else orders.composed(letter)
        answer = Accepted(id=envelope.id, message_id=name, accepted=accepted, refused=refused)
        size = sum(map(len, pieces))
        if size <= _SMALL:
            return await self._accept(asked, envelope, Content.of(b"".join(pieces)), answer)
        with _closing(self._rooms.store.spool()) as spool:
            for piece in pieces:
                spool.write(piece)
            del pieces
            return await self._accept(asked, envelope, await spool.seal(), answer)

    async def _send_message(self, asked: _Asked, request: Request, spool: Spool, plain: bool) -> bytes:
        """A finished message (RFC 5322), which lies in the spool."""
        content = await spool.seal()
        head = header.header_of(content, self._limits.header_size)
        submission = orders.of_message(_envelope(request), head, content.size, plain)
        envelope, accepted, refused = await self._open(self._peer(asked.caller), submission)
        name = header.named(head, "").get("message_id") or f"{envelope.id}@{self._hostname}"
        answer = Accepted(id=envelope.id, message_id=name, accepted=accepted, refused=refused)
        return await self._accept(asked, envelope, content, answer)

    def _peer(self, caller: Caller) -> Peer:
        ip, port = caller.link.peer[:2]
        return Peer(service="submission", ip=ip, port=port, tls=caller.tls, account=caller.account, over="http")

    async def _open(self, peer: Peer, submission: Submission) -> tuple[Envelope, tuple[str, ...], tuple[Refused, ...]]:
        """MAIL and each RCPT. Raises Refusal; Problem when no recipient is left."""
        intake = self._rooms.intake
        try:
            envelope = await intake.sender(peer, submission.mail)
        except Refusal as refusal:
            envelope = Envelope(submission.mail, id=intake.new_id())
            self._log(peer, envelope, refusal, "mail")
            raise
        accepted: list[str] = []
        faults: list[tuple[Address, Refusal]] = []
        for address in submission.recipients:
            try:
                await intake.recipient(peer, envelope, RcptOptions(address=address))
            except Refusal as refusal:
                self._log(peer, envelope, refusal, "rcpt", recipient=str(address))
                faults.append((address, refusal))
            else:
                accepted.append(str(address))
        refused = tuple(
            Refused(address=str(address), code=fault.code, enhanced=fault.enhanced, text=fault.public)
            for address, fault in faults
        )
        if not accepted:
            raise of_refusal(
                _telling([fault for _, fault in faults]), refused=tuple(map(msgspec.structs.asdict, refused))
            )
        return envelope, tuple(accepted), refused

    async def _accept(self, asked: _Asked, envelope: Envelope, content: Content, answer: Accepted) -> bytes:
        """The content, and with it what the request is told. Raises Refusal."""
        told = msgspec.json.encode(answer)
        if asked.key:
            envelope.once = Once(key=asked.key, request=asked.digest, answer=told)
        peer = self._peer(asked.caller)
        try:
            await self._rooms.intake.accept(peer, envelope, content)
        except Refusal as refusal:
            self._log(peer, envelope, refusal, "data", to=[given.address for given in envelope.given])
            raise
        return told

    def _log(self, peer: Peer, envelope: Envelope, refusal: Refusal, stage: str, **fields: Any) -> None:
        assert peer.account is not None
        if refusal.reason != refusal.public:
            fields["reason"] = refusal.reason
        if peer.tls:
            fields["tls"] = peer.tls
        self._rooms.log(
            "mail.refused",
            service="http",
            ip=peer.ip,
            login=peer.account.login,
            stage=stage,
            code=f"{refusal.code} {refusal.enhanced}",
            text=refusal.public,
            queue_id=envelope.id,
            sender="" if envelope.sender is None else str(envelope.sender),
            **fields,
        )


class _closing:  # noqa: N801 - as contextlib.closing, for whom Spool lacks nothing but a type
    """Closes a spool that the queue did not take over."""

    __slots__ = ("_spool",)

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __enter__(self) -> Spool:
        return self._spool

    def __exit__(self, *_: object) -> None:
        self._spool.close()


def _telling(refusals: Sequence[Refusal]) -> Refusal:
    """When nobody is left, the reason that says most about what to do: a limit, then what may pass, then the first."""
    limits = [one for one in refusals if one.enhanced == "4.7.1"]
    passing = [one for one in refusals if one.temporary]
    return (limits or passing or list(refusals))[0]


def _asked(request: Request, caller: Caller, digest: bytes) -> _Asked:
    """Raises Problem 400."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return _Asked(caller, b"", digest)
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise Problem(400, "bad_key", "Idempotency-Key is one word of up to 255 ASCII characters")
    key = sha256(f"{caller.account.id}\0{keys[0]}".encode()).digest()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    whole = sha256(b"%b\0%b\0%b" % (digest, kind.encode(), request.url.query.encode())).digest()
    return _Asked(caller, key, whole)


def _envelope(request: Request) -> orders.Envelope:
    """Raises Problem 422."""
    query = request.query_params
    unknown = set(query) - {"from", "to", "send_at", "require_tls"}
    if unknown:
        raise Problem(422, "bad_field", f"{min(unknown)[:80]!r} is nothing the query may say", field="query")
    flag = query.get("require_tls", "false").lower()
    if flag not in {"true", "false"}:
        raise Problem(422, "bad_field", "require_tls is true or false", field="require_tls")
    return orders.Envelope(query.get("from", ""), tuple(query.getlist("to")), query.get("send_at", ""), flag == "true")


def _accepted(answer: bytes, *, replayed: bool = False) -> Response:
    place = msgspec.json.decode(answer, type=Accepted).id
    headers = {"location": f"/api/v1/messages/{place}", "cache-control": "no-store"}
    if replayed:
        headers["idempotent-replayed"] = "true"
    return Response(answer, 202, headers, "application/json")


def _json(found: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(found), 200, {"cache-control": "no-store"}, "application/json")
