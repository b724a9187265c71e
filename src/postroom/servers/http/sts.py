"""The MTA-STS policy of the domains hosted here: /.well-known/mta-sts.txt at mta-sts. and the domain.

Owns: nothing. Trusts: nothing of the Host field but that it may name a domain.
Standards: RFC 8461 3.2, 3.3 (text/plain at a fixed place), 8.3 (a policy is taken back by mode: none, not by silence).
On failure: 404 for a host that is none of ours, 503 when the directory cannot be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from postroom.store.api import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

_PREFIX: Final = "mta-sts."


def sts_route(policy: str, is_hosted: Callable[[str], Awaitable[bool]]) -> BaseRoute:
    """The page. policy: the text, of all domains; is_hosted: is that domain one of ours?"""

    async def show(request: Request) -> Response:
        host = (request.url.hostname or "").lower().removesuffix(".")
        domain = host.removeprefix(_PREFIX)
        try:
            ours = domain != host and await is_hosted(domain)
        except StoreError:
            return PlainTextResponse("The directory cannot be read\n", 503)
        if not ours:
            return PlainTextResponse("There is no policy for this host\n", 404)
        return PlainTextResponse(policy)

    return Route("/.well-known/mta-sts.txt", show)
