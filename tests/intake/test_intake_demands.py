"""Dates and demands of TLS on their way into the queue."""

from __future__ import annotations

import pytest
from intake_house import MAIL, OWN, STRANGER, USER, House

from postroom.values.content import Content
from postroom.values.refusal import Refusal

DAY = 86400


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


async def kept(house: House, peer, content: bytes, **options):
    sender = "alice@here.test" if peer is USER else "x@far.test"
    envelope = await house.open(peer, sender, **options)
    await house.rcpt(peer, envelope, "y@far.test" if peer is USER else "alice@here.test")
    await house.intake.accept(peer, envelope, Content.of(content))
    return house.queue.entries[-1]


async def test_a_date(house: House) -> None:
    now = house.clock.time
    assert (await kept(house, USER, OWN)).release == 0.0
    assert (await kept(house, USER, OWN, hold_for=60)).release == now + 60
    assert (await kept(house, USER, OWN, hold_until=now + 59 * DAY)).release == now + 59 * DAY
    assert (await kept(house, USER, OWN, hold_until=now - 5)).release == 0.0


@pytest.mark.parametrize("options", [{"hold_for": 61 * DAY}, {"hold_until": 1_800_000_000.0 + 61 * DAY}])
async def test_a_date_too_far_away(house: House, options: dict) -> None:
    with pytest.raises(Refusal) as refused:
        await house.open(USER, "alice@here.test", **options)
    assert (refused.value.code, refused.value.enhanced) == (554, "5.5.4")
    assert refused.value.public == "Messages are kept for 60 days at the most before they are sent"


def test_the_latest_date_changes_once_a_day(house: House) -> None:
    assert house.intake.latest_release() == "2027-03-16T00:00:00Z"


@pytest.mark.parametrize(
    ("field", "requiretls", "demand"),
    [
        (b"", False, ""),
        (b"", True, "required"),
        (b"TLS-Required: No\r\n", False, "optional"),
        (b"tls-required:no\r\n", False, "optional"),
        (b"TLS-Required: No\r\n", True, "required"),
        (b"TLS-Required: Yes\r\n", False, ""),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False, ""),
    ],
)
@pytest.mark.parametrize(("peer", "mail"), [(USER, OWN), (STRANGER, MAIL)])
async def test_demands_of_tls(house: House, peer, mail: bytes, field: bytes, requiretls: bool, demand: str) -> None:
    assert (await kept(house, peer, field + mail, requiretls=requiretls)).tls == demand


@pytest.mark.parametrize(
    ("field", "bulk"),
    [
        (b"", False),
        (b"Precedence: bulk\r\n", True),
        (b"precedence:list\r\n", True),
        (b"Precedence: first-class\r\n", False),
        (b"List-Unsubscribe: <https://x.test>\r\n", True),
        (b"List-Id: <x.test>\r\n", True),
        (b"X-List-Id: x\r\n", False),
    ],
)
async def test_bulk_mail_is_known_by_its_header(house: House, field: bytes, bulk: bool) -> None:
    assert (await kept(house, USER, field + OWN)).bulk is bulk
