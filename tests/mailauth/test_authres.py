"""Authentication-Results: printed, read, and forged ones removed (RFC 8601)."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailauth.authres import (
    AuthenticationResults,
    BadResults,
    MethodResult,
    Property,
    arc_result,
    claims,
    dkim_results,
    dmarc_result,
    parse,
    remove_forged,
    spf_result,
)
from postroom.mailauth.dmarc import Identifier, evaluate
from postroom.mailauth.spf import check
from postroom.mailauth.zone import ZoneData, finished

from .signing import MESSAGE, NOW, signed, verify
from .test_arc import arc, chain

US = "mail.example.org"

HEAVY = (  # RFC 8601 B.7
    b" foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
    b"      policy (A dot can go here) . (like that) expired\r\n      (this surprised me)"
    b" = (as I wasn't expecting it) 1362471462"
)


def summary(field: AuthenticationResults) -> list[str]:
    return [f"{one.method}={one.result}" for one in field.results]


# RFC 8601 B.2 to B.7
@pytest.mark.parametrize(
    ("value", "who", "results"),
    [
        (b" example.org 1; none", "example.org", []),
        (b" example.com;\r\n          spf=pass smtp.mailfrom=example.net", "example.com", ["spf=pass"]),
        (
            b" example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
            b" spf=pass smtp.mailfrom=example.net",
            "example.com",
            ["auth=pass", "spf=pass"],
        ),
        (b" example.com; iprev=pass\r\n policy.iprev=192.0.2.200", "example.com", ["iprev=pass"]),
        (
            b" example.com;\r\n dkim=pass (good signature) header.d=example.com",
            "example.com",
            ["dkim=pass"],
        ),
        (
            b" example.com;\r\n dkim=pass reason=\"good signature\"\r\n header.i=@mail-router.example.net;\r\n"
            b" dkim=fail reason=\"bad signature\"\r\n header.i=@newyork.example.com",
            "example.com",
            ["dkim=pass", "dkim=fail"],
        ),
        (
            HEAVY,
            "foo.example.net",
            ["dkim=fail"],
        ),
    ],
)  # fmt: skip
def test_the_examples(value, who, results):
    found = parse(value)
    assert (found.authserv_id, summary(found)) == (who, results)


def test_the_heavy_example():
    found = parse(HEAVY)
    assert found.results[0].property("policy", "expired") == "1362471462"


def test_what_others_write():
    found = parse(
        b" mx.google.com;\r\n       dkim=pass header.i=@example.com header.s=s1 header.b=aB/c+d=;\r\n"
        b"       spf=pass (google.com: domain of x@y.example designates 192.0.2.1 as permitted sender)"
        b" smtp.mailfrom=x@y.example;\r\n       dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=example.com"
    )
    assert found.results[0].property("header", "b") == "aB/c+d="
    assert found.results[1].comment.startswith("google.com: domain of")
    assert found.results[2].property("header", "from") == "example.com"
    quoted = parse(b'a.example; spf=pass smtp.mailfrom="a \\"b\\" c"@example.com reason.x=y')
    assert quoted.results[0].property("smtp", "mailfrom") == 'a "b" c@example.com'
    assert parse(b'"a b"; none').authserv_id == "a b"
    assert parse(b"a.example").results == ()
    assert summary(parse(b"a.example; dkim/2=pass; spf=fail;")) == ["spf=fail"]  # RFC 8601 2.6


@pytest.mark.parametrize(
    "value",
    [b"", b";", b"a.example 2; dkim=pass", b"a.example dkim=pass", b"a.example; dkim", b"a.example; dkim=", b"a; (x",
     b"a.example; dkim=pass header", b"a.example; dkim=pass header.d", b"a.example; none; dkim=pass x", b"a; b=c d=e",
     b'a.example; dkim=pass reason="x', b"a" * 70_000, b"a; " + b"x=y;" * 1000],
)  # fmt: skip
def test_what_cannot_be_read(value):
    with pytest.raises(BadResults):
        parse(value)


def test_printing():
    found = AuthenticationResults(
        US,
        (
            MethodResult("dkim", "pass", comment="2048-bit key", properties=(Property("header", "d", "example.com"),)),
            MethodResult("spf", "fail", 'it said "no"', properties=(Property("smtp", "mailfrom", "a@b.example"),)),
        ),
    )
    assert found.field() == (
        b"Authentication-Results: mail.example.org;\r\n dkim=pass (2048-bit key) header.d=example.com;\r\n"
        b' spf=fail reason="it said \\"no\\"" smtp.mailfrom=a@b.example\r\n'
    )
    assert AuthenticationResults(US).field() == b"Authentication-Results: mail.example.org;\r\n none\r\n"


def test_what_our_checks_say():
    dns = ZoneData(
        {"example.org": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}, "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]}}
    )
    spf = finished(check(dns, "192.0.2.1", "mx.example.org", "ann@example.org", US, NOW))
    dmarc = finished(evaluate(dns, "example.org", Identifier(spf.result, spf.domain), verify(signed())))
    results = (
        *dkim_results(verify(signed())),
        spf_result(spf, "ann@example.org", "mx.example.org"),
        dmarc_result(dmarc),
        arc_result(arc(chain(2)), "192.0.2.1"),
    )
    found = parse(AuthenticationResults(US, results).payload())
    assert summary(found) == ["dkim=pass", "dkim=pass", "spf=pass", "dmarc=pass", "arc=pass"]
    assert found.results[0].property("header", "d") == "example.org"
    assert found.results[0].property("header", "s") == "rsa1"
    assert found.results[0].property("header", "a") == "rsa-sha256"
    assert found.results[0].comment == "1024-bit key"
    assert len(found.results[0].property("header", "b")) >= 8  # RFC 6008 4
    assert found.results[0].property("header", "b") != found.results[1].property("header", "b")
    assert found.results[2].property("smtp", "mailfrom") == "ann@example.org"
    assert found.results[3].property("header", "from") == "example.org"
    assert found.results[4].property("header", "oldest-pass") == "0"
    assert found.results[4].property("smtp", "remote-ip") == "192.0.2.1"


def test_nothing_found():
    dns = ZoneData({})
    spf = finished(check(dns, "192.0.2.1", "mx.example.org", "", US, NOW))
    results = (
        *dkim_results(verify(MESSAGE)),
        spf_result(spf, "", "mx.example.org"),
        dmarc_result(finished(evaluate(dns, "example.org", spf, ()))),
        arc_result(arc(MESSAGE), ""),
    )
    found = parse(AuthenticationResults(US, results).payload())
    assert summary(found) == ["dkim=none", "spf=none", "dmarc=none", "arc=none"]
    assert found.results[1].property("smtp", "helo") == "mx.example.org"
    failed = dkim_results(verify(signed().replace(b"Hi.", b"Ho.")))
    assert (
        parse(AuthenticationResults(US, failed).payload()).results[0].reason
        == "the body was changed after it was signed"
    )


TEXTS = st.text(max_size=60)
PROPERTIES = st.builds(Property, st.sampled_from(["header", "smtp"]), st.sampled_from(["d", "mailfrom"]), TEXTS)
RESULTS = st.builds(
    MethodResult,
    st.sampled_from(["dkim", "spf", "x-y"]),
    st.sampled_from(["pass", "fail", "none"]),
    TEXTS,
    TEXTS,
    st.lists(PROPERTIES, max_size=3).map(tuple),
)


@given(TEXTS, st.lists(RESULTS, max_size=4), st.booleans())
def test_no_text_breaks_out_of_its_place(who, results, utf8):
    printed = AuthenticationResults(who or "x", tuple(results)).field(utf8)
    assert printed.endswith(b"\r\n")
    assert not re.search(rb"\r\n(?! [^ ])(?!\Z)|(?<!\r)\n|\r(?!\n)|[\x00-\x09\x0e-\x1f\x7f]", printed)
    assert utf8 or printed.isascii()
    assert max(map(len, printed.split(b"\r\n"))) <= 998
    found = parse(printed.partition(b":")[2])
    assert summary(found) == [f"{one.method}={one.result}" for one in results]
    for one, wanted in zip(found.results, results, strict=True):
        assert [(part.ptype, part.name) for part in one.properties] == [(p.ptype, p.name) for p in wanted.properties]
        if wanted.reason.isascii() and wanted.reason.isprintable():
            assert one.reason == wanted.reason
        for part, given_part in zip(one.properties, wanted.properties, strict=True):
            if given_part.value.isascii() and given_part.value.isprintable() and '"' not in given_part.value:
                assert part.value == given_part.value


def test_long_values_are_cut():
    long = MethodResult(
        "spf", "pass", "r" * 5000, "c" * 5000, (Property("smtp", "mailfrom", "a" * 5000 + "@b.example"),)
    )
    printed = AuthenticationResults("x" * 5000, (long,)).field()
    assert max(map(len, printed.split(b"\r\n"))) <= 998
    assert summary(parse(printed.partition(b":")[2])) == ["spf=pass"]


@pytest.mark.parametrize(
    "value",
    [
        b" mail.example.org; dkim=pass",
        b"mail.example.org;dkim=pass",
        b" MAIL.Example.ORG; dkim=pass",
        b"\r\n mail.example.org;\r\n dkim=pass",
        b' "mail.example.org"; dkim=pass',
        b' "mail.\\example.org"; dkim=pass',
        b" (comment) mail.example.org; dkim=pass",
        b" (a (nested) comment) mail.example.org (more); dkim=pass",
        b" (a; b) mail.example.org; dkim=pass",
        b" mail.exa(x)mple.org; dkim=pass",
        b" (unclosed mail.example.org; dkim=pass",
        b" mail.example.org 1; dkim=pass",
        b" mail.example.org/1; dkim=pass",
        b" mail.example.org 99; dkim=pass",
        b" mail.example.org(x)1; dkim=pass",
        b" mail.example.org.; dkim=pass",
        b" mail.example.org",
        b" mail.example.org dkim=pass",
        b" mail.exam\x00ple.org; dkim=pass",
        " mail.exa\u200bmple.org; dkim=pass".encode(),
        " mail\uff0eexample.org; dkim=pass".encode(),
        b" =?utf-8?q?mail=2Eexample=2Eorg?=; dkim=pass",
        b" x mail.example.org; dkim=pass",
    ],
)
def test_fields_that_claim_to_be_ours(value):
    assert claims(value, [US])
    header = b"From: a@example.com\r\nAuthentication-Results:" + value + b"\r\nTo: b@example.com\r\n\r\n"
    assert remove_forged(header, [US]) == b"From: a@example.com\r\nTo: b@example.com\r\n\r\n"


@pytest.mark.parametrize(
    "value",
    [b" mail.example.com; dkim=pass", b" example.org; dkim=pass", b" xmail.example.org; dkim=pass", b"", b";",
     b" mail.example.org.evil.example; dkim=pass", b" a.example; dkim=pass header.d=mail.example.org",
     b" a.example 1; dkim=pass"],
)  # fmt: skip
def test_fields_of_others(value):
    assert not claims(value, [US])
    header = b"Authentication-Results:" + value + b"\r\nTo: b@example.com\r\n\r\n"
    assert remove_forged(header, [US]) == header


def test_several_ids_and_international_ones():
    assert claims(b"b.example; none", ["a.example", "b.example"])
    assert claims("bücher.example; none".encode(), ["xn--bcher-kva.example"])
    assert claims(b"xn--bcher-kva.example; none", ["bücher.example"])


def test_versions_nobody_knows():  # RFC 8601 5
    header = b"Authentication-Results: a.example 2; dkim=pass\r\nTo: b@example.com\r\n\r\n"
    assert remove_forged(header, [US]) == b"To: b@example.com\r\n\r\n"


@pytest.mark.parametrize("name", [b"authentication-results", b"AUTHENTICATION-RESULTS", b"Authentication-Results "])
def test_names_of_the_field(name):
    ours = name + b": mail.example.org;\r\n dkim=pass\r\n\theader.d=x\r\n"
    for header in (ours, b"A: b\r\n" + ours + b"\r\n", ours + ours + b"\r\n"):
        assert b"dkim" not in remove_forged(header, [US])
    assert remove_forged(b"X-" + ours + b"ARC-" + ours, [US]) == b"X-" + ours + b"ARC-" + ours


def test_folded_text_of_other_fields_stays():
    header = b"Subject: x\r\n authentication-results: mail.example.org; dkim=pass\r\n\r\n"
    assert remove_forged(header, [US]) == header


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_bare_line_ends_do_not_hide_it(end):
    header = b"A: b" + end + b"Authentication-Results: mail.example.org; dkim=pass" + end + b"C: d\r\n\r\n"
    assert remove_forged(header, [US]) == b"A: b" + end + b"C: d\r\n\r\n"


@settings(max_examples=60)
@given(st.lists(st.sampled_from([b"(", b")", b'"', b"\\", b";", b"=", b".", b"a", b" ", b"1", b"/", b"\r\n ", b"\xff",
    b"dkim", b"pass", b"reason", b"=?utf-8?q?"]), max_size=40))  # fmt: skip
def test_no_octets_make_it_raise(parts):
    value = b"".join(parts)
    claims(value, [US])
    remove_forged(b"Authentication-Results:" + value, [US])
    try:
        parse(value)
    except BadResults as fault:
        assert str(fault)


@pytest.mark.parametrize(
    "unit", [b"(", b"()", b"(a", b'"', b"\\(", b";", b"a;", b"a.", b"=", b"\r\n ", b"a=b c.d=e ", b"=?"]
)
def test_junk_costs_little(unit):
    value = b"x; " + unit * (1_000_000 // len(unit))
    begun = time.process_time()
    claims(value, [US])
    claims(value[3:], [US])
    remove_forged(b"Authentication-Results: " + value + b"\r\n", [US])
    for size in (60_000, 1_000_000):
        with contextlib.suppress(BadResults):
            parse(value[:size])
    remove_forged(b"Authentication-Results: x\r\n" * 20_000, [US])
    assert time.process_time() - begun < 2


@settings(max_examples=40)
@given(st.lists(RESULTS, max_size=4))
def test_another_reader_agrees(results):
    authres = pytest.importorskip("authres", reason="authres is not installed")
    if any(not found.value for one in results for found in one.properties):
        return  # it does not know the empty quoted string
    printed = AuthenticationResults(US, tuple(results)).field().decode()
    theirs = authres.AuthenticationResultsHeader.parse(printed.replace("\r\n", "\n").rstrip("\n").replace("\n", ""))
    assert theirs.authserv_id == US
    assert [(one.method, one.result) for one in theirs.results] == [(one.method, one.result) for one in results]
