"""TLSA records against chains: what fits, what does not, and what is no use."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from postroom.net.chains import CertificateRefused, fits
from postroom.net.tlsa import usable, verify
from postroom.testing.authority import Authority, Issued

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
AT = NOW.timestamp()
HOST = "mx.far.test"
ROOT = Authority("root", NOW)
MIDDLE = Authority("middle", NOW, parent=ROOT)
LEAF = MIDDLE.issue(HOST)
SHOWN = (*LEAF.shown, ROOT.issued.der)


def refused(records: list[Any], shown: tuple[bytes, ...] = SHOWN, name: str = HOST) -> tuple[str, str]:
    with pytest.raises(CertificateRefused) as caught:
        verify(records, shown, [name], AT)
    return caught.value.kind, str(caught.value)


EVERY_FORM = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


@pytest.mark.parametrize(("selector", "matching"), EVERY_FORM)
def test_the_certificate_itself(selector: int, matching: int) -> None:
    record = LEAF.tlsa(3, selector, matching)
    assert usable([record]) == (record,)
    verify([record], LEAF.shown, ["another.test"], AT)
    other = MIDDLE.issue(HOST)
    assert refused([record], other.shown)[0] == "tlsa"


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_names_and_dates_do_not_matter_when_the_certificate_itself_is_named(days: tuple[int, int]) -> None:
    leaf = Authority("nobody", NOW).issue("elsewhere.test", days=days)
    verify([leaf.tlsa(3)], leaf.shown, [HOST], AT)


@pytest.mark.parametrize(("selector", "matching"), EVERY_FORM)
@pytest.mark.parametrize("anchor", [ROOT.issued, MIDDLE.issued])
def test_an_authority_above_it(anchor: Issued, selector: int, matching: int) -> None:
    record = anchor.tlsa(2, selector, matching)
    assert usable([record]) == (record,)
    verify([record], SHOWN, [HOST], AT)
    verify([record], (SHOWN[0], *reversed(SHOWN[1:])), [HOST], AT)  # in any order
    stranger = Authority("root", NOW)
    assert refused([stranger.issued.tlsa(2, selector, matching)])[0] == "tlsa"


@pytest.mark.parametrize("selector", [0, 1])
def test_an_authority_that_the_server_does_not_send(selector: int) -> None:
    verify([ROOT.issued.tlsa(2, selector, 0)], LEAF.shown, [HOST], AT)
    assert refused([ROOT.issued.tlsa(2, selector, 1)], LEAF.shown)[0] == "tlsa"


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()])
def test_bare_keys_of_other_kinds(key: Any) -> None:
    plain = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    root = Authority("root", NOW, key=key, hash=plain)
    leaf = root.issue(HOST, hash=plain)
    verify([root.issued.tlsa(2, 1, 0)], leaf.shown, [HOST], AT)
    assert refused([root.issued.tlsa(2, 1, 0)], LEAF.shown)[0] == "tlsa"


def test_the_servers_own_certificate_is_no_authority() -> None:
    alone = Authority(HOST, NOW).issued
    assert refused([alone.tlsa(2)], alone.shown)[0] == "tlsa"


def test_below_an_authority_the_name_counts() -> None:
    record = ROOT.issued.tlsa(2)
    verify([record], SHOWN, ["far.test", HOST], AT)
    kind, text = refused([record], name="mx.other.test")
    assert (kind, text) == ("name", "the server's certificate is for mx.far.test, not for mx.other.test")
    old = ROOT.issue(common_name=HOST)
    verify([record], (*old.shown, ROOT.issued.der), [HOST], AT)
    both = ROOT.issue("x.test", common_name=HOST)
    assert refused([record], (*both.shown, ROOT.issued.der))[0] == "name"


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("mx.far.test", "mx.far.test", True),
        ("*.far.test", "mx.far.test", True),
        ("*.far.test", "far.test", False),
        ("*.far.test", "a.mx.far.test", False),
        ("*.test", "far.test", False),
        ("m*.far.test", "mx.far.test", False),
        ("*", "far.test", False),
        ("far.test", "mx.far.test", False),
        ("*.far.test", ".far.test", False),
    ],
)
def test_names_with_wildcards(pattern: str, host: str, expected: bool) -> None:
    assert fits(pattern, host) is expected


@pytest.mark.parametrize(("days", "words"), [((-30, -1), "has expired"), ((1, 30), "is not valid yet")])
def test_below_an_authority_dates_count(days: tuple[int, int], words: str) -> None:
    leaf = MIDDLE.issue(HOST, days=days)
    kind, text = refused([ROOT.issued.tlsa(2)], (*leaf.shown, ROOT.issued.der))
    assert (kind, text) == ("expired", f"the server's certificate {words}")
    middle = Authority("middle", NOW, parent=ROOT, days=days)
    leaf = middle.issue(HOST)
    assert refused([ROOT.issued.tlsa(2)], (*leaf.shown, ROOT.issued.der))[0] == "expired"


def _signed_by_a_server() -> Issued:
    return Authority("sly", NOW, parent=ROOT, basic=False).issue(HOST)


def _too_long() -> Issued:
    short = Authority("short", NOW, parent=ROOT, path_length=0)
    return Authority("below", NOW, parent=short).issue(HOST)


def _usage(**bits: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    every = dict.fromkeys((*names, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**{**every, **bits})


def _may_not_sign() -> Issued:
    return Authority("m", NOW, parent=ROOT, extensions=[(_usage(digital_signature=True), True)]).issue(HOST)


def _for_clients() -> Issued:
    return ROOT.issue(HOST, extensions=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)])


def _strange() -> Issued:
    return ROOT.issue(HOST, extensions=[(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)])


def _limits(permitted: list[str] | None, excluded: list[str] | None) -> list[tuple[x509.ExtensionType, bool]]:
    names = [[x509.DNSName(each) for each in some] if some else None for some in (permitted, excluded)]
    return [(x509.NameConstraints(*names), True)]


def _outside() -> Issued:
    return Authority("m", NOW, parent=ROOT, extensions=_limits(["other.test"], None)).issue(HOST)


def _excluded() -> Issued:
    return Authority("m", NOW, parent=ROOT, extensions=_limits(None, ["far.test"])).issue(HOST)


@pytest.mark.parametrize(
    "make", [_signed_by_a_server, _too_long, _may_not_sign, _for_clients, _strange, _outside, _excluded]
)
def test_chains_that_are_not_allowed(make: Any) -> None:
    made = make()
    assert refused([ROOT.issued.tlsa(2)], (*made.shown, ROOT.issued.der))[0] == "untrusted"


def test_an_authority_for_this_domain_only() -> None:
    middle = Authority("m", NOW, parent=ROOT, extensions=_limits([".far.test"], ["x.far.test"]))
    verify([ROOT.issued.tlsa(2)], (*middle.issue(HOST).shown, ROOT.issued.der), [HOST], AT)


def test_false_signatures_and_weak_ones() -> None:
    false = Authority("root", NOW).issue(HOST)  # the same name, another key
    assert refused([ROOT.issued.tlsa(2)], (false.der, ROOT.issued.der))[0] == "tlsa"
    key = rsa.generate_private_key(65537, 2048)
    root = Authority("old", NOW, key=key)
    try:
        weak = root.issue(HOST, hash=SHA1())
    except Exception:
        pytest.skip("this OpenSSL makes no SHA-1 signatures")
    assert refused([root.issued.tlsa(2)], (weak.der, root.issued.der))[0] == "tlsa"


def test_chains_that_go_round_and_long_ones_end() -> None:
    one, two = Authority("a", NOW), Authority("b", NOW)
    crossed = [one.issue_for(_authority("b", two)), two.issue_for(_authority("a", one))]
    leaf = one.issue(HOST)
    shown = (leaf.der, *(each.der for each in crossed), *([one.issued.der] * 90))
    assert refused([ROOT.issued.tlsa(2)], shown)[0] == "tlsa"


def _authority(name: str, whose: Authority) -> Any:
    from postroom.testing.authority import Wish

    return Wish(common_name=name, authority=True, key=whose.issued.key)


def test_a_way_is_found_behind_one_that_leads_nowhere() -> None:
    other = Authority("other root", NOW)
    astray = other.issue_for(_authority("middle", MIDDLE))  # the same name and key, from another root
    verify([ROOT.issued.tlsa(2)], (LEAF.der, astray.der, *SHOWN[1:]), [HOST], AT)


def test_records_of_no_use() -> None:
    good = LEAF.tlsa(3)
    useless = [
        (0, 1, 1, good[3]),
        (1, 1, 1, good[3]),
        (255, 1, 1, good[3]),
        (3, 2, 1, good[3]),
        (3, 1, 3, good[3]),
        (3, 1, 1, good[3][:-1]),
        (3, 1, 2, good[3]),
        (2, 0, 0, b"no certificate"),
        (3, 1, 0, b""),
    ]
    assert usable(useless) == ()
    assert usable([*useless, good]) == (good,)


def test_the_strongest_digest_counts() -> None:
    strong, weak, whole, other = LEAF.tlsa(3, 1, 2), LEAF.tlsa(3, 1, 1), LEAF.tlsa(3, 1, 0), LEAF.tlsa(3, 0, 1)
    assert usable([strong, weak, whole, other]) == (strong, whole, other)


def test_no_certificate_and_an_unreadable_one() -> None:
    assert refused([LEAF.tlsa(3)], ())[0] == "untrusted"
    assert refused([LEAF.tlsa(3)], (b"junk",))[0] == "tlsa"
    assert refused([ROOT.issued.tlsa(2)], (b"junk", ROOT.issued.der))[0] == "untrusted"
    verify([ROOT.issued.tlsa(2)], (LEAF.der, b"junk", *SHOWN[1:]), [HOST], AT)


@given(st.integers(0, len(LEAF.der) - 1), st.integers(1, 255), st.booleans())
def test_no_octets_do_harm(at: int, change: int, cut: bool) -> None:
    spoilt = LEAF.der[:at] if cut else LEAF.der[:at] + bytes((LEAF.der[at] ^ change,)) + LEAF.der[at + 1 :]
    for record in (ROOT.issued.tlsa(2), LEAF.tlsa(3), LEAF.tlsa(3, 0)):
        try:
            verify([record], (spoilt, *SHOWN[1:]), [HOST], AT)
        except CertificateRefused:
            pass
        else:
            assert record[:2] == (3, 1)  # the key alone was named, and it was not touched
