"""Countries of addresses: files of every form, files that lie, and what follows for accounts."""

from __future__ import annotations

import struct
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.config import Config, Limits, Sending
from postroom.policy.countries import BadDatabase, Countries, CountryFile
from postroom.policy.suspicion import Suspicion, signs_of
from postroom.store.api import AccountRow
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock

MARK = b"\xab\xcd\xefMaxMind.com"


def packed(value: Any) -> bytes:
    """A value of the data section."""
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(packed(key) + packed(one) for key, one in value.items())
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(packed, value))
    if isinstance(value, bool):
        return _control(14, int(value))
    if isinstance(value, int):
        octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return _control(6, len(octets)) + octets
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, bytes):  # a pointer, ready made
        return value
    octets = value.encode()
    return _control(2, len(octets)) + octets


def _control(kind: int, size: int) -> bytes:
    first, more = (kind << 5, b"") if kind < 8 else (0, bytes([kind - 7]))
    if size < 29:
        return bytes([first | size]) + more
    return bytes([first | 29]) + more + bytes([size - 29])


def database(networks: dict[str, Any], bits: int = 24, version: int = 6) -> bytes:
    nodes: list[list[Any]] = [[None, None]]
    data, offsets = b"", {}
    for text, value in networks.items():
        network = ip_network(text)
        number, length = int(network.network_address), network.prefixlen
        width = 128 if version == 6 else 32
        length += 96 if version == 6 and network.version == 4 else 0
        offsets[text] = len(data)
        data += packed(value)
        at = 0
        for place in range(length):
            side = number >> (width - 1 - place) & 1
            if place == length - 1:
                nodes[at][side] = ("data", offsets[text])
            elif nodes[at][side] is None:
                nodes.append([None, None])
                nodes[at][side] = len(nodes) - 1
                at = len(nodes) - 1
            else:
                at = nodes[at][side]
    tree = b""
    for node in nodes:
        left, right = (
            len(nodes) if one is None else one if isinstance(one, int) else len(nodes) + 16 + one[1] for one in node
        )
        if bits == 28:
            middle = (left >> 24) << 4 | right >> 24
            tree += (left & 0xFFFFFF).to_bytes(3, "big") + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3, "big")
        else:
            tree += left.to_bytes(bits // 8, "big") + right.to_bytes(bits // 8, "big")
    about = {"node_count": len(nodes), "record_size": bits, "ip_version": version, "description": {"en": "x" * 40}}
    return tree + bytes(16) + data + MARK + packed(about)


PLACES = {
    "192.0.2.0/24": {"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "x": [1, 2.5, True]},
    "198.51.100.0/25": {"registered_country": {"iso_code": "FR"}},
    "203.0.113.7/32": {"country_code": "br"},
    "10.0.0.0/8": {"country": {"iso_code": "nonsense"}},
    "2001:db8::/32": {"country": {"iso_code": "SE"}},
}


@pytest.mark.parametrize("bits", [24, 28, 32])
def test_files_of_every_form(tmp_path: Path, bits: int) -> None:
    (tmp_path / "c.mmdb").write_bytes(database(PLACES, bits))
    file = CountryFile(str(tmp_path / "c.mmdb"))
    found = {ip: file.country(ip) for ip in (
        "192.0.2.77", "198.51.100.1", "198.51.100.200", "203.0.113.7", "203.0.113.8", "10.1.2.3", "2001:db8::1",
        "2001:db9::1", "::ffff:192.0.2.1",
    )}  # fmt: skip
    assert list(found.values()) == ["DE", "FR", "", "BR", "", "", "SE", "", "DE"]
    file.close()


def test_a_file_of_one_family(tmp_path: Path) -> None:
    (tmp_path / "c.mmdb").write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "DE"}}}, version=4))
    file = CountryFile(str(tmp_path / "c.mmdb"))
    assert (file.country("192.0.2.1"), file.country("2001:db8::1")) == ("DE", "")


def test_pointers(tmp_path: Path) -> None:
    """Databases say each country once, and point at it."""
    once = {"country": {"iso_code": "DE"}}
    octets = database({"192.0.2.0/24": once, "198.51.100.0/24": bytes([1 << 5, 0])})
    (tmp_path / "c.mmdb").write_bytes(octets)
    assert CountryFile(str(tmp_path / "c.mmdb")).country("198.51.100.1") == "DE"


@pytest.mark.parametrize(
    "octets",
    [b"", b"x" * 100, MARK, MARK + packed("no map"), MARK + packed({"node_count": 1}), bytes([1 << 5, 0]) + MARK,
     MARK + packed({"node_count": 10**9, "record_size": 24, "ip_version": 6}), MARK + bytes([1 << 5, 0])],
)  # fmt: skip
def test_files_that_are_none(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "c.mmdb").write_bytes(octets)
    with pytest.raises(BadDatabase):
        CountryFile(str(tmp_path / "c.mmdb"))


WHOLE = database(PLACES)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(WHOLE)))
@settings(max_examples=100, deadline=None)
def test_no_file_does_harm(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int) -> None:
    octets = bytearray(WHOLE)
    for place, value in changes:
        octets[place] = value
    path = tmp_path_factory.mktemp("c") / "c.mmdb"
    path.write_bytes(octets[cut:] if cut < 40 else octets)
    countries = Countries(str(path), lambda: 0.0)
    for ip in ("192.0.2.77", "203.0.113.7", "2001:db8::1"):
        assert len(countries.of(ip)) in (0, 2)


def test_a_file_that_comes_and_is_replaced(tmp_path: Path) -> None:
    clock = SettableClock(0.0)
    path = tmp_path / "c.mmdb"
    countries = Countries(str(path), lambda: clock.time)
    assert countries.of("192.0.2.1") == ""
    assert "c.mmdb" in countries.fault
    path.write_bytes(database(PLACES))
    assert countries.of("192.0.2.1") == "", "it is not looked at each time"
    clock.time += 600
    assert (countries.of("192.0.2.1"), countries.fault) == ("DE", "")
    path.unlink()
    path.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "CH"}}}))
    clock.time += 600
    assert countries.of("192.0.2.1") == "CH"
    path.rename(tmp_path / "older.mmdb")
    path.write_bytes(b"broken")
    clock.time += 600
    assert countries.of("192.0.2.1") == "CH", "the older one goes on"
    assert "c.mmdb" in countries.fault
    (tmp_path / "older.mmdb").write_bytes(b"")
    assert countries.of("192.0.2.1") == ""
    assert Countries("", lambda: 0.0).of("192.0.2.1") == ""


ANN = AccountRow(id="a1", login="ann@x.test", created=0.0)


async def test_new_countries_are_a_sign(tmp_path: Path) -> None:
    (tmp_path / "c.mmdb").write_bytes(database(PLACES))
    clock = SettableClock(1_700_000_000.0)
    store = MemoryStore(clock=clock)
    config = Config(sending=Sending(country_file=str(tmp_path / "c.mmdb")), limits=Limits())

    async def hold(account: str) -> int:
        return 0

    told: list[str] = []
    suspicion = Suspicion(config, store.limits, clock, lambda name, **_: told.append(name), lambda _: None, hold)

    async def enter(*ips: str) -> list[tuple[float, str]]:
        for ip in ips:
            suspicion.entered(ANN, ip)
        await suspicion.settled()
        return [(sign.points, sign.reason) for sign in signs_of(store.limits, config.sending, ANN.id, clock.time)]

    assert await enter("192.0.2.1", "198.51.100.1") == [], "a new account is new everywhere"
    clock.time += 2 * 86400
    assert await enter("192.0.2.2") == []
    assert await enter("203.0.113.7") == [], "one journey"
    clock.time += 3 * 3600
    [(points, reason)] = await enter("2001:db8::1")
    assert (points, reason) == (50.0, "log-ins from 2 countries never seen before, within a day: BR, SE")
    clock.time += 86400 * 1.1
    assert await enter("192.0.2.3") == []
    assert "limit.fault" not in told
