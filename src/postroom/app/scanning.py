"""The programs beside the filter, as the configuration wants them: ClamAV and rspamd.

On failure: ConfigError for a place that cannot be read; OSError when the controller's password cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from postroom.config import Config, ConfigError, parse_server, parse_socket
from postroom.filter.clamav import Clamav
from postroom.filter.health import Event, Health
from postroom.filter.rspamd import Rspamd
from postroom.filter.scanners import Scanners, SpamRules, VirusRules
from postroom.wire.clamd import Found

if TYPE_CHECKING:
    from postroom.values.clock import Clock


def make_scanners(config: Config, clock: Clock, event: Event) -> Scanners | None:
    """None when there are none. Raises ConfigError, OSError."""
    clamav, rspamd = make_clamav(config), make_rspamd(config)
    if clamav is None and rspamd is None:
        return None
    return Scanners(
        (clamav, virus_rules(config), Health("clamav", clock, event)) if clamav is not None else None,
        (rspamd, spam_rules(config), Health("rspamd", clock, event)) if rspamd is not None else None,
    )


def make_clamav(config: Config) -> Clamav | None:
    """Raises ConfigError."""
    given = config.clamav
    if not given.socket:
        return None
    try:
        return Clamav(parse_socket(given.socket), given.size, given.seconds)
    except ValueError as fault:
        raise ConfigError(f"clamav.socket: {fault}") from None


def make_rspamd(config: Config) -> Rspamd | None:
    """Raises ConfigError, OSError."""
    given = config.rspamd
    if not given.url:
        return None
    try:
        controller = parse_server(given.controller) if given.controller else None
        password = Path(given.password_file).read_text("utf-8").strip() if given.password_file else ""
        return Rspamd(parse_server(given.url), given.seconds, controller, password, given.size)
    except ValueError as fault:
        raise ConfigError(f"rspamd: {fault}") from None


def virus_rules(config: Config) -> VirusRules:
    """What becomes of what clamd finds."""
    given = config.clamav
    acts = {
        Found.INFECTED: given.virus,
        Found.SUSPICIOUS: given.suspicious,
        Found.ENCRYPTED: given.encrypted,
        Found.OVERSIZED: given.oversized,
    }
    return VirusRules(acts=acts, on_failure=given.on_failure, hostname=config.server.hostname)


def spam_rules(config: Config) -> SpamRules:
    """What rspamd's answer is worth."""
    return SpamRules(mode=config.rspamd.mode, weight=config.rspamd.weight, on_failure=config.rspamd.on_failure)
