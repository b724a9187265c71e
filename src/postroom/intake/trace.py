"""The Received field that says how a message came to us.

Owns: nothing. Trusts: nothing of what the peer said; its name is printed only when it is harmless.
Standards: RFC 5321 4.4 (Time-stamp-line), RFC 3848 and RFC 6531 4.3 (the WITH protocols), RFC 5322 3.3 (dates).
On failure: nothing raises.
"""

from __future__ import annotations

import re
import time

from postroom.intake.model import Envelope, Peer

_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[0-9A-Za-z:.]{2,60}\])")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def date_time(now: float) -> str:
    """`now` (Unix seconds) as RFC 5322 3.3 date-time in UTC."""
    t = time.gmtime(now)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"
    )


def day_of(moment: float) -> str:
    """The UTC day of `moment` (Unix seconds) at its beginning, as RFC 3339 5.6 writes it."""
    return time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(moment))


def address_literal(ip: str) -> str:
    """RFC 5321 4.1.3."""
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def protocol(peer: Peer, smtputf8: bool) -> str:
    """The WITH protocol: RFC 3848 (S for TLS, A for AUTH), RFC 6531 4.3; HTTP, as it is usually called."""
    if peer.over:
        return peer.over.upper()
    if not peer.extended:
        return "SMTP"
    transport = "LMTP" if peer.service == "lmtp" else "SMTP"
    name = f"UTF8{transport}" if smtputf8 else transport.replace("SMTP", "ESMTP")
    return f"{name}{'S' if peer.tls else ''}{'A' if peer.account else ''}"


def received(peer: Peer, envelope: Envelope, hostname: str, entry: str, date: str) -> bytes:
    """The whole field with its line ends. entry: the queue id; date: as `date_time` prints it."""
    literal = address_literal(peer.ip)
    name = peer.helo if _NAME.fullmatch(peer.helo) else literal
    found = envelope.standing.iprev if envelope.standing is not None else None
    # RFC 5321 4.4 TCP-info: the name only when it leads back to the address
    info = f"{found.name} {literal}" if found is not None and _NAME.fullmatch(found.name) else literal
    tls = f" ({peer.tls})" if peer.tls else ""
    # RFC 5321 4.4 and 7.2: FOR names exactly one path; naming one of several would tell on blind copies
    only = f"\r\n\tfor <{envelope.given[0].address}>" if len(envelope.given) == 1 else ""
    field = (
        f"Received: from {name} ({info})\r\n\tby {hostname} with {protocol(peer, envelope.mail.smtputf8)}{tls}"
        f" id {entry}{only};\r\n\t{date}\r\n"
    )
    return field.encode("utf-8", "replace")
