"""What a program is told when something cannot be done: a problem it can read, and words for its owner.

Owns: the HTTP status of each refusal. Standards: RFC 9457 (problem details), RFC 9110 15, RFC 6585 4 (429),
RFC 9110 10.2.3 (Retry-After), RFC 9110 11.6.1 (WWW-Authenticate).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

from postroom.values.refusal import Refusal

TYPE: Final = "application/problem+json"
#: seconds after which to try again, when nobody knows better
SOON: Final = 30.0
_TITLES: Final = {
    400: "The request cannot be read",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "Not a method of this resource",
    409: "Not now, or not any more",
    413: "Too large",
    415: "Not a type that is understood",
    422: "The message cannot be sent like that",
    429: "Too many",
    503: "Not possible at the moment",
}


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem as it is written. kind: one word for programs; code, enhanced: as SMTP would say it."""

    title: str
    status: int
    detail: str
    kind: str
    field: str = ""
    code: int = 0
    enhanced: str = ""
    refused: tuple[Mapping[str, Any], ...] = ()


class Problem(Exception):
    """The request ends here. detail: a sentence; field: which part of the request; retry_in: seconds, 0 for never."""

    def __init__(
        self, status: int, kind: str, detail: str, *, field: str = "", retry_in: float = 0.0, **more: Any
    ) -> None:
        """more: code, enhanced, refused."""
        super().__init__(detail)
        self.status = status
        self.retry_in = retry_in
        self.said = Said(
            title=_TITLES.get(status, "Problem"), status=status, detail=detail, kind=kind, field=field, **more
        )

    def response(self) -> Response:
        """What is sent."""
        headers = {"cache-control": "no-store"}
        if self.retry_in > 0:
            headers["retry-after"] = str(math.ceil(self.retry_in))
        answer = Response(msgspec.json.encode(self.said), self.status, headers, TYPE)
        if self.status == 401:
            for scheme in ("Bearer", "Basic"):
                more = ', charset="UTF-8"' if scheme == "Basic" else ""  # RFC 7617 2.1
                answer.headers.append("www-authenticate", f'{scheme} realm="Postroom"{more}')
        return answer


def of_refusal(refusal: Refusal, **more: Any) -> Problem:
    """A refusal of intake as HTTP says it."""
    status, kind = _status(refusal)
    retry_in = refusal.retry_in or (SOON if status == 503 else 0.0)
    return Problem(
        status, kind, refusal.public, retry_in=retry_in, code=refusal.code, enhanced=refusal.enhanced, **more
    )


def _status(refusal: Refusal) -> tuple[int, str]:
    if refusal.enhanced == "5.3.4":
        return 413, "too_large"
    if refusal.enhanced == "5.7.1":
        return 403, "not_allowed"
    if refusal.enhanced == "4.7.1":
        return 429, "sending_limit"
    return (503, "unavailable") if refusal.temporary else (422, "refused")
