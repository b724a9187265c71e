"""Settings for mail programs: /mail/config-v1.1.xml at autoconfig. and a hosted domain.

A program that knows an address only finds here where IMAP, POP3 and submission are. Nothing in it is secret, and it is
the same for every address of a domain.
Owns: nothing. Trusts: nothing of the request but that its host may name a domain.
Standards: none; the format is Thunderbird's (clientConfig 1.1), which other programs read too.
On failure: 404 for a host that is none of ours, 503 when the directory cannot be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from postroom.store.api import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

#: (protocol, TLS from the first octet, port)
Services = Sequence[tuple[str, bool, int]]

_PREFIX: Final = "autoconfig."
#: programs take the first they can use
_ORDER: Final = ("imap", "pop3", "submission")


def settings(domain: str, hostname: str, services: Services) -> str:
    """The document. Passwords cross the net inside TLS only, so programs may send them as they are."""
    ordered = sorted(services, key=lambda one: (_ORDER.index(one[0]) if one[0] in _ORDER else len(_ORDER), not one[1]))
    servers = "".join(_server(hostname, one) for one in ordered if one[0] in _ORDER)
    name = escape(domain)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<clientConfig version="1.1">\n'
        f'  <emailProvider id="{name}">\n    <domain>{name}</domain>\n    <displayName>{name}</displayName>\n'
        f"    <displayShortName>{name}</displayShortName>\n{servers}  </emailProvider>\n</clientConfig>\n"
    )


def _server(hostname: str, service: tuple[str, bool, int]) -> str:
    protocol, implicit, port = service
    tag, kind = ("outgoingServer", "smtp") if protocol == "submission" else ("incomingServer", protocol)
    return (
        f'    <{tag} type="{kind}">\n      <hostname>{escape(hostname)}</hostname>\n      <port>{port}</port>\n'
        f"      <socketType>{'SSL' if implicit else 'STARTTLS'}</socketType>\n"
        "      <authentication>password-cleartext</authentication>\n"
        f"      <username>%EMAILADDRESS%</username>\n    </{tag}>\n"
    )


def autoconfig_routes(
    hostname: str, services: Services, is_hosted: Callable[[str], Awaitable[bool]]
) -> list[BaseRoute]:
    """The pages. is_hosted: is that domain one of ours?"""

    async def show(request: Request) -> Response:
        host = (request.url.hostname or "").lower().removesuffix(".")
        domain = host.removeprefix(_PREFIX)
        try:
            ours = await is_hosted(domain)
        except StoreError:
            return PlainTextResponse("The directory cannot be read\n", 503)
        if not ours:
            return PlainTextResponse("There are no settings for this host\n", 404)
        return Response(settings(domain, hostname, services), media_type="text/xml")

    places = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
    return [Route(place, show) for place in places]
