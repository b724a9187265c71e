"""What ClamAV and rspamd say of a message, asked as intake asks them, and in words also when one says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from postroom.app.scanning import make_scanners
from postroom.config import Clamav, ConfigError, Rspamd
from postroom.filter.scanners import NOTHING, Postponed, Scanned
from postroom.filter.scoring import stricter
from postroom.wire.rspamd import Question

if TYPE_CHECKING:
    from postroom.config import Config
    from postroom.values.clock import Clock
    from postroom.values.content import Content

_OFF: Final = {"clamav": "off ([clamav])", "rspamd": "off ([rspamd])"}
_LEFT_OUT: Final = "not asked (--no-scanners)"


@dataclass(frozen=True, slots=True)
class Asked:
    """found: what both say together; said: each one's answer, in words."""

    found: Scanned = NOTHING
    said: dict[str, str] = field(default_factory=dict)


async def ask(config: Config, content: Content, question: Question, clock: Clock, *, wanted: bool) -> Asked:
    """wanted: False asks nobody."""
    said, found = dict(_OFF), NOTHING
    alone = {"clamav": structs.replace(config, rspamd=Rspamd()), "rspamd": structs.replace(config, clamav=Clamav())}
    for name, one in alone.items():
        if not (one.clamav.socket or one.rspamd.url):
            continue
        if not wanted:
            said[name] = _LEFT_OUT
            continue
        answer, said[name] = await _one(name, one, (content, question), clock)
        decided = found.decided if answer.decided is None else answer.decided
        at_least = stricter(found.at_least, answer.at_least)
        found = replace(found, findings=found.findings + answer.findings, at_least=at_least, decided=decided)
    return Asked(found, said)


async def _one(name: str, config: Config, asked: tuple[Content, Question], clock: Clock) -> tuple[Scanned, str]:
    """The answer of the only scanner in this configuration."""
    try:
        scanners = make_scanners(config, clock, _unheard)
    except (ConfigError, OSError) as fault:
        return NOTHING, f"cannot be asked: {fault}"
    assert scanners is not None
    try:
        found = await scanners.scan(*asked)
    except Postponed as fault:
        return NOTHING, f"no opinion: {fault}; mail is answered 451 and comes again"
    finally:
        scanners.close()
    if "unheard" in found.told:
        return found, f"no answer, mail goes on without it: {found.told['unheard']}"
    says = found.told.get("virus" if name == "clamav" else "rspamd")
    return found, str(says or "nothing: it does not look at this message")


def _unheard(name: str, /, **fields: object) -> None:
    """A command has no log."""
