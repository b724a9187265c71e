"""`postroom explain`: for a person, as JSON, and in batches."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.cli.explain_batch import answer, run_batch
from postroom.cli.main import main
from postroom.testing.dnsserver import running

ZONE: dict[str, Any] = {
    "example.org": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all exp=why.example.org"], "A": ["192.0.2.1"]},
    "why.example.org": {"TXT": [["%{i} is not ", "ours"]]},
    "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject; sp=quarantine; np=none"]},
    "slow.example": {"A": ["192.0.2.1"], "*": "TIMEOUT"},
}
MESSAGE = b"""\
Return-Path: <ann@example.org>
Received: from mx.example.net (mx.example.net [203.0.113.9])
\tby mail.example.com with ESMTPS id 1; Mon, 2 Mar 2026 10:00:00 +0000
Received: from elsewhere ([192.0.2.1]) by mx.example.net; Mon, 2 Mar 2026 09:00:00 +0000
From: Ann <ann@example.org>
Subject: test

Text
"""


@pytest.fixture
def explain(capsysbinary: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the command in an empty folder with a zone file and octets on standard input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTROOM_CONFIG", raising=False)
    Path("zone.json").write_text(json.dumps(ZONE))
    Path("mail.eml").write_bytes(MESSAGE)

    def run(*arguments: str, stdin: bytes = b"", code: int = 0) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main(["explain", *arguments])
        out, err = capsysbinary.readouterr()
        assert int(ended.value.code or 0) == code, err
        return (out or err).decode()

    return run


def zoned(*arguments: str) -> tuple[str, ...]:
    return (*arguments, "--zone", "zone.json")


def test_spf_by_values(explain: Any) -> None:
    told = explain(*zoned("spf", "--ip", "203.0.113.9", "--from", "ann@example.org", "--helo", "mx.example.net"))
    assert told == (
        "May 203.0.113.9 send for <ann@example.org>?\n"
        "   1. example.org publishes: v=spf1 ip4:192.0.2.0/24 -all exp=why.example.org\n"
        "   2. 203.0.113.9 is not in ip4:192.0.2.0/24\n"
        "   3. -all matches: fail\n"
        "\n"
        "result          fail\n"
        "because         203.0.113.9 is not allowed by example.org: its record ends in -all; "
        "looked at: ip4:192.0.2.0/24\n"
        "mechanism       -all\n"
        "lookups         0 of 10\n"
        "the owner says  203.0.113.9 is not ours\n"
    )
    found = json.loads(explain(*zoned("spf", "--ip", "192.0.2.7", "--from", "ann@example.org", "--json")))
    assert (found["schema"], found["result"], found["mechanism"]) == (1, "pass", "ip4:192.0.2.0/24")
    assert len(found["steps"]) == 2


def test_spf_of_a_message(explain: Any) -> None:
    assert "May 203.0.113.9 send for <ann@example.org>?" in explain(*zoned("spf", "mail.eml"))
    assert json.loads(explain(*zoned("spf", "-", "--json"), stdin=MESSAGE))["helo"] == "mx.example.net"
    overridden = json.loads(explain(*zoned("spf", "mail.eml", "--ip", "192.0.2.1", "--from", "", "--json")))
    assert (overridden["result"], overridden["identity"]) == ("none", "helo")
    helo = json.loads(explain(*zoned("spf", "mail.eml", "--helo", "example.org", "--identity", "helo", "--json")))
    assert (helo["identity"], helo["result"]) == ("helo", "fail")


@pytest.mark.parametrize(
    "arguments",
    [
        ("spf",),
        ("spf", "--ip", "192.0.2.1"),
        ("spf", "--ip", "192.0.2.1", "--from", ""),
        ("spf", "--ip", "nonsense", "--from", "a@example.org"),
        ("dmarc",),
        ("dmarc", "--domain", "example.org", "--spf", "pass"),
        ("dmarc", "--domain", "example.org", "--dkim", ":example.org"),
        ("dmarc", "mail.eml", "--ip", "nonsense"),
        ("dkim",),
        ("--batch", "spf"),
    ],
)
def test_what_is_missing_is_named(explain: Any, arguments: tuple[str, ...]) -> None:
    found = explain(*(arguments if "--batch" in arguments else zoned(*arguments)), code=2)
    assert "Error: " in found


def test_zone_files_that_are_none(explain: Any) -> None:
    for text in ("", "[]", '{"a": 1}'):
        Path("zone.json").write_text(text)
        assert "is no zone data" in explain(*zoned("dmarc", "--domain", "example.org"), code=1)
    assert "gone.json" in explain("dmarc", "--domain", "example.org", "--zone", "gone.json", code=1)


def test_dmarc_by_values(explain: Any) -> None:
    told = explain(
        *zoned("dmarc", "--domain", "example.org", "--spf", "pass:example.net", "--dkim", "fail:example.org")
    )
    assert told.startswith("Is example.org in From proven?\n   1. asked for _dmarc.example.org\n")
    assert "\nresult        fail\npolicy        reject\n" in told
    assert "\npolicy is at  _dmarc.example.org\n" in told
    found = json.loads(explain(*zoned("dmarc", "--domain", "sub.example.org", "--dkim", "PASS:example.org", "--json")))
    assert (found["result"], found["policy"], found["dkim_aligned"]) == ("pass", "none", True)
    assert found["record"]["subdomains"] == "quarantine"


def test_dmarc_of_a_message(explain: Any) -> None:
    found = json.loads(explain(*zoned("dmarc", "mail.eml", "--json")))
    assert (found["result"], found["policy"], found["domain"]) == ("fail", "reject", "example.org")
    assert "SPF said fail for example.org" in found["reason"]
    assert json.loads(explain(*zoned("dmarc", "mail.eml", "--ip", "192.0.2.1", "--json")))["spf_aligned"]
    Path("two.eml").write_bytes(b"From: a@example.org\n" + MESSAGE)
    assert "2 From fields" in explain(*zoned("dmarc", "two.eml"), code=1)
    Path("none.eml").write_bytes(MESSAGE.replace(b"From: Ann <ann@example.org>", b"From: Ann"))
    assert "exactly one domain" in explain(*zoned("dmarc", "none.eml"), code=1)
    Path("bare.eml").write_bytes(b"From: a@example.org\n\nx")
    assert "there was no SPF or DKIM result" in json.loads(explain(*zoned("dmarc", "bare.eml", "--json")))["reason"]


def test_dkim_and_arc_of_a_message(explain: Any) -> None:
    assert explain(*zoned("dkim", "mail.eml")) == "The message is not signed.\n"
    assert json.loads(explain(*zoned("arc", "mail.eml", "--json")))["result"] == "none"
    assert "\nresult   none\n" in explain(*zoned("arc", "mail.eml"))
    Path("signed.eml").write_bytes(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=; b=\n" + MESSAGE
    )
    assert "\nresult   permerror\n" in explain(*zoned("dkim", "signed.eml"))
    assert len(json.loads(explain(*zoned("dkim", "signed.eml", "--json")))["results"]) == 1


def test_the_live_dns(explain: Any) -> None:
    with running({name: types for name, types in ZONE.items() if name != "slow.example"}) as server:
        live = ("--dns", f"127.0.0.1:{server.port}", "--json")
        found = json.loads(explain("spf", "--ip", "203.0.113.9", "--from", "ann@example.org", *live))
        assert (found["result"], found["explanation"]) == ("fail", "203.0.113.9 is not ours")
        found = json.loads(explain("dmarc", "mail.eml", *live))
        assert (found["result"], found["policy"]) == ("fail", "reject")
    assert "Error: " in explain("spf", "--ip", "192.0.2.1", "--from", "a@b.example", "--dns", "no address", code=2)


@pytest.mark.parametrize(
    ("received", "ip", "helo"),
    [
        ("from mx.a.example (rdns.a.example [192.0.2.1]) by x", "192.0.2.1", "mx.a.example"),
        ("from mx.a.example ([IPv6:2001:db8::1]) by x", "2001:db8::1", "mx.a.example"),
        ("from [192.0.2.1] (port=4 helo=mx.a.example) by x", "192.0.2.1", "mx.a.example"),
        ("from [192.0.2.1] by x", "192.0.2.1", "[192.0.2.1]"),
        ("from rdns.a.example (HELO mx.a.example) ([192.0.2.1]) by x", "192.0.2.1", "mx.a.example"),
        ("by x with LMTP", "", ""),
    ],
)
def test_received_fields(received: str, ip: str, helo: str) -> None:
    from postroom.cli.explain_message import envelope_of

    found = envelope_of(f"Received: by local\r\nReceived: {received}; date\r\n\r\n".encode())
    assert (found.ip, found.helo, found.sender) == (ip, helo, None)


# --batch


def ask(**request: Any) -> dict[str, Any]:
    return answer(json.dumps(request).encode())


def test_batch_spf() -> None:
    request = {"check": "spf", "dns": ZONE, "helo": "mx.example.net", "receiver": "mx.example.com"}
    failed = ask(id="a", ip="203.0.113.9", mail_from="ann@example.org", **request)
    assert (failed["id"], failed["result"], failed["explanation"]) == ("a", "fail", "203.0.113.9 is not ours")
    passed = ask(id=7, ip="192.0.2.9", mail_from="<ann@example.org>", **request)
    assert (passed["id"], passed["result"], passed["explanation"]) == (7, "pass", "")
    assert ask(ip="192.0.2.9", mail_from="", **request)["result"] == "none"
    assert ask(ip="192.0.2.9", mail_from=None, **{**request, "helo": "example.org"})["result"] == "pass"
    assert ask(ip="192.0.2.9", mail_from="a@slow.example", **request)["result"] == "temperror"


def test_batch_dmarc() -> None:
    request = {"check": "dmarc", "dns": ZONE}
    by_spf = {"result": "pass", "domain": "example.net"}
    failed = ask(id=None, **request, **{"from": "example.org"}, spf=by_spf, dkim=[])
    assert (failed["id"], failed["result"], failed["policy"]) == (None, "fail", "reject")
    signed = [{"result": "fail", "domain": "example.org"}, {"result": "Pass", "domain": "example.org"}]
    passed = ask(id=1, **request, **{"from": "Ann <ann@mail.example.org>"}, spf=None, dkim=signed)
    assert passed["result"] == "pass"
    assert ask(**request, **{"from": "example.com"})["result"] == "none"


def test_batch_dkim_and_arc() -> None:
    octets = base64.b64encode(MESSAGE).decode()
    assert ask(id=1, check="dkim", dns=ZONE, message=octets, time=1700000000) == {"id": 1, "results": []}
    assert ask(id=2, check="arc", dns=ZONE, message=octets, time=1700000000)["result"] == "none"
    broken = base64.b64encode(b"DKIM-Signature: v=1\r\n" * 2 + MESSAGE).decode()
    assert [one["result"] for one in ask(check="dkim", dns={}, message=broken)["results"]] == ["permerror"] * 2


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b'{"id": 1, "check": "bimi"}', {"id": 1, "error": "unsupported"}),
        (b'{"id": {"a": [1]}}', {"id": {"a": [1]}, "error": "unsupported"}),
        (b'{"id": 1, "check": ["spf"]}', {"id": 1, "error": "unsupported"}),
        (b'{"check": "spf"}', {"error": '"ip" must be a string'}),
        (b'{"id": 1, "check": "spf", "ip": "1.2.3.4", "helo": 7}', {"id": 1, "error": '"helo" must be a string'}),
        (b'{"id": 1, "check": "dmarc"}', {"id": 1, "error": '"from" must be a string'}),
        (b'{"id": 1, "check": "dmarc", "from": "a.b", "dkim": 1}', {"id": 1, "error": '"dkim" must be a list'}),
        (b"[]", {"error": "a request is a JSON object"}),
    ],
)
def test_requests_that_cannot_be_answered(line: bytes, reply: dict[str, Any]) -> None:
    assert answer(line) == reply


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        (b'{"id": "x\\"y", "check": "spf", ', 'x"y'),
        (b'{"check": 1, "id": 42 "b"}', 42),
        (b"{", None),
        (b"\xff\xfe", None),
        (b"[" * 200_000, None),
        (b'{"id": 1, "check": "spf", "ip": "1.2.3.4", "dns": {"a": {"MX": ["x"]}}}', 1),
        (b'{"id": 1, "check": "spf", "ip": "1.2.3.400"}', 1),
        (b'{"id": 1, "check": "dkim", "message": "?"}', 1),
        (b'{"id": 1, "check": "dkim", "message": "", "time": "now"}', 1),
        (b'{"id": 1, "check": "arc", "message": "", "time": 1e300}', 1),
        (b'{"id": 1, "check": "dmarc", "from": "a.b", "spf": []}', 1),
    ],
)
def test_bad_lines_tell_whose_they_are(line: bytes, id_: object) -> None:
    reply = answer(line)
    assert reply.get("id") == id_
    assert reply["error"]
    assert "internal" not in reply["error"]


def batch(source: bytes, longest: int = 1000) -> list[dict[str, Any]]:
    target = io.BytesIO()
    run_batch(io.BytesIO(source), target, longest)
    return [json.loads(line) for line in target.getvalue().splitlines()]


def test_a_bad_line_never_stops_the_run(explain: Any) -> None:
    lines = b'{"id": 1}\n\n  \nnonsense\n{"id": 2, "check": "dmarc", "from": "x.example"}\r\n{"id": 3}'
    assert [one.get("id") for one in batch(lines)] == [1, None, 2, 3]
    long = b'{"id": 1}\n{"x": "' + b"y" * 5000 + b'"}\n{"id": 2}\n'
    assert [one.get("id") for one in batch(long)] == [1, None, 2]
    assert "1000 octets" in batch(long)[1]["error"]
    assert batch(b"") == []
    told = explain("--batch", stdin=lines)
    assert [json.loads(line).get("id") for line in told.splitlines()] == [1, None, 2, 3]


def test_lone_surrogates_come_back() -> None:
    assert batch(b'{"id": "\\ud800", "check": "?"}\n') == [{"id": "\ud800", "error": "unsupported"}]


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=20), st.just("TIMEOUT")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
_FIELDS = st.sampled_from(["ip", "helo", "mail_from", "receiver", "message", "time", "from", "spf", "dkim"])


@settings(max_examples=100)
@given(st.sampled_from(["spf", "dkim", "arc", "dmarc"]), st.dictionaries(_FIELDS, _JSON), _JSON)
def test_any_request_gets_an_answer(check: str, fields: dict[str, Any], dns: Any) -> None:
    zone = {"example.org": dns, "_dmarc.example.org": {"TXT": dns}}
    for names in (zone, dns):
        reply = ask(id=1, check=check, **{"ip": "192.0.2.1", "from": "example.org", **fields, "dns": names})
        assert reply["id"] == 1
        assert "internal" not in reply.get("error", "")
