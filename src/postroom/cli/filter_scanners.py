"""`postroom filter scanners`: do the programs beside the filter answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, say, table
from postroom.cli.site import config_option, find_site, run

if TYPE_CHECKING:
    from postroom.config import Config


@click.command("scanners", short_help="Do ClamAV and rspamd answer.")
@json_option
@config_option
def command(as_json: bool, config_file: str | None) -> None:
    """Ask ClamAV and rspamd, as far as they are configured, whether they are there."""
    from postroom.config import ConfigError

    try:
        found = run(_look(find_site(config_file).config))
    except (ConfigError, OSError) as fault:
        raise CommandFailed(Exit.BAD_CONFIG, str(fault)) from fault
    if as_json:
        emit_json(scanners=[{"name": name, "at": at, "ok": ok, "says": says} for name, at, ok, says in found])
    else:
        table(
            ("SCANNER", "AT", "STATE", "SAYS"),
            [(name, at, "ok" if ok else "fails", says) for name, at, ok, says in found],
        )
        if not found:
            say("none is configured: see [clamav] and [rspamd], postroom config describe")
    if not all(ok for _, _, ok, _ in found):
        raise CommandFailed(Exit.UNREACHABLE, "a scanner does not answer")


async def _look(config: Config) -> list[tuple[str, str, bool, str]]:
    """Name, place, does it answer, and what it says. Raises ConfigError, OSError."""
    from postroom.app.scanning import make_clamav, make_rspamd
    from postroom.filter.health import ScannerFailed

    found: list[tuple[str, str, bool, str]] = []
    clamav, rspamd = make_clamav(config), make_rspamd(config)
    if clamav is not None:
        try:
            await clamav.ping()
            found.append(("clamav", config.clamav.socket, True, await clamav.version()))
        except ScannerFailed as fault:
            found.append(("clamav", config.clamav.socket, False, str(fault)))
    if rspamd is not None:
        try:
            await rspamd.ping()
            found.append(("rspamd", config.rspamd.url, True, config.rspamd.mode.value))
        except ScannerFailed as fault:
            found.append(("rspamd", config.rspamd.url, False, str(fault)))
        rspamd.close()
    return found
