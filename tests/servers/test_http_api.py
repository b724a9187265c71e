"""Sending over HTTP with an ordinary client: credentials, messages, refusals, keys, and what became of it."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postroom.config import Tls
from postroom.store.api import RecipientState, StoreUnavailable

from .api_house import ANN, PASSWORD, ApiHouse, basic

RAW = b"From: ann@here.test\nTo: ben@here.test\nBcc: out@far.test\nSubject: raw\n\nhello\n.\nend"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiHouse]:
    house = ApiHouse(tmp_path / "data")
    await house.start()
    yield house
    await house.stop()
    assert house.events.of("session.fault") == []


async def test_a_message(api: ApiHouse) -> None:
    answer = await api.send(cc=["Out <out@far.test>"], html="<b>hello</b>")
    assert answer.status == 202, answer.body
    told = answer.json
    assert told["accepted"] == ["ben@here.test", "out@far.test"]
    assert told["refused"] == []
    assert answer.headers["location"] == f"/api/v1/messages/{told['id']}"
    (entry,) = await api.queued()
    assert (entry.id, entry.sender, entry.account != "") == (told["id"], ANN, True)
    octets = entry.content.read()
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["Message-ID"] == f"<{told['message_id']}>" == f"<{entry.id}@mx.here.test>"
    assert "with HTTP id " in message["Received"]
    assert [part.get_content_type() for part in message.walk()][1:] == ["text/plain", "text/html"]
    assert len(message.get_all("DKIM-Signature")) == 2
    (accepted,) = api.events.of("message.accepted")
    assert (accepted["service"], accepted["login"], accepted["message_id"]) == ("http", ANN, told["message_id"])


async def test_every_field(api: ApiHouse) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    file = {"name": "März.txt", "type": "text/plain", "content": base64.b64encode(b"x" * 100_000).decode()}
    answer = await api.send(
        from_="Änn <ann@here.test>",
        bcc=["out@far.test", "BEN@here.test"],
        reply_to=["reply@far.test"],
        subject="Grüße",
        headers={"X-Order": "17", "References": "<a@b.test>"},
        attachments=[file],
        send_at=later.isoformat(),
        require_tls=True,
    )
    assert answer.status == 202, answer.body
    (entry,) = await api.queued()
    assert [one.address for one in entry.recipients] == ["ben@here.test", "out@far.test"]
    assert abs(entry.release - later.timestamp()) < 1
    assert entry.tls == "required"
    message = email.message_from_bytes(entry.content.read(), policy=email.policy.default)
    assert message["Subject"] == "Grüße"
    assert message["From"].addresses[0].display_name == "Änn"
    assert (message["X-Order"], message["References"], message["Bcc"]) == ("17", "<a@b.test>", None)
    assert [part.get_filename() for part in message.iter_attachments()] == ["März.txt"]


async def test_a_finished_message(api: ApiHouse) -> None:
    answer = await api.ask("POST", "/api/v1/messages", RAW, Content_Type="message/rfc822")
    assert answer.status == 202, answer.body
    assert answer.json["accepted"] == ["ben@here.test", "out@far.test"]
    (entry,) = await api.queued()
    octets = entry.content.read()
    assert octets.endswith(b"\r\n\r\nhello\r\n.\r\nend\r\n")
    assert b"Bcc" not in octets
    path = "/api/v1/messages?from=ann@here.test&to=ben@here.test"
    large = RAW + b"x" * 200_000
    answer = await api.ask("POST", path, large, Content_Type="message/rfc822; charset=utf-8")
    assert answer.json["accepted"] == ["ben@here.test"]
    assert (await api.queued())[1].size > 200_000


async def test_credentials(api: ApiHouse) -> None:
    for given, status, kind in (
        ("", 401, "no_credentials"),
        ("Bearer prt_wrong", 401, "bad_credentials"),
        ("Digest x", 401, "no_credentials"),
        ("Basic !", 400, "bad_credentials"),
        (basic(ANN, "wrong"), 401, "bad_credentials"),
        (f"Bearer {api.tokens['ann read-events']}", 403, "not_allowed"),
    ):
        answer = await api.send({"Authorization": given})
        assert (answer.status, answer.json["kind"]) == (status, kind), given
        assert answer.headers["content-type"] == "application/problem+json"
        if status == 401:
            assert answer.headers.get_all("www-authenticate")[0].startswith("Bearer ")
    assert (await api.send({"Authorization": basic(ANN, PASSWORD)})).status == 202
    assert api.events.of("login.failed")[0]["mechanism"] == "TOKEN"
    assert "prt_wrong" not in str(api.events.of("login.failed"))


async def test_guessing_is_stopped(api: ApiHouse) -> None:
    for _ in range(3):
        assert (await api.send({"Authorization": "Bearer prt_guess"})).status == 401
    answer = await api.send({"Authorization": "Bearer prt_guess"})
    assert (answer.status, answer.json["kind"]) == (429, "too_many_failures")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_body_is_not_read_from_strangers(api: ApiHouse) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n" + b"x" * 1000)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 401 ")
    writer.close()


BAD: list[tuple[dict[str, Any], int, str, str]] = [
    ({"from_": "ben@here.test"}, 403, "not_allowed", ""),
    ({"from_": "x@far.test"}, 403, "not_allowed", ""),
    ({"from_": "nonsense"}, 422, "bad_address", "from"),
    ({"to": ["a@here.test, b@here.test"]}, 422, "bad_address", "to"),
    ({"to": ["nobody@here.test"]}, 422, "refused", ""),
    ({"to": []}, 422, "no_recipients", "to"),
    ({"text": None}, 422, "empty", "text"),
    ({"subject": "a\r\nBcc: x@far.test"}, 422, "bad_field", "Subject"),
    ({"headers": {"X-A": "a\nb"}}, 422, "bad_field", "X-A"),
    ({"headers": {"Received": "x"}}, 422, "bad_field", "headers.Received"),
    ({"headers": {"DKIM-Signature": "x"}}, 422, "bad_field", "headers.DKIM-Signature"),
    ({"headers": {"X A": "x"}}, 422, "bad_field", "headers"),
    ({"attachments": [{"name": "a", "content": "no base64!"}]}, 422, "bad_field", "attachments[0].content"),
    ({"attachments": [{"name": "a", "content": "", "type": "x"}]}, 422, "bad_field", "attachments.type"),
    ({"unknown": 1}, 422, "bad_field", ""),
    ({"send_at": "tomorrow"}, 422, "bad_field", "send_at"),
    ({"send_at": "2026-11-22T10:00:00"}, 422, "bad_field", "send_at"),
    ({"send_at": "2999-01-01T00:00:00Z"}, 422, "refused", ""),
]


@pytest.mark.parametrize(("given", "status", "kind", "field"), BAD)
async def test_what_cannot_be_sent(api: ApiHouse, given: dict[str, Any], status: int, kind: str, field: str) -> None:
    answer = await api.send(**given)
    told = answer.json
    assert (answer.status, told["kind"], told.get("field", "")) == (status, kind, field), told
    assert told["status"] == status
    assert len(told["detail"]) > 10
    assert await api.queued() == []


async def test_requests_that_cannot_be_read(api: ApiHouse) -> None:
    for body, kind, status in (
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"", "", 415),
    ):
        answer = await api.ask("POST", "/api/v1/messages", body, Content_Type=kind)
        assert answer.status in (status, 422), answer.body
    assert (await api.ask("POST", "/api/v1/messages", b"From: x", Content_Type="text/plain")).status == 415
    for raw in (b"\0", b"no header", b"From: ann@here.test\nFrom: ann@here.test\nTo: ben@here.test\n\n"):
        answer = await api.ask("POST", "/api/v1/messages", raw, Content_Type="message/rfc822")
        assert answer.status == 422, answer.body
    for query in ("x=1", "require_tls=maybe", "send_at=now"):
        answer = await api.ask("POST", f"/api/v1/messages?{query}", RAW, Content_Type="message/rfc822")
        assert answer.status == 422, answer.body
    assert (await api.ask("PUT", "/api/v1/messages", b"")).status == 405
    assert await api.queued() == []


async def test_too_large(api: ApiHouse) -> None:
    answer = await api.ask("POST", "/api/v1/messages", b"x" * 9_000_000, Content_Type="message/rfc822")
    assert (answer.status, answer.json["kind"]) == (413, "too_large")
    file = {"name": "a", "content": base64.b64encode(bytes(7_000_000)).decode()}
    answer = await api.send(attachments=[file])
    assert (answer.status, answer.json["enhanced"]) == (413, "5.3.4")
    assert await api.queued() == []


async def test_some_recipients_are_refused(api: ApiHouse) -> None:
    answer = await api.send(to=["ben@here.test", "nobody@here.test"])
    assert answer.status == 202
    assert answer.json["refused"] == [
        {
            "address": "nobody@here.test",
            "code": 550,
            "enhanced": "5.1.1",
            "text": "<nobody@here.test> is not known here",
        }
    ]
    (refused,) = api.events.of("mail.refused")
    assert (refused["recipient"], refused["stage"], refused["login"]) == ("nobody@here.test", "rcpt", ANN)


async def test_a_sending_limit(api: ApiHouse) -> None:
    for _ in range(3):
        assert (await api.send(to=["out@far.test"])).status == 202
    answer = await api.send(to=["out@far.test"])
    assert (answer.status, answer.json["kind"], answer.json["code"]) == (429, "sending_limit", 450)
    assert 0 < int(answer.headers["retry-after"]) <= 90000
    assert "Sending limit" in answer.json["detail"]
    assert (await api.send()).status == 202  # inside is not limited


async def test_the_store_is_out_of_order(api: ApiHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(entry: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(api.store.queue, "accept", broken)
    answer = await api.send()
    assert (answer.status, answer.json["code"]) == (503, 452)
    assert int(answer.headers["retry-after"]) > 0


async def test_a_key_sends_once(api: ApiHouse) -> None:
    key = {"Idempotency_Key": "order-17"}
    first = await api.send(key)
    again = await api.send(key)
    assert (first.status, again.status) == (202, 202)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await api.queued()) == 1
    other = await api.send(key, subject="Another")
    assert (other.status, other.json["kind"]) == (422, "key_reused")
    theirs = {"Authorization": f"Bearer {api.tokens['ben send']}", **key}
    assert (await api.send(theirs, from_="ben@here.test")).status == 202
    assert (await api.send({"Idempotency_Key": "a b"})).status == 400
    assert len(await api.queued()) == 2


async def test_a_refused_request_may_be_mended(api: ApiHouse) -> None:
    key = {"Idempotency_Key": "k"}
    assert (await api.send(key, to=["nobody@here.test"])).status == 422
    assert (await api.send(key)).status == 202


async def test_a_key_under_way(api: ApiHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    accept, gate, asked = api.store.queue.accept, asyncio.Event(), asyncio.Event()

    async def slow(entry: Any) -> Any:
        asked.set()
        await gate.wait()
        return await accept(entry)

    monkeypatch.setattr(api.store.queue, "accept", slow)
    key = {"Idempotency_Key": "k"}
    first = asyncio.create_task(api.send(key))
    await asked.wait()
    second = await api.send(key)
    assert (second.status, second.json["kind"]) == (409, "in_progress")
    gate.set()
    assert (await first).status == 202


async def test_who_hangs_up_gets_the_same_answer_later(api: ApiHouse) -> None:
    body = b'{"from": "ann@here.test", "to": ["ben@here.test"], "text": "x"}'
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (api.tokens["ann send"].encode(), len(body), body)
    )
    await writer.drain()
    writer.transport.abort()
    answers = []
    for _ in range(100):
        answers.append(
            await api.ask("POST", "/api/v1/messages", body, Idempotency_Key="k", Content_Type="application/json")
        )
        if answers[-1].status != 409:
            break
    assert answers[-1].status == 202
    assert len(await api.queued()) == 1


async def test_cut_anywhere(api: ApiHouse) -> None:
    body = b'{"from": "ann@here.test", "to": ["ben@here.test"], "text": "x"}'
    request = (
        b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (api.tokens["ann send"].encode(), len(body), body)
    )
    for cut in range(0, len(request) - 1, 7):
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(request[:cut])
        await writer.drain()
        writer.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    for octet in request:
        writer.write(bytes((octet,)))
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 202 ")
    writer.close()
    assert len(await api.queued()) == 1


async def test_what_became_of_it(api: ApiHouse) -> None:
    told = (await api.send(to=["ben@here.test", "nobody@here.test"])).json
    path = f"/api/v1/messages/{told['id']}"
    found = (await api.ask("GET", path)).json
    assert found["state"] == "partly"
    assert {one["address"]: one["state"] for one in found["recipients"]} == {
        "ben@here.test": "waiting",
        "nobody@here.test": "refused",
    }
    reader = f"Bearer {api.tokens['ann read-events']}"
    assert (await api.ask("GET", path, Authorization=reader)).status == 200
    assert (await api.ask("DELETE", path, Authorization=reader)).status == 403
    theirs = f"Bearer {api.tokens['ben send']}"
    assert (await api.ask("GET", "/api/v1/messages/zzz")).status == 404
    assert (await api.ask("GET", "/api/v1/messages/0000000000000")).status == 404
    assert (await api.ask("DELETE", path, Authorization=theirs)).status == 404
    (entry,) = await api.queued()
    assert entry.recipients[0].state is RecipientState.WAITING


async def test_taking_it_back(api: ApiHouse) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    told = (await api.send(send_at=later)).json
    path = f"/api/v1/messages/{told['id']}"
    waiting = (await api.ask("GET", path)).json
    assert (waiting["state"], waiting["send_at"] > 0) == ("waiting", True)
    gone = await api.ask("DELETE", path)
    assert (gone.status, gone.json["state"]) == (200, "dropped")
    assert "taken back by its sender" in gone.json["recipients"][0]["text"]
    assert await api.queued() == []
    assert (await api.ask("DELETE", path)).status == 409


async def test_the_description(api: ApiHouse) -> None:
    found = (await api.ask("GET", "/api/v1/openapi.json", Authorization="")).json
    assert found["openapi"].startswith("3.1")
    assert set(found["paths"]) == {"/api/v1/messages", "/api/v1/messages/{id}"}
    text = str(found)
    names = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(found["components"]["schemas"])
    assert "from" in found["components"]["schemas"]["Order"]["properties"]


async def test_over_tls_with_a_new_certificate(tmp_path: Path, pair: Tls) -> None:
    house = ApiHouse(tmp_path / "data", tls=pair)
    await house.start()
    try:
        assert (await house.send()).status == 202
        (entry,) = await house.queued()
        assert b"with HTTP (TLSv1.3 " in entry.content.read()
        assert house.certificates is not None
        house.certificates.reload(pair)
        assert (await house.send()).status == 202
    finally:
        await house.stop()
