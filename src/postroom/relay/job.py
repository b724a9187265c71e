"""What of a queue entry is to be sent in one transaction, and what its replies mean.

Owns: how an entry becomes a message for a server with given capabilities, and how replies become outcomes.
Standards: RFC 5321 4.2.1, 4.5.3.1.10 (552 for too many recipients is temporary); RFC 6152; RFC 6531 3.2; RFC 3461 5.2.
On failure: OSError when the content cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postroom.queue.outcome import Kind, Outcome
from postroom.relay.classify import WORDS, classify
from postroom.relay.fitting import header_is_ascii
from postroom.store.api import Entry, Recipient
from postroom.values.content import Content
from postroom.wire.smtp.client_types import Outgoing, OutgoingRecipient, Reply, Result

_NO_UTF8 = Reply(553, "5.6.7", "The server does not take international addresses (SMTPUTF8)", local=True)


@dataclass(frozen=True, slots=True)
class Job:
    """Recipients of one entry that are to be sent together."""

    entry: Entry
    recipients: tuple[Recipient, ...]
    sender: str  # the entry's, or a return address of ours for mail that is passed on
    tried: frozenset[str] = frozenset()  # addresses of servers that turned it away for now

    @property
    def lane(self) -> str:
        """Whose mail it is: each sender's waits in a lane of its own."""
        return self.entry.account or self.entry.sender


def outgoing(
    job: Job, offers: Mapping[str, str], content: Content, body: str
) -> tuple[Outgoing, tuple[Recipient, ...]]:
    """The message for a server with these capabilities, and the recipients it cannot take.

    content, body: as `fitting.fit` gives them.
    Mail that was declared 8-bit or international but is plain ASCII goes to any server.
    """
    entry, recipients = job.entry, job.recipients
    utf8 = entry.smtputf8
    unfit: tuple[Recipient, ...] = ()
    if "SMTPUTF8" in offers:  # an alias may have brought in an address that the sender's client did not announce
        utf8 = utf8 or not all(each.address.isascii() for each in recipients)
    elif job.sender.isascii() and (not utf8 or header_is_ascii(entry.content)):
        utf8 = False
        unfit = tuple(each for each in recipients if not each.address.isascii())
    fit = tuple(each for each in recipients if each.address.isascii()) if unfit else recipients
    message = Outgoing(
        sender=job.sender,
        recipients=tuple(OutgoingRecipient(each.address, each.notify, each.orcpt) for each in fit),
        size=content.size,
        body=body,
        smtputf8=utf8,
        ret=entry.ret,
        envid=entry.envid,
        requiretls=entry.tls == "required",
    )
    return message, unfit


def refused_for_utf8(recipients: Sequence[Recipient]) -> list[Outcome]:
    """Outcomes of the recipients that `outgoing` left out."""
    return refused(recipients, _NO_UTF8)


def refused(recipients: Sequence[Recipient], reply: Reply) -> list[Outcome]:
    """Outcomes of recipients whose server was not asked, for this reason."""
    return [outcome(each, Result(OutgoingRecipient(each.address), reply, ""), "", reports=False) for each in recipients]


def outcome(recipient: Recipient, result: Result, server: str, *, reports: bool, via: str = "") -> Outcome:
    """What a reply means for a recipient. reports: the server sees to reports itself (it offered DSN)."""
    reply, stage = result.reply, result.stage
    if reply.ok:
        kind = Kind.RELAYED
    elif reply.temporary or too_many(reply, stage):
        kind = Kind.DEFERRED
    else:
        kind = Kind.FAILED
    cause = None if reply.ok else classify(0 if reply.local else reply.code, reply.enhanced, reply.text, stage)
    return Outcome(
        recipient=recipient,
        kind=kind,
        status=_status(reply, kind),
        cause=cause or "",
        meaning=WORDS[cause] if cause else "",
        reply=reply.text if reply.local else str(reply),
        remote="" if reply.local else server,
        reported=reports and kind is Kind.RELAYED,
        via=via,
    )


def unopened(recipients: Sequence[Recipient], reply: Reply, server: str) -> list[Outcome]:
    """No session could be opened. Only where we know ourselves that no try can help, the mail fails.

    Whatever a server's code says there, the fault is the server's or the configuration's: mail does not bounce for
    that before its time.
    """
    gone = reply.local and reply.code >= 500
    enhanced = reply.enhanced or "4.4.1"
    words, remote = (reply.text, "") if reply.local else (str(reply), server)
    cause = classify(0 if reply.local else reply.code, reply.enhanced, reply.text)
    return [
        Outcome(
            recipient=each,
            kind=Kind.FAILED if gone else Kind.DEFERRED,
            status=enhanced if gone else f"4{enhanced[1:]}",
            reply=words,
            remote=remote,
            cause=cause,
            meaning=WORDS[cause],
        )
        for each in recipients
    ]


def turned_away(results: Sequence[Result]) -> bool:
    """The server takes it from nobody just now, and has not seen the text: another one may (RFC 5321 5.1)."""
    return all(
        each.reply.temporary and each.stage in ("MAIL", "RCPT", "DATA") and not too_many(each.reply, each.stage)
        for each in results
    )


def too_many(reply: Reply, stage: str) -> bool:
    """The server takes no more recipients in this message: send it again to the rest (RFC 5321 4.5.3.1.10).

    With an enhanced code it says so there (RFC 3463 3.6); 552 5.2.2 is one mailbox that is full for good.
    """
    return stage == "RCPT" and reply.code in (452, 552) and reply.enhanced in ("", "4.5.3", "5.5.3")


def _status(reply: Reply, kind: Kind) -> str:
    """RFC 3463 code; one whose class does not fit what we make of the reply gets the right class."""
    first = {Kind.RELAYED: "2", Kind.DEFERRED: "4"}.get(kind, "5")
    return first + (reply.enhanced[1:] if reply.enhanced else ".0.0")


def split(job: Job, results: Sequence[Result]) -> tuple[list[tuple[Recipient, Result]], tuple[Recipient, ...]]:
    """Results by recipient, and the recipients to send to at once in another transaction.

    Only where the server took some of them: then each round makes progress.
    """
    pairs = list(zip(job.recipients, results, strict=True))
    if not any(result.reply.ok for _, result in pairs):
        return pairs, ()
    told: list[tuple[Recipient, Result]] = []
    again: list[Recipient] = []
    for recipient, result in pairs:
        if too_many(result.reply, result.stage):
            again.append(recipient)
        else:
            told.append((recipient, result))
    return told, tuple(again)
