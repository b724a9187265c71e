"""Why another server did not take mail, in one word and in a sentence.

Owns: the signs by which causes are told apart: the words servers use, then the enhanced code, then the code. Servers
use codes freely, so words that are plain come first.
Trusts: nothing; a reply is text of a stranger. Standards: RFC 3463 3, RFC 5321 4.2.2, RFC 7372.
On failure: Cause.OTHER; nothing raises.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """What stands in the way."""

    UNKNOWN_USER = "unknown_user"
    NO_DOMAIN = "no_domain"
    DISABLED = "disabled"
    FULL = "full"
    TOO_LARGE = "too_large"
    GREYLISTED = "greylisted"
    RATE = "rate"
    BLOCKED = "blocked"
    SPAM = "spam"
    UNPROVEN = "unproven"
    RELAYING = "relaying"
    POLICY = "policy"
    CONTENT = "content"
    TLS = "tls"
    DNS = "dns"
    LOOP = "loop"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    PROTOCOL = "protocol"
    OTHER = "other"


#: what each means, for people
WORDS: Final = {
    Cause.UNKNOWN_USER: "There is no such address there.",
    Cause.NO_DOMAIN: "The domain after the @ does not exist or takes no mail.",
    Cause.DISABLED: "The mailbox is switched off.",
    Cause.FULL: "The mailbox is full.",
    Cause.TOO_LARGE: "The message is too large for the other server.",
    Cause.GREYLISTED: "The other server asks every new sender to come again later; we do.",
    Cause.RATE: "The other server wants fewer messages at a time.",
    Cause.BLOCKED: "The address of our server is on a block list, or blocked by the other server itself.",
    Cause.SPAM: "The other server takes the message for spam.",
    Cause.UNPROVEN: "The other server could not confirm that the message comes from its sender (SPF, DKIM, DMARC).",
    Cause.RELAYING: "The other server does not take mail for this domain.",
    Cause.POLICY: "The other server refuses it by a rule of its own.",
    Cause.CONTENT: "The other server does not take this kind of content.",
    Cause.TLS: "No connection that is protected as it must be could be made.",
    Cause.DNS: "The other server could not be looked up.",
    Cause.LOOP: "The message goes in circles between servers.",
    Cause.UNREACHABLE: "The other server did not answer.",
    Cause.BUSY: "The other server is out of order or busy.",
    Cause.PROTOCOL: "The two servers did not understand each other.",
    Cause.OTHER: "No reason was given that we understand.",
}

#: words of servers, the most telling first; what is temporary only, or for good only, says so
_SIGNS: Final[tuple[tuple[Cause, str, re.Pattern[str]], ...]] = tuple(
    (cause, codes, re.compile(words, re.IGNORECASE))
    for cause, codes, words in (
        (Cause.GREYLISTED, "4", r"gr[ae]y.?list|try again (?:in|after) \d+|temporarily deferred.*(?:retry|again)"),
        (
            Cause.BLOCKED,
            "45",
            r"spamhaus|spamcop|barracudacentral|sorbs|\b(?:rbl|dnsbl|uribl|zen)\b|block ?list|blacklist|denylist"
            r"|\bblocked\b.*\b(?:ip|address|host|network|using|listed)|\b(?:ip|host|client|network|address)\b.{0,60}"
            r"\bblocked|listed (?:in|at|on|by)|poor reputation|bad reputation|low reputation",
        ),
        (
            Cause.UNPROVEN,
            "45",
            r"\b(?:spf|dkim|dmarc)\b|unauthenticated (?:mail|email|message)|not authorized to send|reverse dns|\bptr\b"
            r"|sender verif|authentication (?:checks|required by)",
        ),
        (Cause.SPAM, "45", r"\bspam|unsolicited|bulk mail|content rejected|junk ?mail|spamm|virus|malware|phish"),
        (
            Cause.RATE,
            "45",
            r"too many (?:messages|connections|recipients|mails|concurrent|emails)|rate.?limit|throttl|slow down"
            r"|(?:exceeded|over|hourly|daily).{0,40}\b(?:rate|limit)\b(?!.*size)|too (?:fast|frequent)",
        ),
        (Cause.FULL, "45", r"quota|(?:mailbox|inbox|storage).{0,40}\bfull|\bfull\b.{0,20}mailbox|out of storage"),
        (
            Cause.DISABLED,
            "45",
            r"(?:account|mailbox|user|recipient|address).{0,40}(?:disabled|inactive|suspended|deactivated|closed|locked)"
            r"|no longer (?:accepts|active|in use)",
        ),
        (
            Cause.UNKNOWN_USER,
            "5",
            r"(?:user|recipient|mailbox|address|account|addressee|alias|person).{0,60}"
            r"(?:unknown|not (?:found|exist|known|here|local|listed|have|valid)|doesn.?t (?:exist|have)|does not"
            r"|rejected|unavailable|invalid|undeliverable)|(?:no such|unknown|invalid|bad|unrouteable|non.?existent) "
            r"(?:\w+ )?(?:user|recipient|mailbox|address|account|local)|no mailbox|not our customer|user not found",
        ),
        (
            Cause.TOO_LARGE,
            "45",
            r"too (?:large|big|long)|size (?:limit|exceed)|exceeds? .{0,40}size|maximum.{0,20}size",
        ),
        (Cause.LOOP, "45", r"\bloop(?:s|ing)?\b|too many hops|hop count|loops back"),
        (
            Cause.RELAYING,
            "45",
            r"relay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:permitted|allowed))|not relay|we do not relay",
        ),
        (Cause.TLS, "45", r"\b(?:start)?tls\b|certificate|encryption (?:needed|required)"),
        (Cause.CONTENT, "45", r"attachment|mime|line.{0,20}too long|bare (?:cr|lf)|malformed|header|content"),
    )
)
#: subject.detail of the enhanced code (RFC 3463 3, RFC 7372)
_DETAILS: Final = {
    "1.1": Cause.UNKNOWN_USER,
    "1.2": Cause.NO_DOMAIN,
    "1.3": Cause.UNKNOWN_USER,
    "1.6": Cause.UNKNOWN_USER,
    "1.10": Cause.NO_DOMAIN,
    "2.1": Cause.DISABLED,
    "2.2": Cause.FULL,
    "2.3": Cause.TOO_LARGE,
    "3.1": Cause.BUSY,
    "3.2": Cause.BUSY,
    "3.4": Cause.TOO_LARGE,
    "4.1": Cause.UNREACHABLE,
    "4.2": Cause.UNREACHABLE,
    "4.3": Cause.DNS,
    "4.4": Cause.DNS,
    "4.5": Cause.RATE,
    "4.6": Cause.LOOP,
    "4.7": Cause.UNREACHABLE,
    "5.3": Cause.RATE,
    "6.7": Cause.CONTENT,
    "7.4": Cause.TLS,
    "7.5": Cause.TLS,
    "7.10": Cause.TLS,
    "7.20": Cause.UNPROVEN,
    "7.21": Cause.UNPROVEN,
    "7.22": Cause.UNPROVEN,
    "7.23": Cause.UNPROVEN,
    "7.24": Cause.UNPROVEN,
    "7.25": Cause.UNPROVEN,
    "7.26": Cause.UNPROVEN,
    "7.27": Cause.NO_DOMAIN,
    "7.28": Cause.RATE,
    "7.30": Cause.TLS,
}
_SUBJECTS: Final = {
    "3": Cause.BUSY,
    "4": Cause.UNREACHABLE,
    "5": Cause.PROTOCOL,
    "6": Cause.CONTENT,
    "7": Cause.POLICY,
}
_CODES: Final = {421: Cause.BUSY, 450: Cause.BUSY, 451: Cause.BUSY, 452: Cause.BUSY, 550: Cause.POLICY, 552: Cause.FULL}
#: what is for good and about the address itself: no later message will fare better
HARD: Final = frozenset({Cause.UNKNOWN_USER, Cause.NO_DOMAIN, Cause.DISABLED})
_LONGEST = 1000


def classify(code: int, enhanced: str, text: str, stage: str = "") -> Cause:
    """The cause of a refusal. code 0: no server said it, it is our own finding; stage: as wire.smtp names it."""
    _, _, detail = enhanced.partition(".")
    if code == 0:
        return _DETAILS.get(detail) or _SUBJECTS.get(detail.partition(".")[0], Cause.OTHER)
    if detail in ("1.1", "1.10") and code >= 550:  # these are said of nothing else
        return _DETAILS[detail]
    first = str(code)[:1]
    for cause, codes, words in _SIGNS:
        if first in codes and words.search(text[:_LONGEST]):
            return cause
    known = _DETAILS.get(detail) or _SUBJECTS.get(detail.partition(".")[0])
    if known is not None:
        return known
    if code in (550, 553) and stage == "RCPT" and not enhanced:
        return Cause.UNKNOWN_USER
    return _CODES.get(code, Cause.OTHER)


def is_hard(cause: Cause, code: int, stage: str) -> bool:
    """True when the address should not be tried again: the server said so of this very recipient, and for good.

    What is said at the end of the text is about the message, and a server may say it of every recipient at once.
    """
    return cause in HARD and code >= 500 and stage == "RCPT"
