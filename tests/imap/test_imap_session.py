"""Around mailboxes: greeting, capability, login, logout, STARTTLS, limits."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from dataclasses import replace

import pytest
from imap_house import Client, House, play, settle

from postroom.config import Imap, Limits, Passwords
from postroom.identity import app_passwords
from postroom.policy import Tally
from postroom.wire.imap.capability import OPTIONAL, commands_off
from postroom.wire.imap.table import COMMANDS


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_greeting_login_logout(house: House) -> None:
    await play(
        house.connect(),
        """
        S: * OK [CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL+ ... AUTH=PLAIN AUTH=LOGIN] mail.example.org Postroom ready
        C: a1 NOOP
        S: a1 OK Noop completed
        C: a2 SELECT INBOX
        S: a2 BAD ...
        C: a3 LOGIN ann@example.org secret
        S: a3 OK [CAPABILITY IMAP4rev2 IMAP4rev1 ... QUOTASET] Logged in
        C: a4 LOGIN ann@example.org secret
        S: a4 BAD ...
        C: a5 LOGOUT
        S: * BYE Logging out
        S: a5 OK Logout completed
        S: (closed)
        """,
    )
    assert house.service.connections == 0
    assert house.gate.open == []


async def test_capability_names_what_is_needed_and_nothing_twice(house: House) -> None:
    client = await house.login()
    [line] = await client.do("CAPABILITY")
    words = line.split()[2:]
    assert len(words) == len(set(words))
    wanted = (  # noqa: SIM905
        "IMAP4rev1 IMAP4rev2 IDLE LITERAL+ SASL-IR ENABLE ID NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE "
        "CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES CONDSTORE QRESYNC MULTIAPPEND "
        "APPENDLIMIT=1048576 UTF8=ACCEPT BINARY WITHIN QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE"
    ).split()
    assert set(wanted) <= set(words)
    assert not [word for word in words if word.startswith("AUTH=")]


async def test_capabilities_switched_off_for_everybody() -> None:
    house = House(options=Imap(disable=("idle", "CONDSTORE", "NOSUCH"), literal_minus=True))
    await house.add_account("ann@example.org")
    client = house.connect()
    greeting = client.hear().decode().replace("]", " ").split()
    assert "LITERAL-" in greeting
    assert not {"IDLE", "LITERAL+"} & set(greeting)
    words = (await client.tagged("LOGIN ann@example.org secret")).replace("]", " ").split()
    assert "LITERAL-" in words
    assert not {"IDLE", "CONDSTORE", "QRESYNC", "LITERAL+"} & set(words)
    assert await client.do("ENABLE QRESYNC UTF8=ACCEPT") == ["* ENABLED UTF8=ACCEPT"]


async def test_capabilities_switched_off_for_an_account(house: House) -> None:
    """From its next login on."""
    ben = await house.add_account("ben@example.org", imap_without=("IDLE", "LITERAL+"))
    for gone, there in (({"IDLE", "LITERAL+"}, "MOVE"), ({"MOVE"}, "IDLE")):
        client = house.connect()
        assert {"IDLE", "LITERAL+"} <= set(client.hear().decode().split())
        words = (await client.tagged("LOGIN ben@example.org secret")).replace("]", " ").split()
        assert there in words
        assert not gone & set(words)
        await house.store.directory.put_account(replace(ben.row, imap_without=("MOVE",)))
        [line] = await client.do("CAPABILITY")
        assert gone.isdisjoint(line.split())


async def test_commands_go_with_their_capability(house: House) -> None:
    without = ("IDLE", "MOVE", "SORT", "METADATA", "ACL", "REPLACE", "THREAD=REFERENCES", "CONTEXT=SEARCH")
    await house.add_account("ben@example.org", imap_without=without)
    client = await house.selected(login="ben@example.org")
    refused = ("IDLE", "MOVE 1 Trash", "UID MOVE 1 Trash", "SORT (DATE) UTF-8 ALL", "MYRIGHTS INBOX", "REPLACE 1 x {9}")
    for command in refused:
        assert await client.tagged(command) == "BAD unknown command", command
    # what another capability has, too
    assert (await client.tagged('GETMETADATA "" /shared/comment')).startswith("OK ")
    assert (await client.tagged("THREAD ORDEREDSUBJECT UTF-8 ALL")).startswith("OK ")
    assert await client.tagged('CANCELUPDATE "x"') == "BAD unknown command"  # CONTEXT=SORT went with SORT
    await client.do("ENABLE IMAP4rev2")
    assert (await client.tagged("MOVE 1 Trash")).startswith("BAD There are 0 messages")
    assert await client.tagged("MYRIGHTS INBOX") == "BAD unknown command"
    assert (await (await house.login()).tagged("MYRIGHTS INBOX")).startswith("OK ")


def test_every_command_that_can_go_is_one() -> None:
    assert commands_off(frozenset(OPTIONAL.values())) < set(COMMANDS)


async def test_no_password_without_tls(house: House) -> None:
    await play(
        house.connect(tls=None),
        """
        S: * OK [CAPABILITY ... STARTTLS LOGINDISABLED] ...
        C: a1 LOGIN ann@example.org secret
        S: a1 NO [PRIVACYREQUIRED] ...
        C: a2 AUTHENTICATE PLAIN
        S: a2 NO [PRIVACYREQUIRED] ...
        """,
    )


async def test_starttls_forgets_what_was_sent_ahead(house: House) -> None:
    client = house.connect(tls=None)
    client.hear()
    heard = await client.feed(b"a1 STARTTLS\r\na2 LOGIN ann@example.org secret\r\n")
    assert heard == b"a1 OK Begin TLS negotiation now\r\n"
    assert client.link.handshakes == 1
    await play(
        client,
        """
        C: a3 CAPABILITY
        S: * CAPABILITY IMAP4rev2 ... AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN
        S: a3 OK ...
        C: a4 STARTTLS
        S: a4 BAD ...
        C: a5 LOGIN ann@example.org secret
        S: a5 OK ...
        """,
    )


async def test_plaintext_on_loopback_where_configured() -> None:
    house = House(plaintext_on_loopback=True)
    await house.add_account("ann@example.org")
    client = house.connect(tls=None, peer="127.0.0.1")
    client.hear()
    assert await client.do("LOGIN ann@example.org secret") == []
    other = house.connect(tls=None, peer="192.0.2.7")
    other.hear()
    assert "PRIVACYREQUIRED" in await other.tagged("LOGIN ann@example.org secret")


async def test_wrong_password_unknown_and_disabled(house: House) -> None:
    await house.add_account("gone@example.org", disabled=True)
    await play(
        house.connect(),
        """
        S: * OK ...
        C: a1 LOGIN ann@example.org wrong
        S: a1 NO [AUTHENTICATIONFAILED] Login name or password is wrong
        C: a2 LOGIN nobody@example.org secret
        S: a2 NO [AUTHENTICATIONFAILED] Login name or password is wrong
        C: a3 LOGIN gone@example.org secret
        S: a3 NO [CONTACTADMIN] ...
        C: a4 LOGIN ANN@Example.org secret
        S: a4 OK ...
        """,
    )


async def test_too_many_failed_logins(house: House) -> None:
    house.throttle.limit = 100
    client = house.connect()
    client.hear()
    for _ in range(19):
        assert "AUTHENTICATIONFAILED" in await client.tagged("LOGIN ann@example.org wrong")
    await play(
        client,
        """
        C: a9 LOGIN ann@example.org wrong
        S: a9 NO [AUTHENTICATIONFAILED] ...
        S: * BYE ...
        S: (closed)
        """,
    )
    house.throttle.limit = 5
    again = house.connect()
    again.hear()
    assert (await again.tagged("LOGIN ann@example.org secret")).startswith("NO [LIMIT]")


async def test_authenticate_plain_and_login(house: House) -> None:
    plain = b64(b"\0ann@example.org\0secret")
    for script in (
        f"C: a1 AUTHENTICATE PLAIN {plain}",
        f"C: a1 AUTHENTICATE PLAIN\nS: +...\nC: {plain}",
        f"C: a1 AUTHENTICATE LOGIN\nS: + {b64(b'Username:')}\nC: {b64(b'ann@example.org')}\n"
        f"S: + {b64(b'Password:')}\nC: {b64(b'secret')}",
    ):
        client = house.connect()
        client.hear()
        await play(client, script + "\nS: a1 OK [CAPABILITY ...] Logged in\nC: a2 NOOP\nS: a2 OK ...")


async def test_authenticate_refusals(house: House) -> None:
    client = house.connect()
    client.hear()
    for_ben = b64(b"ben@example.org\0ann@example.org\0secret")
    wrong, right = b64(b"\0ann@example.org\0wrong"), b64(b"ann@example.org\0ann@example.org\0secret")
    await play(
        client,
        f"""
        C: a1 AUTHENTICATE NTLM
        S: a1 NO ...
        C: a2 AUTHENTICATE PLAIN
        S: +...
        C: *
        S: a2 BAD ...
        C: a3 AUTHENTICATE PLAIN !!!
        S: a3 BAD ...
        C: a4 AUTHENTICATE PLAIN {for_ben}
        S: a4 NO [AUTHORIZATIONFAILED] ...
        C: a5 AUTHENTICATE PLAIN {wrong}
        S: a5 NO [AUTHENTICATIONFAILED] ...
        C: a6 AUTHENTICATE PLAIN {right}
        S: a6 OK ...
        """,
    )


def scram_proof(password: str, salt: bytes, iterations: int, auth_message: bytes) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), auth_message, "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return bytes(a ^ b for a, b in zip(client_key, signature, strict=True)), hmac.digest(
        server_key, auth_message, "sha256"
    )


@pytest.mark.parametrize(
    ("mechanism", "gs2", "binding"),
    [("SCRAM-SHA-256", b"n,,", b""), ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", b"end-point-hash")],
)
@pytest.mark.parametrize("password", ["secret", "wrong"])
async def test_scram(house: House, mechanism: str, gs2: bytes, binding: bytes, password: str) -> None:
    client = house.connect()
    client.hear()
    first = b"n=ann@example.org,r=clientnonce"
    challenge = await client.say(f"a1 AUTHENTICATE {mechanism} {b64(gs2 + first)}")
    assert challenge.startswith(b"+ ")
    server_first = base64.b64decode(challenge[2:])
    fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
    without_proof = b"c=" + base64.b64encode(gs2 + binding) + b",r=" + fields[b"r"]
    auth_message = b",".join([first, server_first, without_proof])
    proof, verifier = scram_proof(password, base64.b64decode(fields[b"s"]), int(fields[b"i"]), auth_message)
    answer = await client.say(b64(without_proof + b",p=" + base64.b64encode(proof)))
    if password == "wrong":
        assert answer.startswith(b"a1 NO [AUTHENTICATIONFAILED]")
        return
    assert base64.b64decode(answer[2:]) == b"v=" + base64.b64encode(verifier)
    assert (await client.say("")).startswith(b"a1 OK [CAPABILITY")


async def test_connection_limit(house: House) -> None:
    house.gate.most = 1
    first = house.connect()
    await play(
        house.connect(), "S: * BYE [UNAVAILABLE] You have 1 connections open already; close some first\nS: (closed)"
    )
    await play(first, "S: * OK ...\nC: a1 LOGOUT\nS: * BYE ...\nS: a1 OK ...")
    await play(house.connect(), "S: * OK ...")


async def test_worker_limit() -> None:
    house = House(limits=Limits(connections=1))
    house.connect()
    await play(house.connect(), "S: * BYE [UNAVAILABLE] ...\nS: (closed)")


async def test_garbage_ends_in_bye(house: House) -> None:
    client = house.connect()
    client.hear()
    for _ in range(19):
        assert (await client.say("\x00\xff rubbish {}")).startswith(b"* BAD")
    assert b"* BYE" in await client.say("more of it")
    assert not client.link.alive
    logged_in = await house.login()
    for number in range(10):
        assert (await logged_in.tagged(f"FROB {number}")).startswith("BAD")
    assert await logged_in.do("NOOP") == []


async def test_deadlines(house: House) -> None:
    client = house.connect()
    assert client.link.seconds == house.service.limits.idle_login
    client.hear()
    client.link.seconds = 0
    await client.say("a1 NOOP")
    assert client.link.seconds == 0  # commands before login do not buy time
    await client.do("LOGIN ann@example.org secret")
    assert client.link.seconds == house.service.limits.idle_imap
    client.driver.expired()
    await play(client, "S: * BYE Autologout; idle for too long\nS: (closed)")


async def test_octets_now_and_then_do_not_keep_a_command_open(house: House) -> None:
    limits = house.service.limits
    client = await house.login()
    link = client.link

    async def feed(data: bytes) -> float:
        """What the deadline was set to, 0 when it was left alone."""
        link.seconds = 0
        await client.feed(data)
        return float(link.seconds)

    assert await feed(b"a1 NO") == limits.command_seconds
    assert await feed(b"O") == 0
    assert await feed(b"P\r\na2 NOOP\r\n") == limits.idle_imap
    assert await feed(b"a3 NOOP\r\n") == limits.idle_imap
    assert await feed(b"a4 APPEND INBOX {100000}\r\n") == limits.transfer_seconds
    for _ in range(limits.transfer_octets - 1):
        link.seconds = 0
        client.driver.received(b"x")
        assert link.seconds == 0
    for _ in range(3):
        assert await feed(b"x") == limits.transfer_seconds
        assert await feed(b"x" * (limits.transfer_octets - 1)) == 0
    assert await feed(b"x" * (100_000 - 4 * limits.transfer_octets + 1)) == limits.command_seconds
    assert await feed(b"\r\n") == limits.idle_imap
    assert await feed(b"a5 IDLE\r\n") == limits.idle_imap
    assert await feed(b"DO") == limits.command_seconds
    assert await feed(b"NE\r\n") == limits.idle_imap
    assert await feed(b"a6 LOGIN {1000}\r\n") == limits.transfer_seconds
    client.driver.expired()
    assert b"* BYE Autologout; the command comes too slowly" in client.hear()
    assert not link.alive


async def test_a_refused_literal_must_come_as_fast(house: House) -> None:
    limits = house.service.limits
    client = await house.login()
    assert b"NO" in await client.feed(b"a1 APPEND Nowhere {1000000+}\r\n")
    assert client.link.seconds == limits.transfer_seconds
    client.link.seconds = 0
    await client.feed(b"x" * (limits.transfer_octets - 1))
    assert client.link.seconds == 0
    await client.feed(b"x" * (1_000_000 - limits.transfer_octets + 1))
    assert client.link.seconds == limits.command_seconds
    await client.feed(b"\r\n")
    assert client.link.seconds == limits.idle_imap


async def test_graceful_stop_finishes_the_command(house: House) -> None:
    busy, idle = house.connect(), await house.login()
    busy.hear()
    house.identity.slow = asyncio.Event()
    await busy.say("a1 LOGIN ann@example.org secret")
    house.service.stop()
    assert b"* BYE" in idle.hear()
    assert not idle.link.alive
    assert busy.hear() == b""
    house.identity.slow.set()
    await settle(busy)
    heard = busy.hear()
    assert heard.index(b"a1 OK") < heard.index(b"* BYE")
    assert not busy.link.alive


async def test_disabled_account_hears_bye(house: House) -> None:
    await house.add_account("ben@example.org")
    ann, ben = await house.login(), await house.login("ben@example.org")
    row = await house.store.directory.account_by_login("ann@example.org")
    assert row is not None
    import dataclasses

    await house.store.directory.put_account(dataclasses.replace(row, disabled=True))
    await house.service.recheck()
    assert b"* BYE [CONTACTADMIN]" in ann.hear()
    assert not ann.link.alive
    assert await ben.do("NOOP") == []


async def test_an_app_password_that_is_taken_back_ends_its_sessions_alone(house: House) -> None:
    row = await house.store.directory.account_by_login("ann@example.org")
    assert row is not None
    text, token = await app_passwords.add(
        house.store.directory, row, app_passwords.Wish(), 0.0, bytes(34), Passwords(memory_kib=8)
    )
    phone, other = house.connect(), await house.login()
    phone.hear()
    assert b" OK " in await phone.say(f"a1 LOGIN ann@example.org {text}")
    await house.store.directory.remove_token(row.id, token.id)
    await house.service.recheck()
    assert b"* BYE [CONTACTADMIN] This app password was withdrawn" in phone.hear()
    assert not phone.link.alive
    assert await other.do("NOOP") == []
    late = house.connect()
    late.hear()
    assert b"NO [AUTHENTICATIONFAILED]" in await late.say(f"a1 LOGIN ann@example.org {text}")


async def test_commands_wait_their_turn(house: House) -> None:
    client = house.connect()
    client.hear()
    house.identity.slow = asyncio.Event()
    await client.feed(b"a1 LOGIN ann@example.org secret\r\n")
    assert await client.feed(b"a2 SELECT INBOX\r\na3 NOOP\r\n") == b""
    assert client.link.paused
    house.identity.slow.set()
    await settle(client)
    heard = client.hear()
    assert heard.index(b"a1 OK") < heard.index(b"a2 OK") < heard.index(b"a3 OK")
    assert not client.link.paused


async def test_lost_connection_lets_go(house: House) -> None:
    client = await house.selected()
    assert house.service.connections == 1
    client.link.close()
    assert house.service.connections == 0
    assert client.driver.session.account is None
    assert client.driver.session.selected is None


async def test_where_jmap_is(house: House) -> None:
    """RFC 9698: announced to who is logged in, and only where there is one."""
    client = await house.login()
    assert "JMAPACCESS" not in (await client.do("CAPABILITY"))[0]
    assert (await client.tagged("GETJMAPACCESS")).startswith("BAD ")
    house = House(options=Imap(jmap_url="https://mail.example.org/.well-known/jmap"))
    await house.add_account("ben@example.org")
    client = house.connect()
    assert b"JMAPACCESS" not in client.hear()
    await client.do("LOGIN ben@example.org secret")
    assert "JMAPACCESS" in (await client.do("CAPABILITY"))[0].split()
    assert await client.do("GETJMAPACCESS") == ['* JMAPACCESS "https://mail.example.org/.well-known/jmap"']


async def test_id_enable_namespace(house: House) -> None:
    client = await house.login()
    await play(
        client,
        """
        C: a1 ID ("name" "Thunderbird" "version" "140")
        S: * ID ("name" "Postroom" "version" "...")
        S: a1 OK ...
        C: a2 ID NIL
        S: * ID ...
        S: a2 OK ...
        C: a3 ENABLE QRESYNC X-UNKNOWN UTF8=ACCEPT
        S: * ENABLED QRESYNC UTF8=ACCEPT
        S: a3 OK ...
        C: a4 ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: a4 OK ...
        C: a5 ENABLE X-NOTHING
        S: * ENABLED
        S: a5 OK ...
        C: a6 NAMESPACE
        S: * NAMESPACE (("" "/")) (("Users/" "/")) (("Shared/" "/"))
        S: a6 OK ...
        """,
    )
    _name, fields = next(event for event in house.events if event[0] == "client.named")
    assert fields["client"] == {"name": "Thunderbird", "version": "140"}


async def test_idle_before_select_and_wrong_end(house: House) -> None:
    client = await house.login()
    await play(
        client,
        """
        C: a1 IDLE
        S: + idling
        C: DONE
        S: a1 OK Idle completed
        C: a2 IDLE
        S: + idling
        C: a3 NOOP
        S: a2 BAD ...
        C: a4 NOOP
        S: a4 OK ...
        """,
    )


async def test_one_write_for_pipelined_commands(house: House) -> None:
    client: Client = await house.login()
    heard = await client.feed(b"".join(b"p%d NOOP\r\n" % number for number in range(200)))
    assert heard == b"".join(b"p%d OK Noop completed\r\n" % number for number in range(200))


async def test_settled_when_everybody_is_gone(house: House) -> None:
    await house.service.settled()
    client = await house.login()
    waiting = asyncio.create_task(house.service.settled())
    await asyncio.sleep(0)
    assert not waiting.done()
    house.service.stop()
    await waiting
    assert not client.link.alive
    await play(house.connect(), "S: * BYE [UNAVAILABLE] This server is stopping; ...\nS: (closed)")


async def test_deadline_in_a_long_answer_sends_no_bye(house: House) -> None:
    client = await house.selected()
    await client.feed(b"a1 APPEND INBOX {5+}\r\nabcde\r\n")
    client.link.choke = asyncio.Event()
    await client.say("a2 FETCH 1 BODY.PEEK[]")
    client.driver.expired()
    assert not client.link.alive
    assert client.hear() == b""


async def test_a_slow_client_may_take_longer_than_the_deadline(house: House) -> None:
    client = await house.selected()
    await client.feed(b"a1 APPEND INBOX {5+}\r\nabcde\r\n")
    client.link.choke = asyncio.Event()
    await client.say("a2 FETCH 1 BODY.PEEK[]")
    client.link.is_stuck = lambda: False  # type: ignore[method-assign]  # it takes what is sent, if slowly
    client.link.seconds = 0.0
    client.driver.expired()
    assert client.link.alive
    assert client.link.seconds == house.service.limits.idle_imap


async def test_a_fault_of_the_machinery_ends_the_connection_and_is_logged(house: House) -> None:
    client = await house.selected()

    def broken(_command: object) -> None:
        raise ZeroDivisionError

    client.driver.session.link.send = broken  # type: ignore[method-assign, assignment]
    await client.say("a1 NOOP")
    assert not client.link.alive
    assert [name for name, _ in house.events if name == "session.fault"]


def test_every_command_of_the_table_has_an_executor() -> None:
    from postroom.servers.imap.dispatch import EXECUTORS
    from postroom.wire.imap.table import COMMANDS

    assert EXECUTORS.keys() == COMMANDS.keys()


async def test_what_is_told_of_strangers(house: House) -> None:
    """One wanted nothing, one talked nonsense, one guessed; who is logged in is not judged."""
    for lines in ([], ["x"] * 20, ["1 LOGIN ann@example.org wrong"]):
        client = house.connect()
        client.hear()
        for line in lines:
            await client.say(line)
        if client.link.alive:
            client.driver.closed(None)
    client = await house.login()
    client.driver.closed(None)
    assert house.gate.tallies == [Tally(), Tally(nonsense=True), Tally(wanted=True)]
