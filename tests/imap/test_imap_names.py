"""Names of mailboxes in every command, before and after UTF-8 is enabled (RFC 3501 5.1.3, RFC 9755 3, RFC 5198 2)."""

from __future__ import annotations

import unicodedata

import pytest
from imap_house import Client, House, play

#: the same name in both spellings of the wire
NAME, UTF7 = "Größe/日本", "Gr&APYA3w-e/&ZeVnLA-"


async def test_before_enable(house: House) -> None:
    client = await house.login()
    await play(
        client,
        f"""
        C: a1 CREATE {UTF7}
        S: a1 OK ...
        C: a2 SUBSCRIBE {UTF7}
        S: a2 OK ...
        C: a3 LIST "" "Gr*"
        S: * LIST (\\HasChildren) "/" "Gr&APYA3w-e"
        S: * LIST (\\HasNoChildren) "/" "{UTF7}"
        S: a3 OK ...
        C: a4 LIST "" "Gr&APYA3w-e/%" RETURN (STATUS (MESSAGES) METADATA (/shared/comment))
        S: * LIST (\\HasNoChildren) "/" "{UTF7}"
        S: * STATUS "{UTF7}" (MESSAGES 0)
        S: * METADATA "{UTF7}" (/shared/comment NIL)
        S: a4 OK ...
        C: a5 LSUB "" "Gr*"
        S: * LSUB () "/" "{UTF7}"
        S: a5 OK ...
        C: a6 STATUS {UTF7} (MESSAGES)
        S: * STATUS "{UTF7}" (MESSAGES 0)
        S: a6 OK ...
        C: a7 SETMETADATA {UTF7} (/shared/comment "x")
        S: a7 OK ...
        C: a8 GETMETADATA {UTF7} /shared/comment
        S: * METADATA "{UTF7}" (/shared/comment "x")
        S: a8 OK ...
        C: a9 GETQUOTAROOT {UTF7}
        S: * QUOTAROOT "{UTF7}" ""
        S: * QUOTA ...
        S: a9 OK ...
        C: b1 RENAME {UTF7} Gr&APYA3w-e/&AOQ-
        S: b1 OK ...
        C: b2 LSUB "" "Gr*"
        S: * LSUB () "/" "Gr&APYA3w-e/&AOQ-"
        S: b2 OK ...
        C: b3 DELETE "Gr&APYA3w-e/&AOQ-"
        S: b3 OK ...
        """,
    )
    await client.do(f"CREATE {UTF7}")
    selected = await client.do(f"SELECT {UTF7}")
    assert not [line for line in selected if not line.isascii()]
    # RFC 9755 3: UTF-8 in quotes or in a literal is taken from anybody
    await client.do(f'EXAMINE "{NAME}"')
    octets = NAME.encode()
    heard = await client.feed(b"l1 STATUS {%d+}\r\n%b (MESSAGES)\r\n" % (len(octets), octets))
    assert heard.startswith(b'* STATUS "%b" (MESSAGES 0)\r\nl1 OK' % UTF7.encode())


@pytest.mark.parametrize("extension", ["UTF8=ACCEPT", "IMAP4rev2"])
async def test_after_enable(house: House, extension: str) -> None:
    client = await house.login()
    await client.do(f"CREATE {UTF7}")
    await client.do(f"ENABLE {extension}")
    await play(
        client,
        f"""
        C: a1 LIST "" "Grö*"
        S: * LIST (\\HasChildren) "/" "Größe"
        S: * LIST (\\HasNoChildren) "/" "{NAME}"
        S: a1 OK ...
        C: a2 SUBSCRIBE "{NAME}"
        S: a2 OK ...
        C: a3 LSUB "" "*日本"
        S: * LSUB () "/" "{NAME}"
        S: a3 OK ...
        C: a4 LIST (SUBSCRIBED RECURSIVEMATCH) "" "Größe"
        S: * LIST (\\HasChildren) "/" "Größe" ("CHILDINFO" ("SUBSCRIBED"))
        S: a4 OK ...
        C: a5 STATUS "{NAME}" (MESSAGES)
        S: * STATUS "{NAME}" (MESSAGES 0)
        S: a5 OK ...
        C: a6 SETMETADATA "{NAME}" (/shared/comment "Äpfel")
        S: a6 OK ...
        C: a7 GETMETADATA "{NAME}" /shared/comment
        S: * METADATA "{NAME}" (/shared/comment "Äpfel")
        S: a7 OK ...
        C: a8 GETQUOTAROOT "{NAME}"
        S: * QUOTAROOT "{NAME}" ""
        S: * QUOTA ...
        S: a8 OK ...
        C: a9 LIST "" "{UTF7}"
        S: a9 OK ...
        C: b1 STATUS "{UTF7}" (MESSAGES)
        S: b1 NO [NONEXISTENT] ...
        """,
    )
    await client.do(f'SELECT "{NAME}"')
    await client.do("CREATE R&D&AOk-")  # an ampersand is one now
    assert '* LIST (\\HasNoChildren) "/" "R&D&AOk-"' in await client.do('LIST "" "R*"')
    other = await house.login()
    assert '* LIST (\\HasNoChildren) "/" "R&-D&-AOk-"' in await other.do('LIST "" "R*"')


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
async def test_one_mailbox_in_every_normalisation(house: House, form: str) -> None:
    """RFC 9051 5.1, RFC 5198 2: NFC is what is kept, and told."""
    client = await house.login()
    await client.do("ENABLE IMAP4rev2")
    name = "Prüfung/Ångström"
    given = unicodedata.normalize(form, name)
    said = await client.do(f'CREATE "{given}"')
    if given != name:
        assert said == [f'* LIST () "/" "{name}" ("OLDNAME" ("{given}"))']
    decomposed = unicodedata.normalize("NFD", name)
    assert await client.do(f'STATUS "{decomposed}" (MESSAGES)') == [f'* STATUS "{name}" (MESSAGES 0)']
    assert await client.do(f'LIST "" "{decomposed}"') == [f'* LIST (\\HasNoChildren) "/" "{name}"']
    selected = await client.do(f'SELECT "{decomposed}"')
    assert f'* LIST (\\HasNoChildren) "/" "{name}" ("OLDNAME" ("{decomposed}"))' in selected
    for command in ("SUBSCRIBE", "UNSUBSCRIBE", "DELETE"):
        await client.do(f'{command} "{decomposed}"')


async def refused(client: Client, name: str) -> None:
    for command in (f'CREATE "{name}"', f'RENAME Sent "{name}"', f'SUBSCRIBE "{name}"', f'SELECT "{name}"'):
        reply = await client.tagged(command)
        assert reply.startswith(("NO [CANNOT]", "NO [NONEXISTENT]", "BAD")), (command, reply)
    assert not [line for line in await client.do('LIST "" "*x*"') if "x" in line]


@pytest.mark.parametrize(
    "character",
    [
        "\x01", "\x1f", "\x7f", "\x80", "\x9f", "\u2028", "\u2029", "\ufdd0", "\ufffe", "\uffff", "\U0001fffe",
        "\U0010ffff", "\ufeff", "\u202e", "\u2066",
    ],
)  # fmt: skip
async def test_refused_characters(house: House, character: str) -> None:
    client = await house.login()
    await client.do("ENABLE UTF8=ACCEPT")
    await refused(client, f"x{character}y")


async def test_refused_characters_in_modified_utf7(house: House) -> None:
    client = await house.login()
    for name in ("x&AAE-", "x&ICg-", "x&2AA-", "x&//8-", "x&AIA-", "x&AGE-", "x&", "x&Zg-"):
        await refused(client, name)


async def test_characters_that_are_needed_stay(house: House) -> None:
    """Joiners make words in Persian and in many scripts of India; emoji lie beyond the first plane."""
    client = await house.login()
    await client.do("ENABLE UTF8=ACCEPT")
    for name in ("می\u200cخواهم", "क्\u200dष", "📬 Post", "a&b", "tilde~", 'quote\\"d', "%41"):
        wire = name.replace("%", "%25") if name == "%41" else name
        await client.do(f'CREATE "{wire}"')
        await client.do(f'STATUS "{wire}" (MESSAGES)')


async def test_names_over_the_limits(house: House) -> None:
    client = await house.login()
    await client.do("ENABLE UTF8=ACCEPT")
    fits = "日" * 83
    await client.do(f'CREATE "{fits}"')
    for name in (fits + "日", "/".join(["a"] * 51), "/".join([fits] * 5), "x" * 3000):
        assert (await client.tagged(f'CREATE "{name}"')).startswith("NO [CANNOT]")
        assert (await client.tagged(f'RENAME Sent "{name}"')).startswith("NO [CANNOT]")
        assert (await client.tagged(f'STATUS "{name}" (MESSAGES)')).startswith("NO [NONEXISTENT]")
    assert (await client.tagged(f'STATUS "{"x" * 5000}" (MESSAGES)')).startswith("NO [CANNOT]")
    assert (await client.tagged(f'RENAME "{fits}" "{fits}/x"')).startswith("NO [CANNOT]")


async def test_wrong_utf8_is_bad(house: House) -> None:
    """RFC 9755 3: BAD, and the session goes on."""
    client = await house.login()
    await client.do("ENABLE UTF8=ACCEPT")
    for octets in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"):
        assert (await client.feed(b'u1 CREATE "x%b"\r\n' % octets)).startswith(b"u1 BAD")
        assert (await client.feed(b"u2 CREATE {%d+}\r\nx%b\r\n" % (len(octets) + 1, octets))).startswith(
            b"u2 NO [CANNOT]"
        )
    assert await client.do("NOOP") == []
