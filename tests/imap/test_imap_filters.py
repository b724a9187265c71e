"""FILTERS: searches kept under a name (RFC 5466)."""

from __future__ import annotations

from imap_house import Client, House, fill, play

from postroom.values.flags import FLAGGED, SEEN


async def reader(house: House) -> Client:
    """A client with five messages: 1 and 2 seen, 2 and 3 flagged."""
    account = await house.add_account("ben@example.org")
    for number, flags in enumerate((SEEN, SEEN | FLAGGED, FLAGGED, 0, 0)):
        await fill(account, "INBOX", 1, flags=flags, first=number + 1)
    return await house.selected(login="ben@example.org")


async def test_named_searches(house: House) -> None:
    await play(
        await reader(house),
        """
        C: a1 SETMETADATA "" (/private/filters/values/good "SEEN FLAGGED" /private/filters/descriptions/good "of use")
        S: a1 OK ...
        C: a2 SEARCH FILTER good
        S: * SEARCH 2
        S: a2 OK ...
        C: a3 SEARCH NOT FILTER Good
        S: * SEARCH 1 3 4 5
        S: a3 OK ...
        C: a4 SEARCH 3:* OR FILTER good UNSEEN
        S: * SEARCH 3 4 5
        S: a4 OK ...
        C: a5 SEARCH FILTER on-the-road
        S: a5 NO [UNDEFINED-FILTER on-the-road] ...
        C: a6 SETMETADATA "" (/private/filters/values/good "UID 4:*")
        S: a6 OK ...
        C: a7 UID SEARCH RETURN (COUNT) FILTER good
        S: * ESEARCH (TAG "a7") UID COUNT 2
        S: a7 OK ...
        C: a8 SETMETADATA "" (/private/filters/values/good NIL)
        S: a8 OK ...
        C: a9 SEARCH FILTER good
        S: a9 NO [UNDEFINED-FILTER good] ...
        C: b1 SEARCH CHARSET ISO-8859-1 FILTER good
        S: b1 BAD [BADCHARSET ...] ...
        C: b2 GETMETADATA "" (DEPTH infinity) /private/filters
        S: * METADATA "" (/private/filters/descriptions/good "of use")
        S: b2 OK ...
        """,
    )


async def test_filters_within_filters(house: House) -> None:
    client = await reader(house)
    chain = [f'/private/filters/values/f{n} "FILTER f{n - 1}"' for n in range(1, 12)]
    await client.do(f'SETMETADATA "" (/private/filters/values/f0 "FLAGGED" {" ".join(chain)})')
    assert await client.do("SEARCH FILTER f3") == ["* SEARCH 2 3"]
    assert await client.do("SEARCH FILTER f9") == ["* SEARCH 2 3"]
    assert (await client.tagged("SEARCH FILTER f10")).startswith("NO [UNDEFINED-FILTER f0]")
    await client.do('SETMETADATA "" (/private/filters/values/f0 "NOT FILTER F3")')
    assert (await client.tagged("SEARCH FILTER f3")).startswith("NO [UNDEFINED-FILTER F3]")
    many = " ".join(["FILTER w"] * 30)
    await client.do(
        f'SETMETADATA "" (/private/filters/values/v "{many.replace("w", "u")}" /private/filters/values/u "SEEN")'
    )
    assert (await client.tagged("SEARCH " + many.replace("w", "v"))).startswith("NO [LIMIT]")


async def test_filters_where_results_are_ordered(house: House) -> None:
    client = await reader(house)
    await client.do(
        'SETMETADATA "" (/private/filters/values/f "FLAGGED" /private/filters/values/near "FUZZY BODY helo")'
    )
    assert await client.do("SORT (REVERSE ARRIVAL) UTF-8 FILTER f") == ["* SORT 3 2"]
    assert await client.do("UID SORT (ARRIVAL) US-ASCII NOT FILTER f SEEN") == ["* SORT 1"]
    assert await client.do("THREAD REFERENCES UTF-8 OR FILTER f 5") == ["* THREAD (2)(3)(5)"]
    assert await client.do("UID SORT (REVERSE RELEVANCY REVERSE ARRIVAL) UTF-8 FILTER near") == ["* SORT 5 4 3 2 1"]
    [line] = await client.do("SORT RETURN (RELEVANCY COUNT) (ARRIVAL) UTF-8 FILTER near")
    assert line.endswith(" COUNT 5 RELEVANCY (100 100 100 100 100)")
    for command in ("SORT (DATE) UTF-8", "UID THREAD REFERENCES UTF-8"):
        assert (await client.tagged(f"{command} FILTER none")).startswith("NO [UNDEFINED-FILTER none] ")
    assert (await client.tagged("SORT (DATE) ISO-8859-1 FILTER f")).startswith("BAD [BADCHARSET ")
    # a fuzzy search cannot be kept up to date, also where a filter says that it is one
    lines = await client.do("SEARCH RETURN (UPDATE) FILTER near")
    assert any("[NOUPDATE " in line for line in lines)


async def test_modseq_in_a_filter(house: House) -> None:
    """RFC 7162 3.1.5: it turns CONDSTORE on like any other."""
    client = await reader(house)
    await client.do('SETMETADATA "" (/private/filters/values/new "MODSEQ 1 SEEN")')
    told, found = await client.do("SEARCH FILTER new")
    assert told.startswith("* OK [HIGHESTMODSEQ")
    assert found.startswith("* SEARCH 1 2 (MODSEQ ")


async def test_what_cannot_be_a_filter(house: House) -> None:
    """RFC 5466 3.2: only a full and correct search is kept."""
    await play(
        await house.login(),
        """
        C: a1 SETMETADATA "" (/private/filters/values/bad "OR SMALLER" /private/comment "x")
        S: a1 NO [CANNOT] ...
        C: a2 SETMETADATA "" (/private/filters/values/a/b "SEEN")
        S: a2 NO [CANNOT] ...
        C: a3 SETMETADATA "" ("/private/filters/values/a b" "SEEN")
        S: a3 NO [CANNOT] ...
        C: a4 SETMETADATA "" (/shared/filters/values/all "SEEN")
        S: a4 NO [NOPERM] ...
        C: a5 GETMETADATA "" (/private/filters/values/bad /private/comment)
        S: * METADATA "" (/private/filters/values/bad NIL /private/comment NIL)
        S: a5 OK ...
        C: a6 SETMETADATA INBOX (/private/filters/values/bad "OR SMALLER")
        S: a6 OK ...
        """,
    )


async def test_saved_result_is_emptied(house: House) -> None:
    """RFC 5182 2.1."""
    client = await reader(house)
    await client.do("SEARCH RETURN (SAVE) SEEN")
    assert (await client.tagged("SEARCH RETURN (SAVE) FILTER none")).startswith("NO [UNDEFINED-FILTER none]")
    assert await client.do("SEARCH $") == ["* SEARCH"]


async def test_an_expunge_waits_when_a_filter_may_name_numbers(house: House) -> None:
    """RFC 7162 3.2.10.2."""
    one = await reader(house)
    two = await house.selected(login="ben@example.org")
    await one.do('SETMETADATA "" (/private/filters/values/first "1:2")')
    await two.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await one.do("NOOP")
    await two.do("EXPUNGE")
    told = await one.do("UID SEARCH FILTER first")
    assert not [line for line in told if "EXPUNGE" in line]
    assert "* 1 EXPUNGE" in await one.do("NOOP")
