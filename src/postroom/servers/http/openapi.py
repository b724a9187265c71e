"""The interface described for programs: OpenAPI 3.1, made of the structs that requests are read into.

Owns: the words about each operation. Standards: OpenAPI 3.1.0, JSON Schema 2020-12.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from postroom.identity.tokens import SCOPES
from postroom.servers.http.fates import Fate
from postroom.servers.http.orders import FIELDS, Accepted, Order
from postroom.servers.http.problems import TYPE, Said

_PROBLEMS: Final = {
    "400": "the request cannot be read",
    "401": "no credentials, or wrong ones",
    "403": "not over TLS, not your address, a frozen account, or a token without the scope",
    "404": "you have sent no such message",
    "409": "a request with this key is under way, or the message does not wait any more",
    "413": "larger than the server takes",
    "415": "neither application/json nor message/rfc822",
    "422": "understood, and cannot be sent like that: see field, code and detail",
    "429": "a sending limit is reached, or too many failed log-ins: see Retry-After",
    "503": "try again later: see Retry-After",
}


def document(version: str) -> bytes:
    """The document as JSON. version: of the server."""
    schemas, components = msgspec.json.schema_components(
        [Order, Accepted, Fate, Said], ref_template="#/components/schemas/{name}"
    )
    order, accepted, fate, said = schemas
    components["Problem"] = components.pop("Said")
    said = {"$ref": "#/components/schemas/Problem"}
    return msgspec.json.encode({
        "openapi": "3.1.0",
        "info": {
            "title": "Postroom",
            "version": version,
            "description": "Sending mail over HTTP. What is promised is in docs/api.md.",
        },
        "security": [{"token": []}, {"password": []}],
        "paths": {
            "/api/v1/messages": {"post": _send(order, accepted, said)},
            "/api/v1/messages/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "get": _operation("showMessage", "What became of a message", fate, said, "401 403 404 429 503"),
                "delete": _operation(
                    "cancelMessage", "Take a message back while it waits", fate, said, "401 403 404 409 429 503"
                ),
            },
        },
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"postroom user token add LOGIN; scopes: {', '.join(SCOPES)}",
                },
                "password": {"type": "http", "scheme": "basic", "description": "login and password"},
            },
        },
    })  # fmt: skip


def _send(order: Any, accepted: Any, said: Any) -> dict[str, Any]:
    operation = _operation(
        "sendMessage", "Send a message", accepted, said, "400 401 403 409 413 415 422 429 503", code="202"
    )
    operation["description"] = (
        "202 is said when the message is in the queue for good. Header fields that may be set besides X-...: "
        + ", ".join(sorted(FIELDS))
    )
    operation["parameters"] = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key within 24 hours gives the same answer, and nothing is sent twice.",
            "schema": {"type": "string", "maxLength": 255},
        },
        *(
            {"name": name, "in": "query", "description": f"message/rfc822 only: {text}", "schema": schema}
            for name, text, schema in (
                ("from", "envelope sender; else From", {"type": "string"}),
                ("to", "recipients; else To, Cc and Bcc", {"type": "array", "items": {"type": "string"}}),
                ("send_at", "not before this moment", {"type": "string", "format": "date-time"}),
                ("require_tls", "RFC 8689", {"type": "boolean"}),
            )
        ),
    ]
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": order}, "message/rfc822": {"schema": {"type": "string"}}},
    }
    return operation


def _operation(
    name: str, summary: str, answer: Any, said: Any, problems: str, *, code: str = "200"
) -> dict[str, Any]:  # fmt: skip
    responses: dict[str, Any] = {code: {"description": summary, "content": {"application/json": {"schema": answer}}}}
    for status in problems.split():
        responses[status] = {"description": _PROBLEMS[status], "content": {TYPE: {"schema": said}}}
    return {"operationId": name, "summary": summary, "responses": responses}
