"""The routes of the interface for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from postroom import __version__
from postroom.servers.http.messages import Messages
from postroom.servers.http.openapi import document

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute


def routes(messages: Messages) -> list[BaseRoute]:
    """POST /api/v1/messages, GET and DELETE /api/v1/messages/ID, GET /api/v1/openapi.json."""
    described = document(__version__)

    async def describe(request: Request) -> Response:
        return Response(described, headers={"cache-control": "max-age=3600"}, media_type="application/json")

    return [
        Route("/api/v1/messages", messages.endpoint(messages.send), methods=["POST"]),
        Route("/api/v1/messages/{id}", messages.endpoint(messages.show), methods=["GET"]),
        Route("/api/v1/messages/{id}", messages.endpoint(messages.cancel), methods=["DELETE"]),
        Route("/api/v1/openapi.json", describe),
    ]
