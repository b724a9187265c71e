"""What machines ask of a server: /metrics, /health/live, /health/ready. For the "metrics" listener only.

Owns: nothing. The numbers and the checks come from the composition root.
Standards: Prometheus text format 0.0.4.
On failure: 503 with the reasons when the server is not ready.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute


class Check(Struct, frozen=True):
    """How it stands with one part of the server. ok: it works; text: what is wrong, or what to know."""

    name: str
    ok: bool
    text: str = ""


#: the page of /metrics
Metrics = Callable[[], Awaitable[str]]
#: every check, made now or a moment ago
Checks = Callable[[], Awaitable[Sequence[Check]]]

_NO_STORE = {"cache-control": "no-store"}


def routes(metrics: Metrics, checks: Checks, content_type: str) -> list[BaseRoute]:
    """The three pages, and a list of them."""

    async def show_metrics(request: Request) -> Response:
        return Response(await metrics(), headers=_NO_STORE, media_type=content_type)

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"}, headers=_NO_STORE)

    async def ready(request: Request) -> Response:
        found = await checks()
        well = all(check.ok for check in found)
        told = {check.name: {"ok": check.ok, "text": check.text} for check in found}
        status = {"status": "ready" if well else "not ready", "checks": told}
        return JSONResponse(status, 200 if well else 503, headers=_NO_STORE)

    async def index(request: Request) -> Response:
        return PlainTextResponse("/metrics\n/health/live\n/health/ready\n")

    return [
        Route("/", index),
        Route("/metrics", show_metrics),
        Route("/health/live", live),
        Route("/health/ready", ready),
    ]
