"""The words of a delivery report for people: what happened, to whom, what was said, what to do.

Owns: the meaning of status codes in plain words.
Standards: RFC 3463 and the IANA registry of enhanced status codes (RFC 5248).
On failure: never; a code nobody knows is explained by its class.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from postroom.message.dates import format_date

if TYPE_CHECKING:
    from postroom.message.report import Report, ReportedRecipient

_WIDTH: Final = 76
_MAX_LISTED: Final = 200
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_HEADLINES: Final = (
    ("failed", "Your message could NOT be delivered to:"),
    ("delayed", "Your message has not been delivered yet to:"),
    ("delivered", "Your message was delivered to:"),
    (
        "relayed",
        "Your message was passed on to a server that does not report deliveries. "
        "You will hear from it only if something goes wrong:",
    ),
    ("expanded", "Your message was passed on to the members of:"),
)

_ASK_THEM = "Ask the recipient, by another way, to have it looked into."
#: subject.detail of a status code: what it means, and what the sender can do
_MEANINGS: Final = {
    "1.0": ("There is something wrong with the address.", "Check the address."),
    "1.1": (
        "There is no such address there.",
        "Check the part before the @ for typing errors, or ask the recipient for the right address.",
    ),
    "1.2": (
        "The domain after the @ does not exist or takes no mail.",
        "Check the part after the @ for typing errors.",
    ),
    "1.3": ("The address is not written as addresses are.", "Check the address for stray characters."),
    "1.6": ("The recipient has moved and left no new address.", "Ask the recipient for the new address."),
    "1.8": ("Your own address was not accepted.", "Check the sender address in your mail program."),
    "1.10": ("The domain after the @ says that it takes no mail.", "Ask the recipient for another address."),
    "2.0": ("The mailbox cannot take mail at the moment.", _ASK_THEM),
    "2.1": ("The mailbox is switched off.", _ASK_THEM),
    "2.2": ("The mailbox is full.", "Ask the recipient, by another way, to make room, then send it again."),
    "2.3": ("The message is too large for this mailbox.", "Send it smaller, or share large files by a link."),
    "2.4": ("The list could not be reached.", "Write to the owner of the list."),
    "3.1": ("The other server has no room left.", "Send it again later."),
    "3.4": ("The message is too large for the other server.", "Send it smaller, or share large files by a link."),
    "4.1": ("The other server did not answer.", "Check the part after the @; if it is right, send it again later."),
    "4.2": ("The connection to the other server broke.", "Send it again later."),
    "4.3": ("The other server could not be looked up.", "Check the part after the @; if it is right, try later."),
    "4.4": ("No way to the other server was found.", "Check the part after the @; if it is right, try later."),
    "4.6": ("The message went in circles between servers.", "Tell the postmaster of the recipient's domain."),
    "4.7": ("It was tried for days without success.", "Check the address, or reach the recipient by another way."),
    "5.3": ("There were too many recipients.", "Send it to fewer recipients at a time."),
    "6.1": ("The other server does not take this kind of content.", "Send it without attachments."),
    "6.7": ("The other server does not know international addresses.", "Use an address of Latin letters."),
    "7.0": ("The other server refused it for reasons of its own.", "Read what it said above."),
    "7.1": (
        "The other server refused it: it does not take this message from you.",
        "Read what it said above. If you were refused as a sender of spam, tell your own postmaster.",
    ),
    "7.26": ("The other server could not confirm that you are the sender.", "Tell your own postmaster."),
}
_CLASSES: Final = {
    "1": ("There is something wrong with the address.", "Check the address."),
    "2": ("The mailbox did not take it.", _ASK_THEM),
    "3": ("The other server could not take it.", "Send it again later."),
    "4": ("The other server could not be reached.", "Check the address, and send it again later."),
    "5": ("The two servers did not understand each other.", "Tell your own postmaster."),
    "6": ("The other server does not take this kind of content.", "Send it in a simpler form."),
    "7": ("The other server refused it for reasons of security or policy.", "Read what it said above."),
}
_UNKNOWN: Final = ("No reason was given.", "Send it again, or reach the recipient by another way.")


def meaning(status: str) -> tuple[str, str]:
    """(what a status code means, what its receiver can do about it), each a sentence."""
    _, _, rest = status.partition(".")
    return _MEANINGS.get(rest) or _CLASSES.get(rest.partition(".")[0]) or _UNKNOWN


def human_text(report: Report, subject: str) -> str:
    """The text of a report, lines ended by LF. subject: that of the original, decoded."""
    paragraphs = [f"This is the mail system of {_line(report.reporting_mta)}."]
    for kind, headline in _HEADLINES:
        concerned = [recipient for recipient in report.recipients if recipient.kind == kind]
        if concerned:
            paragraphs.append(_wrap(headline))
            paragraphs.extend(_recipient(recipient) for recipient in concerned[:_MAX_LISTED])
            if len(concerned) > _MAX_LISTED:
                paragraphs.append(f"  and {len(concerned) - _MAX_LISTED} more, all listed in the attached report.")
    about = [_wrap(f"Subject: {subject}", "  ") if subject else "  (no subject)"]
    about.append(f"  Received by us: {format_date(report.arrival)}")
    if report.queue_id:
        about.append(f"  Our number for it, if you ask your postmaster: {_line(report.queue_id)}")
    paragraphs.append("\n".join(("It is about this message:", *about)))
    paragraphs.append("The message itself is attached." if report.full else "The header of the message is attached.")
    return "\n\n".join(paragraphs) + "\n"


def _recipient(recipient: ReportedRecipient) -> str:
    lines = [f"  {_line(recipient.address)}"]
    if recipient.reply:
        who = f"The server {_line(recipient.remote_mta)}" if recipient.remote_mta else "The other server"
        lines.append(_wrap(f"{who} said: {_line(recipient.reply)}", "    "))
    elif recipient.reason:
        lines.append(_wrap(_line(recipient.reason), "    "))
    if recipient.kind in ("failed", "delayed"):
        what, advice = meaning(recipient.status)
        what = _line(recipient.meaning) or what
        lines.append(_wrap(f"That means ({_line(recipient.status)}): {what}", "    "))
        if recipient.kind == "failed":
            lines.append(_wrap(f"What you can do: {advice}", "    "))
        else:
            until = f" until {format_date(recipient.retry_until)}" if recipient.retry_until is not None else ""
            lines.append(_wrap(f"We keep trying{until}. You need not send it again.", "    "))
    return "\n".join(lines)


def _line(text: str) -> str:
    return _CONTROLS.sub(" ", text)[:1000].strip()


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
