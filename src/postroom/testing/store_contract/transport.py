"""The contract of what is kept of other domains' TLS."""

from __future__ import annotations

from msgspec.structs import replace

from postroom.store.api import Demanded, Store, StsPolicy, TlsCount
from postroom.store.api.transport import MOST_ROWS

NOW = 1_700_000_000.0  # 2023-11-14
DAY = "2023-11-14"
POLICY = StsPolicy(
    domain="far.test",
    id="20231114",
    mode="enforce",
    mx=("mx.far.test", "*.far.test"),
    max_age=86400,
    fetched=NOW,
    until=NOW + 86400,
    used=NOW,
)
GOOD = TlsCount(domain="far.test", policy="p", count=2)
BAD = TlsCount(
    domain="far.test",
    policy="p",
    failure="certificate-expired",
    host="mx.far.test",
    address="192.0.2.1",
    source="192.0.2.7",
    detail="it has expired",
)


class TransportContract:
    """What TransportStore promises."""

    async def test_policies_are_kept(self, store: Store) -> None:
        assert store.transport.sts("far.test") is None
        await store.transport.keep_sts(POLICY)
        assert store.transport.sts("far.test") == POLICY
        newer = replace(POLICY, id="2", mode="none", mx=())
        await store.transport.keep_sts(newer)
        await store.transport.keep_sts(replace(POLICY, domain="a.test"))
        await store.transport.used_sts("far.test", NOW + 5)
        await store.transport.used_sts("unknown.test", NOW + 5)
        found = store.transport.all_sts()
        assert [(each.domain, each.id, each.used) for each in found] == [
            ("a.test", POLICY.id, NOW),
            ("far.test", "2", NOW + 5),
        ]

    async def test_demands_are_kept(self, store: Store) -> None:
        transport = store.transport
        assert transport.demanded("far.test") is None
        one = Demanded(domain="far.test", why="DANE", until=NOW + 60)
        await transport.keep_demanded(one)
        await transport.keep_demanded(replace(one, domain="a.test", until=NOW + 120))
        assert transport.demanded("far.test") == one
        await transport.keep_demanded(replace(one, why="MTA-STS"))
        assert transport.demanded("far.test") == replace(one, why="MTA-STS")
        await transport.sweep(NOW + 60)
        assert transport.demanded("far.test") is None
        assert transport.demanded("a.test") is not None
        await transport.forget_demanded("a.test")
        await transport.forget_demanded("a.test")
        assert transport.demanded("a.test") is None

    async def test_results_are_counted(self, store: Store) -> None:
        await store.transport.count_tls(DAY, [GOOD, BAD])
        await store.transport.count_tls(DAY, [GOOD, replace(GOOD, domain="a.test")])
        await store.transport.count_tls("2023-11-15", [BAD])
        assert store.transport.tls_domains(DAY) == ["a.test", "far.test"]
        assert store.transport.tls_domains("2023-11-15") == ["far.test"]
        assert store.transport.tls_counts(DAY, "far.test") == [replace(GOOD, count=4), BAD]
        assert store.transport.tls_counts(DAY, "b.test") == []

    async def test_a_domain_cannot_fill_the_disk(self, store: Store) -> None:
        many = [replace(BAD, detail=f"fault {number}") for number in range(MOST_ROWS + 50)]
        await store.transport.count_tls(DAY, many)
        found = store.transport.tls_counts(DAY, "far.test")
        assert len(found) == MOST_ROWS + 1
        assert sum(each.count for each in found) == MOST_ROWS + 50
        [rest] = [each for each in found if not each.host]
        assert (rest.count, rest.failure, rest.detail) == (50, "certificate-expired", "")

    async def test_what_is_over_is_forgotten(self, store: Store) -> None:
        await store.transport.keep_sts(POLICY)
        await store.transport.count_tls(DAY, [GOOD])
        await store.transport.sweep(NOW + 86399)
        assert store.transport.sts("far.test") == POLICY and store.transport.tls_domains(DAY)
        await store.transport.sweep(NOW + 86400)
        assert store.transport.sts("far.test") is None and store.transport.tls_domains(DAY)
        await store.transport.sweep(NOW + 9 * 86400)
        assert store.transport.tls_domains(DAY) == []
