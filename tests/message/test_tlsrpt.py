"""TLS reports of others: the sample of the RFC, habits of senders, hostile ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.message.tlsrpt import BadTlsReport, TlsFailure, TlsPolicy, read_tls_report

# RFC 8460 Appendix B
SAMPLE: dict[str, Any] = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:0013::1",
                    "receiving-mx-hostname": "mx2.mail.company-y.example",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 200,
                    "additional-information": "https://reports.company-x.example/report_info",
                },
            ],
        }
    ],
}


def read(**changes: Any) -> Any:
    return read_tls_report(json.dumps(SAMPLE | changes).encode())


def test_the_sample_of_the_rfc() -> None:
    found = read()
    assert (found.org, found.begin, found.end) == ("Company-X", 1459468800, 1459555199)
    (policy,) = found.policies
    assert (policy.type, policy.domain, policy.successes, policy.failures) == ("sts", "company-y.example", 5326, 303)
    assert policy.details[0] == TlsFailure(
        "certificate-expired", 100, "2001:db8:abcd:0012::1", "mx1.mail.company-y.example"
    )
    assert found.domains == ("company-y.example",)


def test_what_senders_get_wrong() -> None:
    policy = {
        "policy": {"policy-type": "STS", "policy-domain": "Y.Example.", "mx-host": "mx.y.example"},
        "summary": {"total-successful-session-count": "12"},
        "failure-details": {"result-type": "Validation-Failure", "failed-session-count": "3"},
    }
    times = {"start-datetime": "2016-04-01T02:00:00+02:00", "end-datetime": "2016-04-01T23:59:59.5"}
    found = read(policies=policy, **{"date-range": times})
    assert found.policies == (
        TlsPolicy("sts", "y.example", 12, 3, ("mx.y.example",), (TlsFailure("validation-failure", 3),)),
    )
    assert (found.begin, found.end) == (1459468800, 1459555199)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"{}", "RFC 3339"),
        (b"[1]", "RFC 3339"),
        (json.dumps(SAMPLE | {"report-id": ""}).encode(), "report-id"),
        (json.dumps(SAMPLE | {"policies": [{}]}).encode(), "no policy"),
        (json.dumps(SAMPLE).replace("2016-04-01T23", "2016-03-01T23").encode(), "before it begins"),
        (json.dumps(SAMPLE).replace("2016-04-01T23", "9999-04-01T23").encode(), "cannot be true"),
        (b" " * (16 * 1024 * 1024 + 1), "more than"),
    ],
)
def test_what_cannot_be_used(octets: bytes, reason: str) -> None:
    with pytest.raises(BadTlsReport, match=reason):
        read_tls_report(octets)


def test_counts_and_lists_are_bounded() -> None:
    detail = {"result-type": "x" * 5000, "failed-session-count": -5}
    bare = {"policy": SAMPLE["policies"][0]["policy"], "failure-details": [{}]}
    found = read(policies=[bare | {"failure-details": [detail] + [{}] * 5500}] + [bare] * 1500)
    assert len(found.policies) == 1000
    assert sum(len(one.details) for one in found.policies) == 5000
    assert found.policies[0].details[0] == TlsFailure("x" * 500, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(SAMPLE)), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(SAMPLE)), json_values)
@settings(max_examples=100, deadline=None)
def test_any_value_anywhere(name: str, value: Any) -> None:
    try:
        found = read(**{name: value})
    except BadTlsReport:
        return
    assert found.policies
