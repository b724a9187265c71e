"""What became of a mail transaction: its events, and what is known of it now, drawn together into one answer.

Pure: events and facts in, a story out. Whoever asks (`postroom trace`) looks the facts up: what the queue holds, and
where in its mailbox a message lies now.
Trusts: nothing about the events; any field may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from postroom.observe.sentences import peer
from postroom.values.told import Told


class State(StrEnum):
    """How it stands with a recipient, or with a whole message."""

    DELIVERED = "delivered"
    QUARANTINED = "quarantined"
    RELAYED = "relayed"
    WAITING = "waiting"
    HELD = "held"
    FAILED = "failed"
    REFUSED = "refused"
    DROPPED = "dropped"
    ABANDONED = "abandoned"
    UNKNOWN = "unknown"
    PARTLY = "partly"  # a message whose recipients fared differently


_AFTER: Final = {
    "message.delivered": State.DELIVERED,
    "message.quarantined": State.QUARANTINED,
    "quarantine.released": State.QUARANTINED,
    "message.relayed": State.RELAYED,
    "message.deferred": State.WAITING,
    "message.failed": State.FAILED,
    "message.expired": State.FAILED,
}
_ENDS: Final = frozenset({"message.accepted", "mail.abandoned", "mail.refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A recipient as the queue has it now. state: its word for it ("waiting", "held", "delivered" …)."""

    address: str
    state: str
    next_try: float = 0.0
    attempts: int = 0
    last_reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a delivered message lies now. mailbox: "" when it is in none any more."""

    mailbox: str
    seen: bool = False


@dataclass(slots=True, kw_only=True)
class Fate:
    """What became of one recipient. text: where it is now, a sentence that begins with a verb."""

    address: str
    state: State
    text: str
    time: float = 0.0
    next_try: float = 0.0
    mailbox: str = ""
    uid: int = 0


@dataclass(slots=True, kw_only=True)
class Story:
    """One transaction. sender None: not known; state: of the whole; time: of its first event."""

    id: str
    time: float
    sender: str | None
    to: list[str]
    message_id: str
    state: State
    fates: list[Fate]
    events: Sequence[Told] = field(default_factory=tuple)


def story(
    name: str,
    events: Sequence[Told],
    waiting: Sequence[Waiting],
    places: Mapping[str, Place],
    moment: Callable[[float], str],
) -> Story:
    """Draw it together. events: in order, not empty; places: by recipient; moment: prints a time."""
    known: dict[str, Any] = {}
    for told in events:
        for key in ("sender", "to", "message_id"):
            if key not in known and told.fields.get(key) is not None:
                known[key] = told.fields[key]
    fates = _fates(events, waiting, places, moment)
    if not fates:
        fates = [_without_recipients(events)]
    to = known.get("to")
    return Story(
        id=name,
        time=events[0].time,
        sender=known.get("sender"),
        to=[str(one) for one in to] if isinstance(to, list) else _named(fates),
        message_id=str(known.get("message_id", "")),
        state=_together(fates),
        fates=fates,
        events=events,
    )


def _named(fates: Sequence[Fate]) -> list[str]:
    return [fate.address for fate in fates if fate.address]


def _together(fates: Sequence[Fate]) -> State:
    states = {fate.state for fate in fates}
    return states.pop() if len(states) == 1 else State.PARTLY


def _fates(
    events: Sequence[Told], waiting: Sequence[Waiting], places: Mapping[str, Place], moment: Callable[[float], str]
) -> list[Fate]:
    """By recipient, in the order in which they were first told of; what the queue says now has the last word."""
    last: dict[str, Told] = {}
    for told in events:
        who = told.fields.get("recipient")
        if who and (told.name in _AFTER or told.name == "mail.refused"):
            last[str(who)] = told
    queued = {one.address: one for one in waiting}
    fates = []
    for who in dict.fromkeys([*last, *queued]):
        one = queued.get(who)
        if one is not None and one.state in ("waiting", "held"):
            fates.append(_in_queue(one, moment))
        elif who in last:
            fates.append(_told(last[who], places.get(who), moment))
    dropped = _dropped(events)
    if dropped:
        for fate in fates:
            if fate.state is State.UNKNOWN:
                fate.state, fate.text = State.DROPPED, dropped
    return fates + _others(events, fates, dropped)


def _dropped(events: Sequence[Told]) -> str:
    """What to say when an administrator has removed the message."""
    states = {told.fields.get("state") for told in events if told.name == "queue.changed"}
    if "cancelled" in states:
        return "was taken back by its sender before it was sent"
    gone = "dropped" in states
    return "was removed from the queue by an administrator" if gone else ""


def _others(events: Sequence[Told], fates: Sequence[Fate], dropped: str) -> list[Fate]:
    """Recipients that were named and of whom nothing was told since."""
    if any(fate.state is not State.REFUSED for fate in fates):
        return []  # others may be aliases of these
    named = [str(who) for told in events for who in told.fields.get("to", ())]
    known = {fate.address.casefold() for fate in fates}
    others = [who for who in dict.fromkeys(named) if who.casefold() not in known]
    end = next((told for told in reversed(events) if told.name in _ENDS and not told.fields.get("recipient")), None)
    if end is None:
        return []
    if end.name == "message.accepted":
        state, text = State.UNKNOWN, "was accepted, is not in the queue any more, and nothing more is known"
        if dropped:
            state, text = State.DROPPED, dropped
    elif end.name == "mail.abandoned":
        state, text = State.ABANDONED, "was not sent: the peer gave up before the end of the message"
    else:
        state, text = State.REFUSED, f"was refused: {end.fields.get('code', '')} {end.fields.get('text', '')}"
    return [Fate(address=who, state=state, text=text, time=end.time) for who in others]


def _in_queue(one: Waiting, moment: Callable[[float], str]) -> Fate:
    because = f", because: {one.last_reply}" if one.last_reply else ""
    if one.state == "held":
        text = f"is held by an administrator{because}"
        return Fate(address=one.address, state=State.HELD, text=text)
    if not one.attempts:
        text = "is in the queue and about to be tried"
    else:
        text = f"waits for its next try at {moment(one.next_try)} (tried {_times(one.attempts)}){because}"
    return Fate(address=one.address, state=State.WAITING, text=text, next_try=one.next_try)


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def _told(told: Told, place: Place | None, moment: Callable[[float], str]) -> Fate:
    fields, who = told.fields, str(told.fields.get("recipient", ""))
    reply = str(fields.get("reply", ""))
    if told.name == "mail.refused":
        text = f"was refused: {fields.get('code', '')} {fields.get('text', '')}"
        return Fate(address=who, state=State.REFUSED, text=text, time=told.time)
    state = _AFTER[told.name]
    if state is State.DELIVERED:
        return _delivered(told, place)
    if told.name == "quarantine.released":
        text = f"was released from quarantine at {moment(told.time)}, as {fields.get('release', '')}"
    elif state is State.QUARANTINED:
        text = f"was put into quarantine: {reply}"
    elif state is State.RELAYED:
        text = f"was handed over to {fields.get('remote') or 'another server'} at {moment(told.time)}: {reply}"
    elif state is State.FAILED:
        text = f"could not be delivered: {reply}"
    else:
        # it was to be tried again, and is in the queue no more
        state, text = State.UNKNOWN, f"waited, and is not in the queue any more; last was: {reply}"
    return Fate(address=who, state=state, text=text, time=told.time)


def _delivered(told: Told, place: Place | None) -> Fate:
    fields = told.fields
    mailbox, uid = str(fields.get("mailbox", "")), int(fields.get("uid", 0))
    if place is None:
        text = f"was delivered to {mailbox}" if mailbox else "was delivered"
    elif not place.mailbox:
        text = f"was delivered to {mailbox}, and was removed since by a client of the account"
    else:
        text = f"lies in {place.mailbox}" + ("" if place.seen else ", not read yet")
        if place.mailbox != mailbox:
            text += f" (delivered to {mailbox}, moved since)"
        mailbox = place.mailbox
    return Fate(
        address=str(fields.get("recipient", "")),
        state=State.DELIVERED,
        text=text,
        time=told.time,
        mailbox=mailbox,
        uid=uid,
    )


def _without_recipients(events: Sequence[Told]) -> Fate:
    """Nothing is known of any recipient."""
    for told in reversed(events):
        fields = told.fields
        if told.name == "mail.refused":
            text = f"{peer(fields)} was refused: {fields.get('code', '')} {fields.get('text', '')}"
            return Fate(address="", state=State.REFUSED, text=text, time=told.time)
    return Fate(address="", state=State.UNKNOWN, text="nothing more is known of it", time=events[-1].time)
