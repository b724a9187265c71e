"""What is served over HTTP, and by which listener: the one place where routes are put together.

`http` listeners are for everybody: what belongs there is added in `public_routes`. `metrics` listeners are for the
administrator's machines. Nothing of HTTP is imported when no such listener is configured: it costs 7 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from postroom.config import Config
from postroom.config import Protocol as Spoken

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from postroom.app.rooms import Core
    from postroom.policy import ConnectionGate
    from postroom.servers.http import HttpService

_KINDS = (Spoken.HTTP, Spoken.METRICS)


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
        import postroom.servers.http.sts  # noqa: F401


def http_services(core: Core, config: Config, gate: ConnectionGate) -> Mapping[str, HttpService]:
    """A service for each kind of HTTP listener."""
    wanted = kinds(config)
    if not wanted:
        return {}
    from postroom.servers.http import HttpService, Rooms

    rooms = Rooms(gate=gate, log=core.events)
    made = {Spoken.HTTP: public_routes, Spoken.METRICS: private_routes}
    return {str(kind): HttpService(str(kind), rooms, made[kind](core, config)) for kind in wanted}


def public_routes(core: Core, config: Config) -> list[BaseRoute]:
    """What everybody may ask for."""
    from postroom.app.facts import site_facts
    from postroom.identity.records import sts_policy
    from postroom.servers.http.sts import sts_route

    return [sts_route(sts_policy(site_facts(config)), core.identity.is_hosted)]


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
