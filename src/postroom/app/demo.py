"""`postroom demo`: the whole system on loopback with a sample domain, accounts and mail.

No root, no DNS, no network: ports are the standard ones plus an offset, the certificate is self-made, and everything
lies in one folder: postroom.toml, certificate.pem, key.pem, demo.json (the passwords), data/. A kept folder is used
again as it is.
On failure: what `serve` raises; a temporary folder is removed in any case.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from postroom.app.samples import samples, stamped
from postroom.app.serve import Served, serve
from postroom.config import (
    Authentication,
    Check,
    Config,
    Limits,
    Listener,
    Log,
    Peers,
    Protocol,
    Relay,
    Server,
    Tls,
    TlsMode,
    sample,
)
from postroom.identity.directory import Directory
from postroom.identity.groups import Groups
from postroom.identity.hashing import InlineHasher
from postroom.identity.rotation import Rotation
from postroom.mailbox import acl
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.members import ROLES, join
from postroom.mailbox.service import Mailboxes
from postroom.net.tls import write_self_signed
from postroom.store.api import FlagOp, RightsChange
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content

DOMAIN = "postroom.test"
PEOPLE = (("ann", "Ann Archer"), ("ben", "Ben Baker"), ("carla", "Carla Gómez"))
#: a mailbox without a log-in, and the group of those who read it and send as it
SHARED, GROUP, MEMBERS = f"support@{DOMAIN}", f"team@{DOMAIN}", ("ann", "ben")

#: service: (standard port, protocol, TLS)
SERVICES = {
    "smtp": (25, Protocol.SMTP, TlsMode.STARTTLS),
    "submission": (587, Protocol.SUBMISSION, TlsMode.STARTTLS),
    "submissions": (465, Protocol.SUBMISSION, TlsMode.IMPLICIT),
    "lmtp": (24, Protocol.LMTP, TlsMode.NONE),
    "imap": (143, Protocol.IMAP, TlsMode.STARTTLS),
    "imaps": (993, Protocol.IMAP, TlsMode.IMPLICIT),
    "pop3": (110, Protocol.POP3, TlsMode.STARTTLS),
    "pop3s": (995, Protocol.POP3, TlsMode.IMPLICIT),
    "managesieve": (4190, Protocol.MANAGESIEVE, TlsMode.STARTTLS),
    "https": (443, Protocol.HTTP, TlsMode.IMPLICIT),
    "metrics": (9464, Protocol.METRICS, TlsMode.NONE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that answers."""

    host: str
    ports: dict[str, int]
    domain: str
    users: list[dict[str, str]]
    shared: list[str]
    certificate: str
    data: str
    pids: list[int]
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a demo is to be like. keep: a folder to stay in; dns: a server to ask who sent mail, "" for no checks."""

    keep: Path | None = None
    port_offset: int = 10000
    workers: int = 2
    dns: str = ""


def run_demo(wishes: Wishes, announce: Callable[[Demo], None]) -> int:
    """Prepare the folder, serve until a signal comes, and tidy up. announce: called once everything answers."""
    keep = wishes.keep
    folder = keep or Path(tempfile.mkdtemp(prefix="postroom-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        config = _config(folder, wishes)
        path = folder / "postroom.toml"
        path.write_text(sample(config))
        if not (folder / "certificate.pem").exists():
            names = ("localhost", "127.0.0.1", DOMAIN)
            write_self_signed(folder / "certificate.pem", folder / "key.pem", names, 365, datetime.now(UTC))
        users = asyncio.run(_prepare(folder, config))
        return serve(config, path, lambda served: announce(_answering(served, folder, users)))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path, wishes: Wishes) -> Config:
    offset = wishes.port_offset
    listeners = tuple(
        Listener(protocol=protocol, port=port + offset, tls=tls) for port, protocol, tls in SERVICES.values()
    )
    dns = (wishes.dns,) * bool(wishes.dns)
    return Config(
        server=Server(hostname="localhost", data=str(folder / "data"), workers=wishes.workers, dns=dns),
        listener=listeners,
        tls=Tls(certificate=str(folder / "certificate.pem"), key=str(folder / "key.pem")),
        limits=Limits(),
        relay=Relay(direct=False),  # a demo never touches the network: mail for other domains waits
        authentication=Authentication(verify=bool(wishes.dns)),  # it needs the DNS
        peers=Peers(reverse_name=Check.MARK if wishes.dns else Check.OFF),
        log=Log(file=str(folder / "server.log")),
    )


async def _prepare(folder: Path, config: Config) -> list[dict[str, str]]:
    """Sample accounts and mail at the first start; the accounts' log-ins and passwords."""
    known = folder / "demo.json"
    if known.exists():
        users: list[dict[str, str]] = json.loads(known.read_text())
        return users
    users = [{"login": f"{name}@{DOMAIN}", "password": secrets.token_urlsafe(9)} for name, _ in PEOPLE]
    store = EmbeddedStore(config.server.data)
    try:
        directory = Directory(store, InlineHasher(config.passwords), SystemClock(), config.passwords)
        await directory.add_domain(DOMAIN)
        await Rotation(store.directory, config.signing, SystemClock()).begin(DOMAIN)
        for user, (_, name) in zip(users, PEOPLE, strict=True):
            await directory.add_account(user["login"], user["password"], name=name)
        await _share(store, directory)
        await _fill(store)
    finally:
        await store.close()
    known.touch(mode=0o600)
    known.write_text(json.dumps(users))
    return users


async def _share(store: EmbeddedStore, directory: Directory) -> None:
    """The shared mailbox, and a mailbox of Carla's that Ann may read."""
    group = await Groups(store, SystemClock()).add(GROUP, [f"{name}@{DOMAIN}" for name in MEMBERS], name="The team")
    row = await directory.add_shared(SHARED, name="Support")
    account = await store.account(row.id)
    identifier = await join(store.directory, account, row, f"group:{group.address}", ROLES["write"])
    await store.directory.put_delegate(row.id, identifier, "as")
    carla = await directory.account(f"carla@{DOMAIN}")
    account = await store.account(carla.id)
    box = await account.create("Projects")
    await acl.grant(store.directory, account, [box.id], f"ann@{DOMAIN}", RightsChange(FlagOp.REPLACE, ROLES["read"]))


async def _fill(store: EmbeddedStore) -> None:
    """Put the sample mail into the accounts."""
    clock = SystemClock()
    mailboxes = Mailboxes(store, clock, lambda: secrets.token_hex(16))
    now = clock.now()
    for number, one in enumerate(samples(DOMAIN)):
        row = await store.directory.account_by_login(f"{one.user}@{DOMAIN}")
        assert row is not None
        account = await mailboxes.open(row)
        mailbox = await account.find(one.mailbox)
        message = Incoming(
            content=Content.of(stamped(one, number, now)), internaldate=int(now - one.age), flags=one.flags
        )
        await account.append(mailbox.id, [message])


def _answering(served: Served, folder: Path, users: list[dict[str, str]]) -> Demo:
    """What to tell, after every port was seen to answer."""
    ports = dict(zip(SERVICES, served.plan.ports, strict=True))
    for name, port in ports.items():
        if name not in ("https", "metrics"):  # who speaks HTTP waits for the client
            _greet(port, implicit=SERVICES[name][2] is TlsMode.IMPLICIT)
    return Demo(
        host="127.0.0.1",
        ports=ports,
        domain=DOMAIN,
        users=users,
        shared=[SHARED],
        certificate=str(folder / "certificate.pem"),
        data=str(folder / "data"),
        pids=served.pids,
        config=str(folder / "postroom.toml"),
    )


def _greet(port: int, *, implicit: bool) -> None:
    """Wait for a greeting. Raises OSError when none comes."""
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        if not implicit:
            link.recv(1)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own port, just to see it answer
        with context.wrap_socket(link) as secure:
            secure.recv(1)
