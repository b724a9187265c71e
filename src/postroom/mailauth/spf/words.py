"""The reason of an SPF result in one sentence for an administrator."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.mailauth.spf.result import Result

_MOST_TERMS = 8


def _listed(terms: Sequence[str]) -> str:
    if not terms:
        return ""
    more = f" and {len(terms) - _MOST_TERMS} more" if len(terms) > _MOST_TERMS else ""
    return f"; looked at: {', '.join(terms[:_MOST_TERMS])}{more}"


def reason_for(ip: str, domain: str, where: str, decided: tuple[Result, str, Sequence[str]]) -> str:
    """A sentence. where: the domain whose record decided. decided: the result, the directive as published ("" when the
    record ended), and the directives that did not match before it."""
    result, term, seen = decided
    whose = "its record" if where == domain else f"the record of {where}, which it points to,"
    everybody = term.lstrip("+-~?").lower() == "all"
    how = f"ends in {term}{_listed(seen)}" if everybody else f"says {term}"
    if result is Result.PASS:
        return f"{ip} may send for {domain}: {whose} {'allows everybody' if everybody else f'lists it by {term}'}"
    if result is Result.FAIL:
        return f"{ip} is not allowed by {domain}: {whose} {how}"
    if result is Result.SOFTFAIL:
        return f"{ip} is probably not allowed by {domain}: {whose} {how}"
    if not term:
        return f"{domain} leaves open whether {ip} may send: {whose} ends without saying{_listed(seen)}"
    return f"{domain} leaves open whether {ip} may send: {whose} {how}"
