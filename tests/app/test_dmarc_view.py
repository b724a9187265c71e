"""Reports of others summed by source, in plain words."""

from __future__ import annotations

import pytest

from postroom.app import tls_view
from postroom.app.dmarc_view import Known, advice, sentences, view
from postroom.mailauth.dmarc.aggregate import Aggregate, DkimTold, Override, Published, Row, SpfTold
from postroom.message.tlsrpt import TlsFailure, TlsPolicy, TlsReport

OWN, SHOP, FORGER = "192.0.2.1", "198.51.100.9", "203.0.113.66"


def row(ip: str, count: int, *, spf: bool = False, dkim: bool = False, **more: object) -> Row:
    return Row(ip, count, "pass" if spf or dkim else "none", dkim, spf, "here.test", **more)  # type: ignore[arg-type]


def report(*rows: Row, day: int = 0, policy: str = "none", testing: str = "n") -> Aggregate:
    return Aggregate(
        org="Far",
        email="",
        id=f"r{day}",
        begin=day * 86400,
        end=day * 86400 + 86399,
        published=Published("here.test", policy, testing=testing),
        rows=rows,
    )


def test_our_own_server_and_everybody_else() -> None:
    told = [
        ("far.test", report(row(OWN, 1200, spf=True), row(SHOP, 300, spfs=(SpfTold("shop.test", "pass"),)))),
        ("else.test", report(row(OWN, 4, dkim=True), row(FORGER, 7), row("192.0.2.77", 3, spf=True), day=1)),
    ]
    found = view("here.test", told, Known(names={SHOP: "mail.shop.test"}, own={OWN}))
    assert (found.messages, found.unproven, found.reports) == (1514, 307, 2)
    assert [one.ip for one in found.sources] == [SHOP, FORGER, OWN, "192.0.2.77"]
    assert found.reporters == {"far.test": 1500, "else.test": 14}
    assert sentences(found) == [
        "All 1,204 messages from your own server passed.",
        "198.51.100.9 (mail.shop.test) sends 300 messages as here.test without proof: allow it in SPF or give it a DKIM"
        " key if it is yours; otherwise it is forged (its mail proves shop.test instead).",
        "203.0.113.66 sends 7 messages as here.test without proof: allow it in SPF or give it a DKIM key if it is"
        " yours; otherwise it is forged.",
        "3 messages from 1 other source passed.",
    ]


def test_own_mail_without_proof_forwarding_and_services() -> None:
    signed = (DkimTold("list.test", "s", "pass"),)
    told = [
        (
            "far.test",
            report(
                row(OWN, 10, spf=True),
                row(OWN, 2),
                row("192.0.2.3", 5, reasons=(Override("mailing_list"),), dkims=signed),
                row("192.0.2.4", 6),
                row("192.0.2.5", 7),
                row("192.0.2.5", 7, dkim=True),
            ),
        )
    ]
    found = view("here.test", told, Known(own={OWN}, allowed={"192.0.2.4": "include:news.test"}))
    own, partly, service, listed = sentences(found)
    assert own.startswith("2 of 12 messages from your own server (192.0.2.1) came without proof")
    assert "7 of them without proof: what lacks proof was changed on the way" in partly
    assert "though SPF allows it (include:news.test)" in service
    assert "passed on by a mailing list or forwarder, nothing to do (its mail proves list.test instead)" in listed


DAYS = range(20)


@pytest.mark.parametrize(
    ("policy", "rows", "words"),
    [
        ("none", (row(OWN, 50, spf=True),), "can be raised to p=quarantine: everything is proven"),
        ("quarantine", (row(OWN, 50, spf=True), row(FORGER, 50)), "can be raised to p=reject: what has no proof (50"),
        ("none", (row(OWN, 50, spf=True), row(OWN, 50)), f"Do not raise it yet: {OWN}"),
        ("none", (row(SHOP, 50),), f"Do not raise it yet: {SHOP}"),
        ("reject", (row(FORGER, 50),), "p=reject is published"),
        (
            "none",
            (row(OWN, 50, spf=True), row("192.0.2.9", 5, spfs=(SpfTold("shop.test", "pass"),))),
            "find out whether these send for you: 192.0.2.9 (proves shop.test)",
        ),
        ("none", (row(OWN, 1, spf=True),), "Before you raise it"),
    ],
)
def test_when_the_policy_can_be_raised(policy: str, rows: tuple[Row, ...], words: str) -> None:
    told = [(f"r{day % 2}.test", report(*rows, day=day, policy=policy)) for day in DAYS]
    known = Known(own={OWN}, allowed={SHOP: "ip4:198.51.100.9"})
    assert words in advice(view("here.test", told, known))


def test_a_few_days_are_too_few_and_testing_is_told() -> None:
    few = [("far.test", report(row(OWN, 500, spf=True), day=day)) for day in range(3)]
    assert "so far it is 3 days, 1,500 messages, 1 reporter" in advice(view("here.test", few, Known()))
    testing = [("far.test", report(row(OWN, 5), policy="reject", testing="y"))]
    assert "take t=y out" in advice(view("here.test", testing, Known()))
    assert "No reports yet" in advice(view("here.test", [], Known()))
    assert sentences(view("here.test", [], Known())) == []


def test_tls() -> None:
    def told(*policies: TlsPolicy) -> TlsReport:
        return TlsReport(org="Far", id="t", contact="", begin=0, end=86399, policies=policies)

    expired = TlsFailure("certificate-expired", 3, receiving_mx="mx.here.test")
    found = tls_view.view(
        "here.test",
        [
            ("far.test", told(TlsPolicy("sts", "here.test", 100, 3, details=(expired,)))),
            ("else.test", told(TlsPolicy("tlsa", "here.test", 50, 1, details=(expired,)))),
            ("else.test", told(TlsPolicy("sts", "other.test", 9, 9))),
        ],
    )
    assert (found.successes, found.failed) == (150, 4)
    assert found.policies == {"sts": (100, 3), "tlsa": (50, 1)}
    (failure,) = found.failures
    assert (failure.type, failure.mx, failure.count, failure.senders) == (
        "certificate-expired",
        "mx.here.test",
        6,
        ("else.test", "far.test"),
    )
    assert "renew" in failure.fix
