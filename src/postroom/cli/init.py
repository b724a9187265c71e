"""`postroom init`: a commented configuration, a data folder, a first certificate."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say

#: protocol, port, TLS
STANDARD = (
    ("smtp", 25, "starttls"),
    ("submission", 587, "starttls"),
    ("submission", 465, "implicit"),
    ("imap", 143, "starttls"),
    ("imap", 993, "implicit"),
    ("pop3", 110, "starttls"),
    ("pop3", 995, "implicit"),
    ("managesieve", 4190, "starttls"),
)


@click.command()
@click.argument("place", type=click.Path(file_okay=False), metavar="FOLDER")
@click.option("--hostname", default="", help="Name of this server in DNS. [this machine's name]")
@click.option("--domain", "domains", multiple=True, help="Host this domain at once; may be repeated.")
@click.option("--address", default="::", show_default=True, help="Address to listen on; :: is every address.")
@click.option(
    "--port-offset",
    type=click.IntRange(0, 65535 - max(port for _, port, _ in STANDARD)),
    default=0,
    show_default=True,
    help="Added to the standard ports (25 becomes 10025 with 10000).",
)
@json_option
def command(place: str, hostname: str, domains: tuple[str, ...], address: str, port_offset: int, as_json: bool) -> None:
    """Write FOLDER/postroom.toml with every option explained, make FOLDER/data, and a self-made certificate.

    Nothing that is there already is changed. Replace the certificate by one that clients trust.
    """
    from postroom.config import Config, Listener, Protocol, Server, Tls, TlsMode, sample
    from postroom.net.tls import write_self_signed

    if not place:  # of a variable that is not set, likely
        raise click.BadParameter('name the folder; "." is this one', param_hint="FOLDER")
    folder = Path(place)
    path = folder / "postroom.toml"
    if path.exists():
        raise CommandFailed(
            Exit.NO_CHANGE, f"{path} is there already", f"Look it over: postroom config check --config {path}"
        )
    hostname = hostname or socket.getfqdn()
    for domain in domains:
        _check_domain(domain)
    config = Config(
        server=Server(hostname=hostname, data="data"),
        tls=Tls(certificate="certificate.pem", key="key.pem"),
        listener=tuple(
            Listener(protocol=Protocol(protocol), port=port + port_offset, address=address, tls=TlsMode(tls))
            for protocol, port, tls in STANDARD
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    if not (folder / "certificate.pem").exists():
        names = (hostname, *domains)
        write_self_signed(folder / "certificate.pem", folder / "key.pem", names, 365, datetime.now(UTC))
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(made, "w") as file:
        file.write(sample(config))
    asyncio.run(_host(path, domains))
    if as_json:
        emit_json(config=str(path), data=str(folder / "data"), hostname=hostname, domains=list(domains))
        return
    first = domains[0] if domains else "example.org"
    say(f"{path} is written; every option is explained in it. Next:")
    if not domains:
        say(f"  postroom domain add {first} --config {path}")
    say(f"  postroom user add ann@{first} --config {path}")
    say(f"  postroom dns show {first} --config {path}")
    say(f"  postroom serve --config {path}")
    say(f"The certificate is self-made: put one that clients trust in {folder}/certificate.pem and key.pem.")


def _check_domain(name: str) -> None:
    """Before anything is written."""
    from postroom.values.address import BadAddress, parse_domain

    try:
        parse_domain(name)
    except BadAddress:
        raise click.BadParameter(f"{name!r} is no domain name", param_hint="--domain") from None


async def _host(path: Path, domains: tuple[str, ...]) -> None:
    """The domains named on the command line."""
    from postroom.cli.people import directory
    from postroom.cli.site import find_site
    from postroom.identity.rotation import Rotation
    from postroom.values.clock import SystemClock

    site = find_site(str(path))
    async with directory(site) as (people, store):
        rotation = Rotation(store.directory, site.config.signing, SystemClock())
        for domain in domains:
            await rotation.begin((await people.add_domain(domain)).name)
