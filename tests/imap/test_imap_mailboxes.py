"""CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS, quota."""

from __future__ import annotations

from imap_house import House, fill, play

from postroom.store.api import StoreUnavailable


async def test_create_delete_rename(house: House) -> None:
    await play(
        await house.login(),
        """
        C: a1 CREATE Projects/2026/
        S: a1 OK [MAILBOXID (F...-...)] Create completed
        C: a2 CREATE Projects
        S: a2 NO [ALREADYEXISTS] ...
        C: a3 CREATE inbox
        S: a3 NO [ALREADYEXISTS] ...
        C: a4 CREATE "a//b"
        S: a4 NO [CANNOT] ...
        C: a5 DELETE Projects
        S: a5 NO [HASCHILDREN] ...
        C: a6 DELETE INBOX
        S: a6 NO [CANNOT] ...
        C: a7 DELETE Nowhere
        S: a7 NO [NONEXISTENT] ...
        C: a8 RENAME Projects Work
        S: a8 OK Rename completed
        C: a9 LIST "" "*"
        S: * LIST (\\HasNoChildren) "/" "INBOX"
        S: * LIST (\\HasNoChildren \\Archive) "/" "Archive"
        S: * LIST (\\HasNoChildren \\Drafts) "/" "Drafts"
        S: * LIST (\\HasNoChildren \\Junk) "/" "Junk"
        S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
        S: * LIST (\\HasNoChildren \\Trash) "/" "Trash"
        S: * LIST (\\HasChildren) "/" "Work"
        S: * LIST (\\HasNoChildren) "/" "Work/2026"
        S: a9 OK List completed
        C: b1 RENAME Nowhere Else
        S: b1 NO [NONEXISTENT] ...
        C: b2 RENAME Work Sent
        S: b2 NO [ALREADYEXISTS] ...
        C: b3 DELETE Work/2026
        S: b3 OK Delete completed
        C: b4 DELETE Work
        S: b4 OK Delete completed
        """,
    )


async def test_rename_inbox_moves_its_messages(house: House) -> None:
    account = await house.add_account("ben@example.org")
    await fill(account, "INBOX", 3)
    client = await house.login("ben@example.org")
    await play(
        client,
        """
        C: a1 RENAME INBOX Old
        S: a1 OK Rename completed
        C: a2 STATUS Old (MESSAGES)
        S: * STATUS "Old" (MESSAGES 3)
        S: a2 OK ...
        C: a3 STATUS INBOX (MESSAGES)
        S: * STATUS "INBOX" (MESSAGES 0)
        S: a3 OK ...
        """,
    )


async def test_create_with_special_use(house: House) -> None:
    await play(
        await house.login(),
        """
        C: a1 CREATE Spam (USE (\\Junk))
        S: a1 NO [USEATTR] ...
        C: a2 DELETE Junk
        S: a2 OK ...
        C: a3 CREATE Spam (USE (\\Junk))
        S: a3 OK ...
        C: a4 LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE)
        S: * LIST (\\HasNoChildren \\Archive) "/" "Archive"
        S: * LIST (\\HasNoChildren \\Drafts) "/" "Drafts"
        S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
        S: * LIST (\\HasNoChildren \\Junk) "/" "Spam"
        S: * LIST (\\HasNoChildren \\Trash) "/" "Trash"
        S: a4 OK List completed
        C: a5 CREATE X (USE (\\Flagged))
        S: a5 NO [USEATTR] ...
        C: a6 CREATE "Important Messages" (USE (\\Important))
        S: a6 OK ...
        C: a7 LIST "" "Imp*"
        S: * LIST (\\HasNoChildren \\Important) "/" "Important Messages"
        S: a7 OK ...
        C: a8 CREATE Urgent (USE (\\important))
        S: a8 NO [USEATTR] ...
        """,
    )


async def test_international_names(house: House) -> None:
    client = await house.login()
    await play(
        client,
        """
        C: a1 CREATE "R&AOk-sum&AOk-"
        S: a1 OK ...
        C: a2 LIST "" "R*"
        S: * LIST (\\HasNoChildren) "/" "R&AOk-sum&AOk-"
        S: a2 OK ...
        C: a3 CREATE "&bad"
        S: a3 NO [CANNOT] ...
        C: a4 ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: a4 OK ...
        C: a5 LIST "" "R*"
        S: * LIST (\\HasNoChildren) "/" "Résumé"
        S: a5 OK ...
        C: a6 SELECT "Résumé"
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 1] ...
        S: * OK [HIGHESTMODSEQ ...
        S: * OK [MAILBOXID (F...-...)] ...
        S: a6 OK [READ-WRITE] ...
        """,
    )


async def test_list_forms(house: House) -> None:
    client = await house.login()
    await client.do("CREATE a/b/c")
    await client.do("SUBSCRIBE a/b/c")
    await play(
        client,
        """
        C: a1 LIST "" ""
        S: * LIST (\\Noselect) "/" ""
        S: a1 OK ...
        C: a2 LIST "" %
        S: * LIST (\\HasNoChildren) "/" "INBOX"
        S: * LIST (\\HasNoChildren \\Archive) "/" "Archive"
        S: * LIST (\\HasNoChildren \\Drafts) "/" "Drafts"
        S: * LIST (\\HasNoChildren \\Junk) "/" "Junk"
        S: * LIST (\\HasNoChildren \\Sent) "/" "Sent"
        S: * LIST (\\HasNoChildren \\Trash) "/" "Trash"
        S: * LIST (\\HasChildren) "/" "a"
        S: a2 OK ...
        C: a3 LIST "a/" "%"
        S: * LIST (\\HasChildren) "/" "a/b"
        S: a3 OK ...
        C: a4 LIST "" (inbox "a/*") RETURN (SUBSCRIBED CHILDREN)
        S: * LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"
        S: * LIST (\\HasChildren) "/" "a/b"
        S: * LIST (\\HasNoChildren \\Subscribed) "/" "a/b/c"
        S: a4 OK ...
        C: a5 LIST (SUBSCRIBED RECURSIVEMATCH) "" "a"
        S: * LIST (\\HasChildren) "/" "a" ("CHILDINFO" ("SUBSCRIBED"))
        S: a5 OK ...
        C: a6 LIST (SUBSCRIBED) "" "a*"
        S: * LIST (\\HasNoChildren \\Subscribed) "/" "a/b/c"
        S: a6 OK ...
        C: a7 LIST (RECURSIVEMATCH) "" "*"
        S: a7 BAD ...
        C: a8 LSUB "" "a/%"
        S: * LSUB (\\Noselect) "/" "a/b"
        S: a8 OK ...
        C: a9 LSUB "" "a*"
        S: * LSUB () "/" "a/b/c"
        S: a9 OK ...
        C: b1 LIST "" "" RETURN (STATUS (MESSAGES))
        S: b1 OK ...
        C: b2 LIST "" INBOX RETURN (STATUS (MESSAGES UIDNEXT))
        S: * LIST (\\HasNoChildren) "/" "INBOX"
        S: * STATUS "INBOX" (MESSAGES 0 UIDNEXT 1)
        S: b2 OK ...
        """,
    )


async def test_subscribe(house: House) -> None:
    await play(
        await house.login(),
        """
        C: a1 UNSUBSCRIBE Sent
        S: a1 OK ...
        C: a2 LSUB "" "S*"
        S: a2 OK ...
        C: a3 SUBSCRIBE Sent
        S: a3 OK ...
        C: a4 LSUB "" "S*"
        S: * LSUB () "/" "Sent"
        S: a4 OK ...
        C: a5 SUBSCRIBE Nowhere
        S: a5 NO [NONEXISTENT] ...
        C: a6 UNSUBSCRIBE Nowhere
        S: a6 OK ...
        C: a7 CREATE New
        S: a7 OK ...
        C: a8 LSUB "" "N*"
        S: a8 OK ...
        """,
    )


async def test_subscriptions_outlive_their_mailboxes(house: House) -> None:
    """RFC 3501 6.3.6: a name is not taken out of the list because its mailbox is gone."""
    client = await house.login()
    for command in ("CREATE Fruit", "CREATE Fruit/Peach", "SUBSCRIBE Fruit/Peach", "DELETE Fruit/Peach"):
        await client.do(command)
    await play(
        client,
        """
        C: a1 LIST "" "Fruit*" RETURN (SUBSCRIBED)
        S: * LIST (\\HasNoChildren) "/" "Fruit"
        S: a1 OK ...
        C: a2 LIST (SUBSCRIBED) "" "Fruit*"
        S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Fruit/Peach"
        S: a2 OK ...
        C: a3 LIST (SUBSCRIBED RECURSIVEMATCH) "" "F%"
        S: * LIST (\\HasNoChildren) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))
        S: a3 OK ...
        C: a4 LIST (SUBSCRIBED) "" "F%"
        S: a4 OK ...
        C: a5 LSUB "" "Fruit*"
        S: * LSUB () "/" "Fruit/Peach"
        S: a5 OK ...
        C: a6 LSUB "" "Fr%"
        S: * LSUB (\\Noselect) "/" "Fruit"
        S: a6 OK ...
        C: a7 SUBSCRIBE Fruit/Peach
        S: a7 OK ...
        C: a8 DELETE Fruit
        S: a8 OK ...
        C: a9 LIST (SUBSCRIBED RECURSIVEMATCH) "" "F%"
        S: * LIST (\\NonExistent \\HasNoChildren) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))
        S: a9 OK ...
        C: b1 LIST (SUBSCRIBED RECURSIVEMATCH) "" "F*"
        S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Fruit/Peach"
        S: b1 OK ...
        C: b2 LIST (SUBSCRIBED SPECIAL-USE) "" "*" RETURN (STATUS (MESSAGES))
        S: * LIST (\\HasNoChildren \\Subscribed \\Archive) "/" "Archive"
        S: * STATUS "Archive" (MESSAGES 0)
        S: * LIST (\\HasNoChildren \\Subscribed \\Drafts) "/" "Drafts"
        S: * STATUS "Drafts" (MESSAGES 0)
        S: * LIST (\\HasNoChildren \\Subscribed \\Junk) "/" "Junk"
        S: * STATUS "Junk" (MESSAGES 0)
        S: * LIST (\\HasNoChildren \\Subscribed \\Sent) "/" "Sent"
        S: * STATUS "Sent" (MESSAGES 0)
        S: * LIST (\\HasNoChildren \\Subscribed \\Trash) "/" "Trash"
        S: * STATUS "Trash" (MESSAGES 0)
        S: b2 OK ...
        C: b3 LIST (SUBSCRIBED) "" "Fruit*" RETURN (STATUS (MESSAGES))
        S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Fruit/Peach"
        S: b3 OK ...
        C: b4 UNSUBSCRIBE Fruit/Peach
        S: b4 OK ...
        C: b5 UNSUBSCRIBE Fruit/Peach
        S: b5 OK ...
        C: b6 LSUB "" "F*"
        S: b6 OK ...
        C: b7 SUBSCRIBE Fruit/Peach
        S: b7 NO [NONEXISTENT] ...
        """,
    )


async def test_subscription_follows_a_rename(house: House) -> None:
    client = await house.login()
    for command in ("CREATE a/b", "SUBSCRIBE a/b", "RENAME a z"):
        await client.do(command)
    assert await client.do('LSUB "" "*b"') == ['* LSUB () "/" "z/b"']


async def test_recursive_match_as_in_the_example(house: House) -> None:
    """RFC 9051 6.3.9.8, example 8."""
    client = await house.login()
    for name in ("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2/mamba", "qux2/bar2"):
        await client.do(f"CREATE {name}")
        await client.do(f"SUBSCRIBE {name}")
    await client.do("SUBSCRIBE eps2")
    assert await client.do('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"') == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar2"',
        '* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar22"',
        '* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar222"',
        '* LIST (\\HasChildren \\Subscribed) "/" "eps2" ("CHILDINFO" ("SUBSCRIBED"))',
        '* LIST (\\HasChildren) "/" "foo2" ("CHILDINFO" ("SUBSCRIBED"))',
        '* LIST (\\HasNoChildren \\Subscribed) "/" "foo2/bar2"',
        '* LIST (\\HasNoChildren \\Subscribed) "/" "qux2/bar2"',
    ]


async def test_status(house: House) -> None:
    account = await house.add_account("ben@example.org")
    await fill(account, "INBOX", 2)
    client = await house.login("ben@example.org")
    size = (await account.find("INBOX")).size
    await play(
        client,
        f"""
        C: a1 STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN DELETED SIZE APPENDLIMIT DELETED-STORAGE)
        S: * STATUS "INBOX" (MESSAGES 2 RECENT 0 UIDNEXT 3 UNSEEN 2 DELETED 0 SIZE {size} APPENDLIMIT ... 0)
        S: a1 OK Status completed
        C: a2 STATUS Nowhere (MESSAGES)
        S: a2 NO [NONEXISTENT] ...
        C: a3 STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)
        S: * STATUS "INBOX" (UIDVALIDITY ... HIGHESTMODSEQ ...)
        S: a3 OK Status completed
        C: a4 STATUS INBOX (FROBS)
        S: a4 BAD ...
        """,
    )


async def test_store_unavailable_is_no_and_the_session_lives_on(house: House) -> None:
    client = await house.selected()
    account = client.driver.session.me

    async def broken(*_args: object, **_named: object) -> None:
        raise StoreUnavailable("disk full")

    for name in ("mailboxes", "create", "snapshot"):
        original = getattr(account.store, name)
        setattr(account.store, name, broken)
        try:
            command = {"mailboxes": 'LIST "" "*"', "create": "CREATE x", "snapshot": "SELECT INBOX"}[name]
            assert (await client.tagged(command)).startswith("NO [UNAVAILABLE]")
        finally:
            setattr(account.store, name, original)
    await client.do("SELECT INBOX")
    account.store.snapshot = broken
    assert await client.do("NOOP") == []  # news can wait


async def test_bug_is_logged_and_answered(house: House) -> None:
    client = await house.login()

    async def broken() -> None:
        raise ZeroDivisionError

    client.driver.session.me.store.mailboxes = broken
    assert (await client.tagged('LIST "" "*"')).startswith("NO [SERVERBUG]")
    assert [name for name, _ in house.events if name == "session.fault"]
    assert await client.do("NOOP") == []


async def test_selected_mailbox_is_deleted(house: House) -> None:
    one, two = await house.selected("Trash"), await house.selected("Trash")
    await play(
        {"1": one, "2": two},
        """
        C1: a1 DELETE Trash
        S1: * OK [CLOSED] ...
        S1: a1 OK ...
        C1: a2 FETCH 1 FLAGS
        S1: a2 BAD ...
        C2: b1 NOOP
        S2: b1 OK ...
        S2: * BYE [NONEXISTENT] ...
        S2: (closed)
        """,
    )


async def test_selected_mailbox_is_renamed(house: House) -> None:
    account = await house.add_account("ben@example.org")
    await fill(account, "Drafts", 1)
    one, two = await house.selected("Drafts", "ben@example.org"), await house.selected("Drafts", "ben@example.org")
    await play(
        {"1": one, "2": two},
        """
        C1: a1 RENAME Drafts Sketches
        S1: a1 OK ...
        C2: b1 STORE 1 +FLAGS (\\Flagged)
        S2: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S2: b1 OK ...
        C1: a2 NOOP
        S1: * 1 FETCH (UID 1 FLAGS (\\Flagged))
        S1: a2 OK ...
        """,
    )
