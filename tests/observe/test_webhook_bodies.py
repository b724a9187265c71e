"""What other programs are told of which event, and that they can know it was us."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from postroom.observe import webhooks
from postroom.observe.webhooks import TYPES, Context, Hook
from postroom.values.told import Told

EVERYTHING = Hook(name="all", types=frozenset(TYPES))
SENT = Context(login="ann@x.test", sender="ann@x.test", message_id="1@x.test", left=2)
RECEIVED = Context(sender="out@far.test")


def told(name: str, recipient: str = "ben@x.test", **fields: object) -> Told:
    return Told(time=10.5, name=name, fields={"queue_id": "q1", "recipient": recipient, "attempts": 1, **fields})


@pytest.mark.parametrize(
    ("name", "context", "types"),
    [
        ("message.delivered", SENT, ["message.delivered", "message.received"]),
        ("message.delivered", RECEIVED, ["message.received"]),
        ("message.delivered", None, ["message.received"]),
        ("message.relayed", SENT, ["message.relayed"]),
        ("message.deferred", SENT, ["message.deferred"]),
        ("message.failed", SENT, ["message.failed"]),
        ("message.expired", SENT, ["message.failed"]),
        ("message.accepted", SENT, []),
        ("mail.refused", SENT, []),
    ],
)
def test_which_event_is_told_as_what(name: str, context: Context | None, types: list[str]) -> None:
    assert [one.type for one in webhooks.messages(told(name), context, [EVERYTHING])] == types


@pytest.mark.parametrize(
    ("hook", "hears"),
    [
        ({"domain": "x.test"}, 2),
        ({"domain": "X.test"}, 2),
        ({"domain": "y.test"}, 0),
        ({"login": "ann@x.test"}, 1),
        ({"login": "ben@x.test"}, 1),
        ({"login": "carla@x.test"}, 0),
    ],
)
def test_filters(hook: dict[str, str], hears: int) -> None:
    wanted = Hook(name="h", types=frozenset(TYPES), **hook)
    assert len(webhooks.messages(told("message.delivered", "ben+x@x.test"), SENT, [wanted])) == hears


def test_the_body_and_its_id() -> None:
    event = told("message.relayed", "a@far.test", reply="250 ok", secret="no", remote="mx.far.test")
    (one,) = webhooks.messages(event, SENT, [EVERYTHING])
    assert json.loads(one.body) == {
        "type": "message.relayed",
        "timestamp": "1970-01-01T00:00:10.500000Z",
        "data": {
            "id": "q1",
            "message_id": "1@x.test",
            "sender": "ann@x.test",
            "login": "ann@x.test",
            "recipient": "a@far.test",
            "reply": "250 ok",
            "attempts": 1,
            "remote": "mx.far.test",
        },
    }
    again, other = told("message.relayed", "a@far.test"), told("message.relayed", "b@far.test")
    assert webhooks.messages(again, SENT, [EVERYTHING])[0].id == one.id
    assert webhooks.messages(other, SENT, [EVERYTHING])[0].id != one.id


def test_signatures_as_receivers_check_them() -> None:
    key = b"k" * 24
    text = f"# newest first\nwhsec_{base64.b64encode(key).decode()}\n\nolder words\nwhsec_!!\n"
    keys = webhooks.read_secrets(text)
    assert keys == [key, b"older words"]
    given = dict(webhooks.headers("evt_1", 1700000000, b"{}", keys))
    expected = base64.b64encode(hmac.new(key, b"evt_1.1700000000.{}", hashlib.sha256).digest()).decode()
    first, second = given["webhook-signature"].split(" ")
    assert first == f"v1,{expected}"
    assert second.startswith("v1,")
    assert (given["webhook-id"], given["webhook-timestamp"]) == ("evt_1", "1700000000")
    assert webhooks.read_secrets("\n# none\n") == []
