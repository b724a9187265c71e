"""What became of a message, told from its events: every state, and words for everything that can happen."""

from __future__ import annotations

import pytest

from postroom.observe.catalogue import CATALOGUE, KEPT
from postroom.observe.sentences import sentence
from postroom.observe.story import Place, State, Story, Waiting, story
from postroom.values.told import Told

ACCEPTED = Told(
    100.0,
    "message.accepted",
    {
        "queue_id": "q1",
        "sender": "bob@far.test",
        "to": ["ann@here.test"],
        "recipients": 1,
        "size": 4300,
        "peer": "192.0.2.1",
        "helo": "mx.far.test",
        "service": "smtp",
        "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "message_id": "m1@far.test",
    },
)
DELIVERED = Told(
    100.1,
    "message.delivered",
    {"queue_id": "q1", "recipient": "ann@here.test", "mailbox": "INBOX", "uid": 7, "message": 9, "reply": "Delivered"},
)


def moment(at: float) -> str:
    return f"T{at:.0f}"


def told(*events: Told, waiting: tuple[Waiting, ...] = (), places: dict[str, Place] | None = None) -> Story:
    return story("q1", events, waiting, places or {}, moment)


def after(name: str, recipient: str = "ann@here.test", **fields: object) -> Told:
    return Told(101.0, name, {"queue_id": "q1", "recipient": recipient, **fields})


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (None, "was delivered to INBOX"),
        (Place(mailbox="INBOX"), "lies in INBOX, not read yet"),
        (Place(mailbox="INBOX", seen=True), "lies in INBOX"),
        (Place(mailbox="Archive", seen=True), "lies in Archive (delivered to INBOX, moved since)"),
        (Place(mailbox=""), "was delivered to INBOX, and was removed since by a client of the account"),
    ],
)
def test_delivered(place: Place | None, text: str) -> None:
    one = told(ACCEPTED, DELIVERED, places={"ann@here.test": place} if place else {})
    assert one.state is State.DELIVERED
    assert [(fate.address, fate.text, fate.uid) for fate in one.fates] == [("ann@here.test", text, 7)]
    assert (one.sender, one.to, one.message_id, one.time) == ("bob@far.test", ["ann@here.test"], "m1@far.test", 100.0)


def test_waiting_is_told_by_the_queue_not_by_the_last_event() -> None:
    deferred = after("message.deferred", reply="mx said: 450 later", next_try=400.0, attempts=1)
    late = Waiting(address="ann@here.test", state="waiting", next_try=700.0, attempts=2, last_reply="451 no")
    one = told(ACCEPTED, deferred, waiting=(late,))
    assert one.state is State.WAITING
    assert one.fates[0].text == "waits for its next try at T700 (tried twice), because: 451 no"
    held = told(ACCEPTED, deferred, waiting=(Waiting(address="ann@here.test", state="held", last_reply="451 no"),))
    assert held.state is State.HELD
    fresh = told(ACCEPTED, waiting=(Waiting(address="ann@here.test", state="waiting"),))
    assert fresh.fates[0].text == "is in the queue and about to be tried"
    gone = told(ACCEPTED, deferred)
    assert gone.state is State.UNKNOWN
    dropped = told(ACCEPTED, deferred, Told(102.0, "queue.changed", {"queue_id": "q1", "state": "dropped"}))
    assert dropped.state is State.DROPPED


def test_the_end_of_mail_for_outside() -> None:
    relayed = told(ACCEPTED, after("message.relayed", reply="250 ok", remote="mx.out.test"))
    assert relayed.state is State.RELAYED
    assert relayed.fates[0].text == "was handed over to mx.out.test at T101: 250 ok"
    failed = told(ACCEPTED, after("message.failed", reply="mx said: 550 no such user"))
    assert (failed.state, failed.fates[0].text) == (State.FAILED, "could not be delivered: mx said: 550 no such user")
    both = told(ACCEPTED, DELIVERED, after("message.failed", "carl@out.test", reply="no"))
    assert both.state is State.PARTLY
    assert [fate.address for fate in both.fates] == ["ann@here.test", "carl@out.test"]


def refused(stage: str, **fields: object) -> Told:
    return Told(
        100.0,
        "mail.refused",
        {
            "queue_id": "q1",
            "service": "smtp",
            "ip": "192.0.2.1",
            "helo": "x",
            "sender": "bob@far.test",
            "stage": stage,
            "code": "550 5.1.1",
            "text": "no",
            **fields,
        },
    )


def test_refused() -> None:
    at_rcpt = told(refused("rcpt", recipient="nobody@here.test"))
    assert at_rcpt.state is State.REFUSED
    assert at_rcpt.to == ["nobody@here.test"]
    assert at_rcpt.fates[0].text == "was refused: 550 5.1.1 no"
    at_mail = told(refused("mail"))
    assert (at_mail.state, at_mail.sender) == (State.REFUSED, "bob@far.test")
    assert at_mail.fates[0].text == "x [192.0.2.1] was refused: 550 5.1.1 no"
    whole = told(refused("rcpt", recipient="nobody@here.test"), refused("data", to=["ann@here.test", "b@here.test"]))
    assert whole.state is State.REFUSED
    assert [fate.address for fate in whole.fates] == ["nobody@here.test", "ann@here.test", "b@here.test"]


def test_one_refused_recipient_beside_an_accepted_one() -> None:
    one = told(refused("rcpt", recipient="nobody@here.test"), ACCEPTED, DELIVERED)
    assert one.state is State.PARTLY
    assert {fate.address: str(fate.state) for fate in one.fates} == {
        "nobody@here.test": "refused",
        "ann@here.test": "delivered",
    }
    lost = told(refused("rcpt", recipient="nobody@here.test"), ACCEPTED)
    assert {fate.address: str(fate.state) for fate in lost.fates} == {
        "nobody@here.test": "refused",
        "ann@here.test": "unknown",
    }


def test_abandoned() -> None:
    one = told(Told(100.0, "mail.abandoned", {"queue_id": "q1", "ip": "192.0.2.1", "to": ["ann@here.test"]}))
    assert one.state is State.ABANDONED
    assert one.fates[0].text == "was not sent: the peer gave up before the end of the message"


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_event_has_words_with_all_its_fields_and_with_none(name: str) -> None:
    fields: dict[str, object] = {field: f"<{field}>" for field in CATALOGUE[name].fields}
    numbers: dict[str, object] = {"size": 5, "uid": 3, "attempts": 2, "next_try": 9.0, "to": ["a@b"], "count": 2}
    fields |= {field: value for field, value in numbers.items() if field in fields}
    assert sentence(Told(1.0, name, fields), moment)
    assert sentence(Told(1.0, name, {}), moment)
    if name in KEPT and "reason" in fields and name not in ("mail.refused", "mail.checked"):
        assert "<reason>" in sentence(Told(1.0, name, fields), moment)
    told(Told(1.0, name, {}))
    told(Told(1.0, name, fields))


def test_an_event_of_a_newer_version_is_told_too() -> None:
    assert sentence(Told(1.0, "message.teleported", {"queue_id": "q1", "to": "Mars"}), moment) == (
        "message.teleported: to Mars"
    )
