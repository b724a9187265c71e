"""`postroom demo`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option

if TYPE_CHECKING:
    from postroom.app.demo import Demo


@click.command()
@click.option(
    "--port-offset",
    type=click.IntRange(0, 65535 - 9464),
    default=10000,
    show_default=True,
    help="Added to the standard ports (25 becomes 10025).",
)
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep everything in this folder; use it again."
)
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Worker processes.")
@click.option("--dns", default="", help="Check who sent mail with this DNS server (address:port). [no checks]")
@json_option
def command(as_json: bool, **wishes: Any) -> None:
    """Run the whole system here with sample accounts and mail, until Ctrl-C.

    It needs no root, no DNS and no network, listens on loopback only, and leaves nothing behind unless --keep is given.
    """
    from postroom.app.demo import Wishes, run_demo
    from postroom.app.runfolder import AlreadyRunning
    from postroom.config.endpoints import parse_dns_server
    from postroom.net.listen import ListenError

    try:
        if wishes["dns"]:
            parse_dns_server(wishes["dns"])
    except ValueError as fault:
        raise click.BadParameter(f"{fault}; write address or address:port", param_hint="--dns") from None
    try:
        status = run_demo(Wishes(**wishes), _tell_json if as_json else _tell)
    except ListenError as fault:
        raise CommandFailed(
            Exit.FAILED, str(fault), f"Or take other ports: postroom demo --port-offset {wishes['port_offset'] + 1000}"
        ) from fault
    except AlreadyRunning as fault:
        raise CommandFailed(Exit.FAILED, str(fault), f"Stop it first: kill {fault.pid}") from fault
    if status:
        where = wishes["keep"] or "its folder; have one that stays: --keep DIR"
        raise CommandFailed(Exit(status), "the demo did not start", f"Why is in server.log in {where}")


def _tell_json(demo: Demo) -> None:
    emit_json(
        host=demo.host,
        ports=demo.ports,
        domain=demo.domain,
        users=demo.users,
        shared=demo.shared,
        certificate=demo.certificate,
        data=demo.data,
        pids=demo.pids,
    )


def _command() -> str:
    """How this program can be called again from here."""
    found = shutil.which("postroom")
    if found and Path(found).resolve() == Path(sys.argv[0]).resolve():
        return "postroom"
    return os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("postroom") else "python -m postroom.cli.main"


def _tell(demo: Demo) -> None:
    first, second = demo.users[:2]
    ports, ca = demo.ports, demo.certificate
    user = f"'{first['login']}:{first['password']}'"
    lines = ["Postroom runs. Ctrl-C ends it.", "", "Accounts"]
    lines += [f"  {one['login'].ljust(22)} {one['password']}" for one in demo.users]
    readers = f"{first['login'].partition('@')[0].title()} and {second['login'].partition('@')[0].title()}"
    lines += [f"  {one.ljust(22)} shared: {readers} have it as Shared/{one}" for one in demo.shared]
    lines += ["", "Ports on 127.0.0.1"]
    lines += [f"  {name.ljust(12)} {port}" for name, port in ports.items()]
    lines += [
        "",
        f"Certificate  {ca}",
        f"Commands     {_command()} user list --config {demo.config}",
        "",
        "Send Ann a mail from outside",
        f"  swaks --server 127.0.0.1 --port {ports['smtp']} --to {first['login']} --from me@example.net",
        "Read her newest mail",
        f"  curl --cacert {ca} -u {user} 'imaps://localhost:{ports['imaps']}/INBOX;MAILINDEX=*'",
        "Send as Ann",
        f"  printf 'From: {first['login']}\\r\\nSubject: Hello\\r\\n\\r\\nHi Ben\\r\\n' | curl --cacert {ca} -u {user} "
        f"smtps://localhost:{ports['submissions']} --mail-from {first['login']} --mail-rcpt {second['login']} -T -",
        "mutt",
        f"  mutt -e 'set ssl_force_tls certificate_file={ca}' -f "
        f"'imaps://{first['login'].replace('@', '%40')}@localhost:{ports['imaps']}/INBOX'",
        "Thunderbird",
        f"  IMAP localhost {ports['imaps']} SSL/TLS, SMTP localhost {ports['submissions']} SSL/TLS, "
        "normal password; accept the certificate",
    ]
    click.echo("\n".join(lines))
