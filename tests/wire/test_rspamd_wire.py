"""rspamd's protocol: fields of a question that nobody can add to, and answers of all kinds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.rspamd import MOST_RECIPIENTS, BadAnswer, Question, Symbol, fields, read_answer

ANSWER = {
    "is_skipped": False,
    "score": 7.25,
    "required_score": 15.0,
    "action": "add header",
    "symbols": {
        "MIME_GOOD": {"name": "MIME_GOOD", "score": -0.1, "metric_score": -0.1, "description": "Known type"},
        "BAYES_SPAM": {"name": "BAYES_SPAM", "score": 5.1, "options": ["100.00%"]},
    },
    "messages": {},
    "message-id": "x@y",
    "time_real": 0.01,
}


def test_what_is_known_stands_in_fields() -> None:
    question = Question(
        sender="a@far.test",
        recipients=["b@here.test", "jörg@here.test"],
        ip="192.0.2.1",
        helo="mail.far.test",
        name="mail.far.test",
        user="b@here.test",
        id="Q1",
        here="mx.here.test",
    )
    assert fields(question) == (
        ("From", "a@far.test"),
        ("Rcpt", "b@here.test"),
        ("Rcpt", "jörg@here.test".encode().decode("latin-1")),
        ("IP", "192.0.2.1"),
        ("Helo", "mail.far.test"),
        ("Hostname", "mail.far.test"),
        ("User", "b@here.test"),
        ("Queue-Id", "Q1"),
        ("MTA-Name", "mx.here.test"),
    )
    assert fields(Question()) == ()


def test_recipients_are_bounded() -> None:
    assert len(fields(Question(recipients=[f"r{n}@x.test" for n in range(1000)]))) == MOST_RECIPIENTS


@given(st.text(max_size=60), st.text(max_size=60))
def test_nobody_adds_a_field(helo: str, sender: str) -> None:
    for name, value in fields(Question(helo=helo + "\r\nPassword: x", sender=sender)):
        line = f"{name}: {value}".encode("latin-1")
        assert not set(line) & set(b"\r\n\0")


def test_an_answer() -> None:
    found = read_answer(json.dumps(ANSWER).encode())
    assert (found.score, found.required, found.action, found.skipped) == (7.25, 15.0, "add header", False)
    assert found.symbols == (Symbol("BAYES_SPAM", 5.1), Symbol("MIME_GOOD", -0.1, "Known type"))


def test_a_short_answer() -> None:
    found = read_answer(b'{"action":"no action","score":0,"is_skipped":true}')
    assert found.skipped
    assert found.symbols == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b'{"action":"x","score":"7"}',
        b'{"action":"x","score":1e999}',
        b"\xff\xfe",
        b'{"action":',
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_answer(body)


@given(st.integers(0, len(json.dumps(ANSWER)) - 1))
def test_an_answer_that_is_cut_off_is_refused(end: int) -> None:
    with pytest.raises(BadAnswer):
        read_answer(json.dumps(ANSWER).encode()[:end])


def test_words_of_an_answer_are_made_harmless() -> None:
    answer = {"action": "reject\r\n\x1b", "score": 1, "symbols": {"A\nB": {"score": 1, "description": "x\0y"}}}
    found = read_answer(json.dumps(answer).encode())
    assert found.action == "reject???"
    assert found.symbols == (Symbol("A?B", 1.0, "x?y"),)
