"""Response codes (RFC 5530, RFC 9051 7.1): each where it belongs, and none that has no row in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import apsw
import pytest
from imap_house import House, fill

from postroom.mailbox import errors
from postroom.servers.imap.replies import reply_for
from postroom.store.api import StoreBusy, StoreDamaged, StoreUnavailable
from postroom.store.embedded.database import unavailable
from postroom.testing.protocol_table import load

ROOT = Path(__file__).parents[2]
#: RFC 5530 3, RFC 9051 7.1
STANDARD = frozenset(
    """
    UNAVAILABLE AUTHENTICATIONFAILED AUTHORIZATIONFAILED EXPIRED PRIVACYREQUIRED CONTACTADMIN NOPERM
    INUSE EXPUNGEISSUED CORRUPTION SERVERBUG CLIENTBUG CANNOT LIMIT OVERQUOTA ALREADYEXISTS NONEXISTENT
    ALERT BADCHARSET CAPABILITY CLOSED COPYUID APPENDUID HASCHILDREN NOTSAVED PARSE PERMANENTFLAGS
    READ-ONLY READ-WRITE TRYCREATE UIDNEXT UIDNOTSTICKY UIDVALIDITY UNKNOWN-CTE UNSEEN
    """.split()  # noqa: SIM905 - a list of words is easier to read so
)


def documented() -> set[str]:
    rows = load(ROOT / "docs" / "protocols.toml")["imap_codes"]
    return {name for row in rows for name in row.name.split(", ")}


def test_every_standard_code_has_a_row() -> None:
    assert [name for name in STANDARD if name not in documented()] == []


def test_every_code_we_send_has_a_row() -> None:
    """Codes stand in the code as octets in upper case behind no( or in the table of errors."""
    sent = {code.decode().split()[0] for _, code in errors._CODES}
    for path in (ROOT / "src" / "postroom" / "servers" / "imap").glob("*.py"):
        text = path.read_text("utf-8")
        sent |= set(re.findall(r'\b(?:no|bad|ok)\((?:[^()]|\([^()]*\))*?b"([A-Z][A-Z-]+)[" ]', text))
        sent |= set(re.findall(r'"\[([A-Z]+)\] ', text))
    of_pop3 = {"IN-USE", "LOGIN-DELAY", "UTF8"}
    of_data = {"LIST", "LSUB"}
    assert sorted(sent - documented() - of_pop3 - of_data) == []


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (apsw.BusyError("locked"), StoreBusy, b"INUSE"),
        (apsw.LockedError("locked"), StoreBusy, b"INUSE"),
        (apsw.CorruptError("malformed"), StoreDamaged, b"CORRUPTION"),
        (apsw.NotADBError("no database"), StoreDamaged, b"CORRUPTION"),
        (apsw.FullError("full"), StoreUnavailable, b"UNAVAILABLE"),
        (OSError(28, "no space"), StoreUnavailable, b"UNAVAILABLE"),
    ],
)
def test_trouble_of_the_store(fault: Exception, kind: type[Exception], code: bytes) -> None:
    told = unavailable(fault)
    assert type(told) is kind
    reply = reply_for(told)
    assert reply is not None
    assert (reply.status, reply.code) == (b"NO", code)
    assert str(fault) not in reply.text


async def test_damage_is_told_to_the_client_and_to_the_administrator(house: House) -> None:
    account = await house.add_account("ben@example.org")
    await fill(account, "INBOX", 2)
    client = await house.selected(login="ben@example.org")
    content = account.store.content
    faults: list[Exception] = [StoreDamaged("the octets of message 1 are missing"), FileNotFoundError("bodies/00")]

    async def broken(message: int) -> Any:
        raise faults[0]

    account.store.content = broken
    for fault in list(faults):
        assert (await client.tagged("FETCH 1 BODY[]")).startswith("NO [CORRUPTION]")
        told = [fields for name, fields in house.events if name == "store.damaged"]
        assert told[-1]["login"] == "ben@example.org"
        assert str(fault) in told[-1]["reason"]
        faults.pop(0)
    account.store.content = content
    assert len(await client.do("FETCH 2 BODY[]")) > 1


async def test_a_mailbox_whose_pages_are_damaged(house: House) -> None:
    client = await house.login()
    store = client.driver.session.me.store

    async def broken(_mailbox: int) -> Any:
        raise StoreDamaged("fixed columns are damaged")

    store.snapshot = broken
    assert (await client.tagged("SELECT INBOX")).startswith("NO [CORRUPTION]")
