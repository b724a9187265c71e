"""Each event as a sentence for somebody who is no mail expert.

An event without a sentence of its own is told by its meaning in the catalogue and its fields, so that nothing is left
out for a word. Fields come from the events files: any of them may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from postroom.observe.catalogue import CATALOGUE
from postroom.values.told import Told

Fields = Mapping[str, Any]

_STAGES: Final = {
    "mail": "at MAIL FROM",
    "rcpt": "at RCPT TO",
    "data": "after the message",
    "auth": "at the log-in",
    "command": "at a command",
}
_SERVICES: Final = {
    "smtp": "SMTP",
    "submission": "submission",
    "lmtp": "LMTP",
    "http": "HTTP",
    "imap": "IMAP",
    "pop3": "POP3",
    "managesieve": "ManageSieve",
}
_SHOWN_RECIPIENTS: Final = 5


def sentence(told: Told, moment: Callable[[float], str]) -> str:
    """What happened. moment: prints a time."""
    special = _SENTENCES.get(told.name)
    if special is not None:
        return special(told.fields, moment)
    kind = CATALOGUE.get(told.name)
    meaning = kind.meaning if kind is not None else told.name
    fields = {name: value for name, value in told.fields.items() if name not in ("queue_id", "service")}
    return f"{meaning}: {', '.join(f'{name} {value}' for name, value in fields.items())}" if fields else meaning


def people(addresses: object) -> str:
    """Addresses in a sentence, not too many."""
    known = [str(one) for one in addresses] if isinstance(addresses, list) else []
    if len(known) > _SHOWN_RECIPIENTS:
        return f"{', '.join(known[:_SHOWN_RECIPIENTS])} and {len(known) - _SHOWN_RECIPIENTS} more"
    return ", ".join(known)


def sender(fields: Fields) -> str:
    """The envelope sender; the empty one by what it means."""
    return str(fields.get("sender") or "the mail system (empty sender)")


def peer(fields: Fields) -> str:
    """Who was at the other end."""
    ip = fields.get("ip") or fields.get("peer")
    login = fields.get("login")
    helo = fields.get("helo", "")
    place = f"{helo} [{ip}]" if helo and ip and helo != f"[{ip}]" else f"[{ip}]" if ip else "this server itself"
    return f"{login} at {place}" if login else place


def _way(fields: Fields) -> str:
    service = _SERVICES.get(str(fields.get("service", "")), "")
    tls = str(fields.get("tls", "")).partition(" ")[0]
    if not service:
        return ""
    return f" by {service} over {tls}" if tls else f" by {service} without encryption"


def _accepted(fields: Fields, _: Callable[[float], str]) -> str:
    size = fields.get("size", 0)
    octets = f"{size} octets" if size < 10_000 else f"{size / 1024:.0f} KiB"
    text = f"accepted from {peer(fields)}{_way(fields)}, {octets}"
    if fields.get("about"):
        return f"{text}, a report on {fields['about']}"
    return f"{text}, Message-ID <{fields['message_id']}>" if fields.get("message_id") else text


def _refused(fields: Fields, _: Callable[[float], str]) -> str:
    stage = _STAGES.get(str(fields.get("stage")), "")
    who = fields.get("recipient")
    reason = f" ({fields['reason']})" if fields.get("reason") and fields.get("reason") != fields.get("text") else ""
    text = f"{peer(fields)} was refused{f' {stage}' if stage else ''}{f' for {who}' if who else ''}"
    return f"{text}: {fields.get('code', '')} {fields.get('text', '')}{reason}"


def _abandoned(fields: Fields, _: Callable[[float], str]) -> str:
    return f"{peer(fields)} gave up before the end of the message"


_SCANNERS: Final = (("virus", "viruses"), ("rspamd", "rspamd"), ("unheard", "not looked at by"))


def _checked(fields: Fields, _: Callable[[float], str]) -> str:
    found = [f"{name.upper()} {fields[name]}" for name in ("spf", "dkim", "dmarc", "arc") if fields.get(name)]
    text = f"who sent it was checked: {', '.join(found) or 'nothing to check'}"
    verdict = f"; verdict: {fields['verdict']}" if fields.get("verdict") else ""
    reason = f" ({fields['reason']})" if fields.get("reason") else ""
    spam = f"; spam score {fields['spam']}: {fields.get('because', '')}" if "spam" in fields else ""
    said = "".join(f"; {name}: {fields[key]}" for key, name in _SCANNERS if fields.get(key))
    return f"{text}{verdict}{reason}{spam}{said}"


def _trap(fields: Fields, _: Callable[[float], str]) -> str:
    learned = "it was learned as unwanted" if fields.get("learned") else "nothing was learned"
    reason = f": {fields['reason']}" if fields.get("reason") else ""
    return f"it came to the spam trap {fields.get('recipient', '')}; {learned}{reason}"


def _stranger(fields: Fields, _: Callable[[float], str]) -> str:
    name = f" ({fields['name']})" if fields.get("name") else ""
    return f"{peer(fields)}{name} was looked at: {fields.get('reason', '')}"


def _delivered(fields: Fields, _: Callable[[float], str]) -> str:
    who = fields.get("recipient", "")
    if fields.get("uid"):
        return f"delivered to {fields.get('mailbox')} of {fields.get('login') or who}, UID {fields['uid']}"
    return f"delivered to {who}{' before' if fields.get('reply') == 'Delivered before' else ''}"


def _quarantined(fields: Fields, _: Callable[[float], str]) -> str:
    return f"set apart for {fields.get('recipient', '')}: {fields.get('reply', '')}"


def _released(fields: Fields, _: Callable[[float], str]) -> str:
    who = f" by {fields['who']}" if fields.get("who") else ""
    return f"released from quarantine for {fields.get('recipient', '')}{who}, goes on as {fields.get('release', '')}"


def _flagged(fields: Fields, _: Callable[[float], str]) -> str:
    done = {"hold": "it is kept in quarantine", "refuse": "it was refused"}.get(
        str(fields.get("verdict")), "it was sent"
    )
    why = f"spam score {fields.get('spam', '')}: {fields.get('because', '')}"
    return f"{fields.get('login', '')} sends what looks like spam, {done} ({why})"


def _relayed(fields: Fields, _: Callable[[float], str]) -> str:
    return f"handed over for {fields.get('recipient', '')}{_via(fields)}: {fields.get('reply', '')}"


def _via(fields: Fields) -> str:
    return f" ({fields['via']})" if fields.get("via") else ""


def _deferred(fields: Fields, moment: Callable[[float], str]) -> str:
    at = fields.get("next_try")
    text = f"not delivered to {fields.get('recipient', '')} yet{_try(fields)}{_via(fields)}: {fields.get('reply', '')}"
    return f"{text}; next try {moment(at)}" if at else text


def _try(fields: Fields) -> str:
    return f" (try {fields['attempts']})" if fields.get("attempts") else ""


def _failed(fields: Fields, _: Callable[[float], str]) -> str:
    return f"given up for {fields.get('recipient', '')}{_try(fields)}: {fields.get('reply', '')}"


def _expired(fields: Fields, _: Callable[[float], str]) -> str:
    return f"given up for {fields.get('recipient', '')}, its time is over{_try(fields)}: {fields.get('reply', '')}"


def _report(fields: Fields, _: Callable[[float], str]) -> str:
    what = {"failed": "that it failed", "delayed": "that it is late", "delivered": "that it arrived"}
    kind = str(fields.get("kind"))
    text = what.get(kind, "that it went on")
    return f"told {fields.get('recipient', '')} {text}, with report {fields.get('report', '')}"


def _received(fields: Fields, _: Callable[[float], str]) -> str:
    who = f"{fields['proven']}, which is proven" if fields.get("proven") else f"{fields.get('org', '')}, not proven"
    again = "" if fields.get("new", True) else "; it was here before and counts once"
    return f"read as a {fields.get('kind', '')} report of {who}, about {fields.get('domain', '')}{again}"


def _changed(fields: Fields, _: Callable[[float], str]) -> str:
    what = {
        "held": "held it",
        "waiting": "let it go on",
        "dropped": "removed it, nobody is told",
        "retried": "had it tried again",
        "rerouted": "sent it another way",
    }
    if fields.get("state") == "cancelled":
        return f"its sender ({fields.get('who', '')}) took it back"
    text = what.get(str(fields.get("state")), "changed it")
    who = f"an administrator ({fields['who']})" if fields.get("who") else "an administrator"
    return f"{who} {text}"


def _sorted(fields: Fields, _: Callable[[float], str]) -> str:
    done = fields.get("actions")
    told = "; ".join(str(one) for one in done) if isinstance(done, list) else ""
    reason = f"; it stopped with an error: {fields['reason']}" if fields.get("reason") else ""
    return f"the filter {fields.get('script', '')!r} of {fields.get('recipient', '')} decided: {told}{reason}"


def _reacted(fields: Fields, _: Callable[[float], str]) -> str:
    what = {"APPEND": "stored it in", "COPY": "copied it to", "FLAG": "changed its flags in"}
    did = what.get(str(fields.get("cause", "")), "did something in")
    begin = f"{fields.get('login') or 'somebody'} {did} {fields.get('mailbox', '')!r}; "
    return begin + _sorted(fields, _)


def _withheld(fields: Fields, _: Callable[[float], str]) -> str:
    return f"the filter of {fields.get('recipient', '')}: {fields.get('reason', '')}"


def _login_failed(fields: Fields, _: Callable[[float], str]) -> str:
    service = _SERVICES.get(str(fields.get("service", "")), "")
    name = fields.get("login", "")
    return f"a log-in as {name!r} from [{fields.get('ip', '')}] to {service} failed: {fields.get('reason', '')}"


def _answered(fields: Fields, _: Callable[[float], str]) -> str:
    item = fields.get("item") or "a message that is gone"
    if fields.get("reason"):
        return f"{item} was not released from quarantine: {fields['reason']}"
    return f"{item} is released from quarantine, as its owner wants"


_SENTENCES: Final[dict[str, Callable[[Fields, Callable[[float], str]], str]]] = {
    "message.accepted": _accepted,
    "mail.refused": _refused,
    "mail.stranger": _stranger,
    "mail.abandoned": _abandoned,
    "trap.caught": _trap,
    "mail.checked": _checked,
    "message.delivered": _delivered,
    "message.quarantined": _quarantined,
    "quarantine.released": _released,
    "quarantine.answered": _answered,
    "mail.flagged": _flagged,
    "message.sorted": _sorted,
    "sieve.withheld": _withheld,
    "sieve.reacted": _reacted,
    "message.relayed": _relayed,
    "message.deferred": _deferred,
    "message.failed": _failed,
    "message.expired": _expired,
    "report.sent": _report,
    "reports.received": _received,
    "queue.changed": _changed,
    "login.failed": _login_failed,
}
