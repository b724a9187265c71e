"""The HTTP interface on a real socket, with a real store, identity, intake, limits and queue; nothing leaves."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import random
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postroom.config import Config, Limits, Listener, Passwords, Protocol, Sending, Server, Tls, TlsMode
from postroom.identity.directory import Directory
from postroom.identity.hashing import InlineHasher
from postroom.identity.rotation import Rotation
from postroom.identity.service import Identity
from postroom.identity.tokens import Wish, make
from postroom.intake.rooms import Rooms as IntakeRooms
from postroom.intake.service import Intake
from postroom.intake.signing import Signer
from postroom.net import Certificates, Link, LinkOptions, Wheel, bind, serve
from postroom.observe.catalogue import KEPT
from postroom.policy.outgoing import Outgoing
from postroom.queue.ids import Ids
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.servers.http import HttpLimits, HttpService, Rooms
from postroom.servers.http.access import Access
from postroom.servers.http.api import routes
from postroom.servers.http.fates import Fates
from postroom.servers.http.messages import Messages
from postroom.servers.http.messages import Rooms as MessageRooms
from postroom.servers.login import Logins
from postroom.store.api import Entry, QueueFilter
from postroom.store.embedded import EmbeddedStore
from postroom.testing.mailflow import Events
from postroom.values.clock import SystemClock

from .house import Policy

PASSWORD = "correct horse"
PASSWORDS = Passwords(memory_kib=8, passes=1, plaintext_on_loopback=True)
ANN = "ann@here.test"


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Kept(Events):
    """Events that are found again, as a worker keeps them."""

    def __init__(self, store: EmbeddedStore) -> None:
        super().__init__()
        self._store = store

    def __call__(self, name: str, /, **fields: object) -> None:
        super().__call__(name, **fields)
        if name in KEPT:
            self._store.events.add(time.time(), name, fields)


@dataclass
class ApiHouse:
    folder: Path
    tls: Tls | None = None
    limits: HttpLimits = field(default_factory=lambda: HttpLimits(body=64 * 1024 * 1024))
    config: Config = field(
        default_factory=lambda: Config(
            server=Server(hostname="mx.here.test"),
            passwords=PASSWORDS,
            limits=Limits(message_size=8 * 1024 * 1024),
            sending=Sending(account_messages_per_day=3),
        )
    )
    tokens: dict[str, str] = field(default_factory=dict)

    async def start(self) -> None:
        self.clock = SystemClock()
        self.store = EmbeddedStore(self.folder, clock=self.clock)
        self.events, self.policy = Kept(self.store), Policy()
        self.policy.most_failures = 3
        directory = Directory(self.store, InlineHasher(PASSWORDS), self.clock, PASSWORDS)
        await directory.add_domain("here.test")
        await Rotation(self.store.directory, self.config.signing, self.clock).begin("here.test")
        for name in ("ann", "ben"):
            row = await directory.add_account(f"{name}@here.test", PASSWORD)
            for scope in ("send", "read-events"):
                text, token = make(row, Wish(scopes=(scope,)), 0.0, random.randbytes(32))
                await self.store.directory.put_token(token)
                self.tokens[f"{name} {scope}"] = text
        self.wheel = Wheel(resolution=0.05)
        self.links: list[Link] = []
        self.service = HttpService(
            "http", Rooms(gate=self.policy, log=self.events), routes(self._messages()), self.limits
        )
        listener = Listener(protocol=Protocol.HTTP, port=0, tls=TlsMode.IMPLICIT if self.tls else TlsMode.NONE)
        sock = bind(listener)
        self.port = sock.getsockname()[1]

        def driver(link: Link) -> Any:
            self.links.append(link)
            return self.service.driver(link, listener)

        self.certificates = Certificates(self.tls) if self.tls else None
        self.server = await serve(sock, listener, driver, LinkOptions(wheel=self.wheel, tls=self.certificates))

    def _messages(self) -> Messages:
        identity = Identity(self.store.directory, InlineHasher(PASSWORDS), self.clock, PASSWORDS)
        ids = Ids(self.clock, random.getrandbits)
        self.queue = Queue(self.store.queue, ids, Schedule(jitter=random.random), self.clock, None, self.events)  # type: ignore[arg-type]
        stores = (self.store.limits, self.store.directory)
        outgoing = Outgoing(self.config.sending, stores, self.clock, self.events, lambda notice: None)
        intake = Intake(
            IntakeRooms(
                store=self.store,
                queue=self.queue,
                identity=identity,
                clock=self.clock,
                outgoing=outgoing,
                signer=Signer(self.store.directory, self.events, enabled=True),
            ),
            self.config,
        )
        logins = Logins(
            service="http",
            identity=identity,
            throttle=self.policy,
            log=self.events,
            nonce=lambda: "n" * 24,
            decoy=b"decoy",
            plaintext_on_loopback=True,
        )
        return Messages(
            MessageRooms(
                access=Access(logins, self.clock.now),
                intake=intake,
                store=self.store,
                clock=self.clock,
                log=self.events,
                fates=Fates(store=self.store, clock=self.clock, log=self.events),
            ),
            self.config,
        )

    async def stop(self) -> None:
        self.server.close()
        self.service.stop()
        for link in self.links:
            link.abort()
        await asyncio.wait_for(self.service.settled(), 5)
        self.wheel.stop()
        await self.store.close()

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request as ann with the scope send, unless headers say otherwise."""
        return await asyncio.to_thread(self._ask, method, path, body, headers)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("Authorization", f"Bearer {self.tokens['ann send']}")
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        connection: http.client.HTTPConnection
        if self.tls:
            context = ssl.create_default_context(cafile=self.tls.certificate)
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name: value for name, value in given.items() if value})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    async def send(self, headers: dict[str, str] | None = None, /, **order: Any) -> Answer:
        """POST an order from ann to ben."""
        usual = {"from": ANN, "to": ["ben@here.test"], "subject": "Hi", "text": "hello"}
        given = {name.rstrip("_"): value for name, value in order.items()}
        return await self.ask("POST", "/api/v1/messages", usual | given, **(headers or {}))

    async def queued(self) -> list[Entry]:
        return await self.store.queue.entries(QueueFilter())


def basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
