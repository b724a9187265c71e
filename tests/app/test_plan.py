"""Plans of the supervisor: rows of sockets through reloads, and the orders workers get."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from postroom.app.plan import Plan, receive
from postroom.config import Config, Listener, Passwords, Protocol, TlsMode
from postroom.net import ListenError


def listener(protocol: Protocol = Protocol.SMTP, port: int = 0, **more: object) -> Listener:
    return Listener(protocol=protocol, port=port, tls=TlsMode.NONE, **more)  # type: ignore[arg-type]


def config(*listeners: Listener) -> Config:
    return Config(listener=listeners)


@pytest.fixture
def plan() -> Iterator[Plan]:
    made = Plan.make(config(listener(), listener(Protocol.IMAP)), Path("postroom.toml"), 2)
    yield made
    made.close_sockets()
    for pair in (*made.hashing, *made.orders):
        for end in pair:
            end.close()


def fixed(plan: Plan) -> list[Listener]:
    """The listeners with the ports they got."""
    return [replace(one, port=port) for one, port in zip(plan.config.listener, plan.ports, strict=True)]


def with_ports(plan: Plan) -> Plan:
    """The same plan, as if the ports had been written down from the beginning."""
    return dataclasses.replace(plan, config=config(*fixed(plan)))


def test_ports_that_stand_go_on(plan: Plan) -> None:
    before = with_ports(plan)
    smtp, imap = fixed(plan)
    after = before.renewed(config(replace(imap, proxy_networks=("192.0.2.0/24",)), listener(Protocol.POP3), smtp))
    assert [row.id for row in after.rows] == [1, 2, 0]
    assert after.rows[0] is before.rows[1]
    assert (after.number, after.next_row) == (before.number + 1, 3)
    assert len(after.rows[1].sockets) == 2
    again = after.renewed(config(listener(Protocol.POP3)))
    assert [row.id for row in again.rows] == [2], "the port that the system chose, too"
    again.tell(after)
    plan.close_sockets()
    last = again.renewed(config(listener(Protocol.POP3, port=imap.port)))
    assert [row.id for row in last.rows] == [3], "an id is never used twice"
    for row in (*after.rows, *again.rows, *last.rows):
        for sock in row.sockets:
            sock.close()


def test_a_port_of_ours_on_another_address(plan: Plan) -> None:
    before = with_ports(plan)
    after = before.renewed(config(replace(fixed(plan)[0], address="127.0.0.2")))
    assert after.ports == before.ports[:1]
    assert after.rows[0].id == 2
    after.close_sockets()


def test_all_or_nothing(plan: Plan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger, socket.create_server(("127.0.0.1", 0)) as free:
        port, taken = free.getsockname()[1], stranger.getsockname()[1]
        free.close()
        with pytest.raises(ListenError, match="is taken"):
            with_ports(plan).renewed(config(listener(port=port), listener(port=taken)))
        socket.create_server(("127.0.0.1", port)).close()
    with pytest.raises(ListenError):
        plan.renewed(config())


def test_workers_are_told_and_get_their_sockets(plan: Plan) -> None:
    before = with_ports(plan)
    fresh = config(fixed(plan)[0], listener(Protocol.POP3))
    fresh = replace(fresh, passwords=Passwords(passes=7))
    after = before.renewed(fresh)
    assert after.tell(before) == []
    assert all(sock.fileno() < 0 for sock in before.rows[1].sockets), "nobody listens there any more"
    for slot in range(2):
        received = receive(after.orders[slot][1])
        assert received is not None
        order, sockets = received
        assert (order.number, order.rows, order.added, order.config) == (1, (0, 2), (2,), fresh)
        assert sockets[2].getsockname() == after.rows[1].sockets[slot].getsockname()
        assert not sockets[2].getblocking()
        sockets[2].close()
        assert receive(after.orders[slot][1]) is None
    assert msgspec.msgpack.decode(after.orders[-1][1].recv(4096), type=Passwords) == fresh.passwords
    after.close_sockets()


def test_who_hangs_is_named(plan: Plan) -> None:
    before, number = with_ports(plan), 0
    while not (behind := before.renewed(before.config).tell(before)):
        number += 1
        assert number < 100_000
        received = receive(plan.orders[0][1])
        assert received is not None
    assert set(behind) <= {"worker 1", "hashing"}
