"""What is served over HTTP, and by which listener: the one place where routes are put together.

`http` listeners are for everybody: what belongs there is added in `public_routes`. `metrics` listeners are for the
administrator's machines. Nothing of HTTP is imported when no such listener is configured: it costs 7 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postroom.config import Config
from postroom.config import Protocol as Spoken

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from postroom.app.rooms import Core
    from postroom.intake.service import Intake
    from postroom.policy import ConnectionGate
    from postroom.servers.http import HttpLimits, HttpService
    from postroom.servers.login import Logins

_KINDS = (Spoken.HTTP, Spoken.METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways in that HTTP shares with the other protocols."""

    gate: ConnectionGate
    intake: Intake
    logins: Logins


def kinds(config: Config) -> list[Spoken]:
    """The kinds of HTTP listeners that are configured."""
    spoken = {listener.protocol for listener in config.listener}
    return [kind for kind in _KINDS if kind in spoken]


def load_http(config: Config) -> None:
    """Import what HTTP needs, if it is needed, before the processes are forked."""
    if kinds(config):
        import postroom.app.health
        import postroom.app.metrics
        import postroom.servers.http
        import postroom.servers.http.ops
        import postroom.servers.http.sts

        if Spoken.HTTP in kinds(config) and config.api.enabled:
            import postroom.servers.http.api  # noqa: F401


def http_services(core: Core, config: Config, ways: Ways) -> Mapping[str, HttpService]:
    """A service for each kind of HTTP listener."""
    wanted = kinds(config)
    if not wanted:
        return {}
    from postroom.servers.http import HttpService, Rooms

    rooms = Rooms(gate=ways.gate, log=core.events)
    made = {}
    if Spoken.HTTP in wanted:
        made["http"] = HttpService("http", rooms, public_routes(core, config, ways), _public_limits(config))
    if Spoken.METRICS in wanted:
        made["metrics"] = HttpService("metrics", rooms, private_routes(core, config))
    return made


def _public_limits(config: Config) -> HttpLimits:
    """Bodies are as large as messages where messages are taken; who may send them is asked before they are read."""
    from postroom.servers.http import HttpLimits

    if not config.api.enabled:
        return HttpLimits()
    from postroom.servers.http.messages import JSON_OCTETS

    return HttpLimits(body=max(config.limits.message_size, JSON_OCTETS) + 64 * 1024)


def public_routes(core: Core, config: Config, ways: Ways) -> list[BaseRoute]:
    """What everybody may ask for."""
    from postroom.app.facts import site_facts
    from postroom.identity.records import sts_policy
    from postroom.servers.http.autoconfig import autoconfig_routes
    from postroom.servers.http.sts import sts_route

    site = site_facts(config)
    policies = sts_route(sts_policy(site), core.identity.is_hosted)
    programs = autoconfig_routes(site.hostname, site.services, core.identity.is_hosted)
    return [policies, *programs, *(_api(core, config, ways) if config.api.enabled else ())]


def _api(core: Core, config: Config, ways: Ways) -> list[BaseRoute]:
    """Sending by programs."""
    from postroom.servers.http.access import Access
    from postroom.servers.http.api import routes
    from postroom.servers.http.fates import Fates
    from postroom.servers.http.messages import Messages, Rooms

    rooms = Rooms(
        access=Access(ways.logins, core.clock.now),
        intake=ways.intake,
        store=core.store,
        clock=core.clock,
        log=core.events,
        fates=Fates(store=core.store, clock=core.clock, log=core.events),
    )
    return routes(Messages(rooms, config))


def private_routes(core: Core, config: Config) -> list[BaseRoute]:
    """What the administrator's machines ask for."""
    from postroom.app.health import Health
    from postroom.app.metrics import page
    from postroom.observe.exposition import CONTENT_TYPE
    from postroom.servers.http.ops import routes

    health = Health(core, config)

    async def metrics() -> str:
        return page(core, config, await core.store.alarms.open())

    return routes(metrics, health.checks, CONTENT_TYPE)
