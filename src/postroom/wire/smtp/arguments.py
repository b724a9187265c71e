"""Arguments of MAIL and RCPT: paths and ESMTP parameters.

Trust: the text is a peer's, at most one command line long.
Standards: RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2; RFC 1870 (SIZE); RFC 6152 (BODY); RFC 6531 3.4 (SMTPUTF8); RFC 3461 4
(RET, ENVID, NOTIFY, ORCPT, xtext); RFC 6533 3 (utf-8 ORCPT); RFC 4954 5 (AUTH); RFC 8689 2
(REQUIRETLS); RFC 4865 (HOLDFOR, HOLDUNTIL).
On failure: Refusal with the reply to send.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from postroom.values.address import Address, BadAddress
from postroom.values.refusal import Refusal
from postroom.wire.smtp.events import Mail, Rcpt

# RFC 5321 4.1.2 allows no space after the colon; many programs send one.
_FROM = re.compile(r'FROM: ?<([^<>"\s]*)>(?: +(\S.*))?\s*', re.IGNORECASE)
_TO = re.compile(r'TO: ?<([^<>"\s]*)>(?: +(\S.*))?\s*', re.IGNORECASE)
_QUOTED = r'((?:[^<>"\s]|"(?:[^"\\]|\\.)*")*)'
_FROM_QUOTED = re.compile(rf"FROM: ?<{_QUOTED}>(?: +(\S.*))?\s*", re.IGNORECASE)
_TO_QUOTED = re.compile(rf"TO: ?<{_QUOTED}>(?: +(\S.*))?\s*", re.IGNORECASE)
# RFC 3461 4  xtext = *( xchar / hexchar ); hexchar = "+" two upper-case hex digits
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
# RFC 6533 3  utf-8-addr-unitext / utf-8-addr-xtext: \x{HEX}
_UNITEXT = re.compile(r"\\x\{(1?[0-9A-F]{1,5})\}")
_NOTIFY = frozenset(("SUCCESS", "FAILURE", "DELAY"))
_DIGITS = re.compile(r"\d{1,20}", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def parse_mail(text: str, size_limit: int, *, future: bool = False) -> Mail:
    """What follows MAIL. future: HOLDFOR and HOLDUNTIL are known (submission). Raises Refusal."""
    match = _FROM.fullmatch(text) or _FROM_QUOTED.fullmatch(text)
    if not match:
        raise Refusal(501, "5.5.4", "Write MAIL FROM:<address>, with the address in angle brackets")
    path, parameters = match[1], match[2]
    given = _parameters(parameters, FUTURE_PARAMETERS if future else MAIL_PARAMETERS) if parameters else {}
    if "hold_for" in given and "hold_until" in given:
        raise Refusal(501, "5.5.4", "HOLDFOR and HOLDUNTIL cannot both be given")
    if not text.isascii() and "smtputf8" not in given:
        raise Refusal(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8 in the MAIL command")
    sender = None
    if path:
        try:
            sender = parse_path(path)
        except BadAddress:
            raise Refusal(501, "5.1.7", "The sender is no mail address: it must be <local@domain>") from None
    mail = Mail(sender, **given)  # type: ignore[arg-type]
    if mail.size > size_limit:
        raise Refusal(552, "5.3.4", f"The message is larger than {size_limit} octets, the limit here")
    return mail


def parse_rcpt(text: str, *, smtputf8: bool, hostname: str) -> Rcpt:
    """What follows RCPT. `<postmaster>` alone means postmaster@hostname (RFC 5321 4.1.1.3). Raises Refusal."""
    match = _TO.fullmatch(text) or _TO_QUOTED.fullmatch(text)
    if not match:
        raise Refusal(501, "5.5.4", "Write RCPT TO:<address>, with the address in angle brackets")
    path, parameters = match[1], match[2]
    if not smtputf8 and not text.isascii():
        raise Refusal(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8 in the MAIL command")
    given = _parameters(parameters, RCPT_PARAMETERS) if parameters else {}
    try:
        if len(path) == 10 and path.lower() == "postmaster":
            recipient = parse_path(f"{path}@{hostname}")
        else:
            recipient = parse_path(path)
    except BadAddress:
        raise Refusal(501, "5.1.3", "The recipient is no mail address: it must be <local@domain>") from None
    return Rcpt(recipient, **given)  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def parse_path(path: str) -> Address:
    """An address as it stands between < and >; a source route is dropped (RFC 5321 4.1.1.3). Raises BadAddress."""
    if path.startswith("@"):
        path = path.partition(":")[2]
    return Address.parse(path)


def _parameters(text: str, known: dict[str, Callable[[str], tuple[str, object]]]) -> dict[str, object]:
    """esmtp-keyword ["=" esmtp-value], each once. Raises Refusal."""
    given: dict[str, object] = {}
    for word in text.split():
        keyword, _, value = word.partition("=")
        read = known.get(keyword.upper())
        if read is None:
            raise Refusal(555, "5.5.4", f"The parameter {keyword[:40]} is not known here")  # RFC 5321 4.1.1.11
        field, result = read(value)
        if field in given:
            raise Refusal(501, "5.5.4", f"{keyword.upper()} is given twice")
        given[field] = result
    return given


def _size(value: str) -> tuple[str, object]:
    # RFC 1870 3  size-value ::= 1*20DIGIT
    if not _DIGITS.fullmatch(value):
        raise Refusal(501, "5.5.4", "SIZE is a number of octets")
    return "size", int(value)


def _body(value: str) -> tuple[str, object]:
    body = value.upper()
    if body not in ("7BIT", "8BITMIME"):
        raise Refusal(501, "5.5.4", "BODY is 7BIT or 8BITMIME; BINARYMIME is not offered")
    return "body", body


def _smtputf8(value: str) -> tuple[str, object]:
    if value:
        raise Refusal(501, "5.5.4", "SMTPUTF8 takes no value")  # RFC 6531 3.4
    return "smtputf8", True


def _ret(value: str) -> tuple[str, object]:
    ret = value.upper()
    if ret not in ("FULL", "HDRS"):
        raise Refusal(501, "5.5.4", "RET is FULL or HDRS")  # RFC 3461 4.3
    return "ret", ret


def _envid(value: str) -> tuple[str, object]:
    # RFC 3461 4.4: at most 100 characters
    if not value or len(value) > 100 or not _XTEXT.fullmatch(value):
        raise Refusal(501, "5.5.4", "ENVID is xtext of at most 100 characters (RFC 3461 4.4)")
    return "envid", decode_xtext(value)


def _auth(value: str) -> tuple[str, object]:
    if not value or not _XTEXT.fullmatch(value):
        raise Refusal(501, "5.5.4", "AUTH is <> or an address in xtext (RFC 4954 5)")
    return "auth", decode_xtext(value)


def _requiretls(value: str) -> tuple[str, object]:
    if value:
        raise Refusal(501, "5.5.4", "REQUIRETLS takes no value")  # RFC 8689 2
    return "requiretls", True


def _holdfor(value: str) -> tuple[str, object]:
    if not _SECONDS.fullmatch(value):
        raise Refusal(501, "5.5.4", "HOLDFOR is a number of seconds, at most nine digits")
    return "hold_for", int(value)


def _holduntil(value: str) -> tuple[str, object]:
    try:
        if not _MOMENT.fullmatch(value):
            raise ValueError(value)
        return "hold_until", datetime.fromisoformat(value.upper()).timestamp()
    except (ValueError, OverflowError):
        raise Refusal(501, "5.5.4", "HOLDUNTIL is a time such as 2026-12-24T18:00:00Z") from None


def _notify(value: str) -> tuple[str, object]:
    # RFC 3461 4.1: NEVER alone, or any of SUCCESS, FAILURE, DELAY
    wanted = value.upper().split(",")
    if wanted != ["NEVER"] and (not set(wanted) <= _NOTIFY or len(set(wanted)) != len(wanted)):
        raise Refusal(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return "notify", ",".join(wanted)


def _orcpt(value: str) -> tuple[str, object]:
    # RFC 3461 4.2  addr-type ";" xtext, at most 500 characters
    kind, semicolon, address = value.partition(";")
    if not semicolon or not kind.isascii() or not address or len(value) > 500:
        raise Refusal(501, "5.5.4", "ORCPT is type;address, at most 500 characters (RFC 3461 4.2)")
    if kind.lower() == "utf-8":
        address = _decode_unitext(address)
    elif _XTEXT.fullmatch(address):
        address = decode_xtext(address)
    else:
        raise Refusal(501, "5.5.4", "The address in ORCPT is not xtext (RFC 3461 4.2)")
    return "orcpt", f"{kind.lower()};{address}"


def decode_xtext(text: str) -> str:
    """RFC 3461 4; hexchars that are no printable ASCII become "?": the value may be printed again."""
    if "+" not in text:
        return text
    decoded = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else re.sub(r"[^\x20-\x7e]", "?", decoded)


def encode_xtext(text: str) -> str:
    """RFC 3461 4: everything but printable ASCII without "+" and "=" as +XX."""
    if not re.search(r"[^!-*,-<>-~]", text):
        return text
    return "".join(chr(o) if 33 <= o <= 126 and o not in (43, 61) else f"+{o:02X}" for o in text.encode())


def _decode_unitext(text: str) -> str:
    """RFC 6533 3: characters written as \\x{HEX}."""
    decoded = _UNITEXT.sub(lambda match: chr(int(match[1], 16)) if int(match[1], 16) < 0x110000 else "?", text)
    return decoded if decoded.isprintable() else re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", decoded)


MAIL_PARAMETERS: dict[str, Callable[[str], tuple[str, object]]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "RET": _ret,
    "ENVID": _envid,
    "AUTH": _auth,
    "REQUIRETLS": _requiretls,
}
FUTURE_PARAMETERS = {**MAIL_PARAMETERS, "HOLDFOR": _holdfor, "HOLDUNTIL": _holduntil}
RCPT_PARAMETERS: dict[str, Callable[[str], tuple[str, object]]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
