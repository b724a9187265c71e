"""Cards and tables of contacts, as programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.message.contact_table import read_table
from postroom.message.vcard import Entry, file_text, print_card, read_cards

CARDS = """BEGIN:VCARD\r
VERSION:3.0\r
N:Baker;Ben;;Dr.;\r
FN:Dr. Ben\r
  Baker\r
item1.EMAIL;TYPE="INTERNET,WORK":ben@far\r
 .test\r
EMAIL;type=HOME:ben@home.test\r
END:VCARD\r
BEGIN:VCARD\r
VERSION:4.0\r
EMAIL;PREF=1;ALTID="a:b;c":mailto:eve@far.test\r
N:Ex\\;tra;Eve;Maria;;\r
PHOTO:data:image/jpeg;base64,MIICajCCAdOgAwIBAgI\r
END:VCARD\r
BEGIN:VCARD\r
FN:Nobody\\, nowhere\r
END:VCARD\r
"""

OLD = """BEGIN:VCARD
VERSION:2.1
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen =
M=C3=BCller
AGENT:
BEGIN:VCARD
EMAIL:agent@far.test
END:VCARD
EMAIL;INTERNET;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:juergen=40far.test
END:VCARD
"""


def test_cards_of_versions_3_and_4() -> None:
    found = read_cards(CARDS)
    assert found.entries == [
        Entry(6, "ben@far.test", "Dr. Ben Baker"),
        Entry(8, "ben@home.test", "Dr. Ben Baker"),
        Entry(12, "eve@far.test", "Eve Maria Ex;tra"),
    ]
    assert (found.without, found.unreadable) == (1, [])


def test_a_card_of_version_2_with_quoted_printable_and_an_agent() -> None:
    found = read_cards(OLD)
    assert found.entries == [Entry(9, "juergen@far.test", "Jürgen Müller")]
    assert found.unreadable == []


def test_what_is_no_card_is_told_with_its_line() -> None:
    found = read_cards(
        "hello\nthere\n\nBEGIN:VCARD\nEMAIL:a@b.test\nBEGIN:VEVENT\nEND:VCARD\nx\nBEGIN:VCARD\nEMAIL:c@d.test"
    )
    assert [entry.address for entry in found.entries] == ["a@b.test", "c@d.test"]
    assert found.unreadable == [(1, "this is in no card"), (8, "this is in no card"), (9, "this card has no end")]


def test_what_is_printed_is_read_again() -> None:
    name = "Bäcker, Ben; \\ " + "ü" * 70
    card = print_card("ben@far.test", name)
    assert all(len(line.encode()) <= 75 for line in card.split("\r\n"))
    assert read_cards(card + print_card("c@d.test", "")).entries == [
        Entry(6, "ben@far.test", name),
        Entry(11, "c@d.test", "c@d.test"),
    ]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (  # Thunderbird
            "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Work Phone\r\n"
            'Ben,Baker,"Baker, Ben",,ben@far.test,b@home.test,1\r\nEve,Ex,,,eve@far.test,,\r\n',
            [("ben@far.test", "Baker, Ben", 2), ("b@home.test", "Baker, Ben", 2), ("eve@far.test", "Eve Ex", 3)],
        ),
        (  # Outlook, German, with semicolons
            '"Vorname";"Weitere Vornamen";"Nachname";"E-Mail-Adresse";"E-Mail-Typ";"E-Mail: Angezeigter Name"\n'
            '"Jürgen";"";"Müller";"jm@far.test";"SMTP";"Jürgen Müller (jm@far.test)"\r\n',
            [("jm@far.test", "Jürgen Müller", 2)],
        ),
        (  # Google
            "Name Prefix,First Name,Middle Name,Last Name,Notes,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Value\n"
            ',Ben,B.,Baker,"two\nlines",* Work,ben@far.test ::: b2@far.test,\n,,,,,,,\n,Eve,,,,Home,,eve@far.test\n',
            [("ben@far.test", "Ben B. Baker", 2), ("b2@far.test", "Ben B. Baker", 2), ("eve@far.test", "Eve", 5)],
        ),
        ("Ben,ben@far.test\nEve,eve@far.test\n", [("ben@far.test", "Ben", 1), ("eve@far.test", "Eve", 2)]),
        ("a@b.test\n", [("a@b.test", "", 1)]),
    ],
)
def test_tables(text: str, entries: list[tuple[str, str, int]]) -> None:
    found = read_table(text)
    assert [(one.address, one.name, one.line) for one in found.entries] == entries
    assert found.unreadable == []


def test_tables_that_hold_nobody() -> None:
    assert read_table("").entries == []
    assert read_table("a,b\nc,d\n").unreadable == [(1, "no column holds addresses")]
    found = read_table(f'Email\na@b.test\n"{"x" * 200_000}"\nc@d.test\n')
    assert "a@b.test" in [one.address for one in found.entries]
    assert [line for line, _ in found.unreadable] == [3]


def test_files_of_other_charsets() -> None:
    assert file_text("Jürgen".encode("utf-8-sig")) == "Jürgen"
    assert file_text("Jürgen".encode("utf-16")) == "Jürgen"
    assert file_text("Jürgen".encode("cp1252")) == "Jürgen"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([*CARDS.splitlines(True), *OLD.splitlines(True), '"', ";", "\\", "=", "\n ", "a@b,"])))
def test_nothing_is_too_odd(parts: list[str]) -> None:
    for read in (read_cards, read_table):
        for entry in read("".join(parts)).entries:
            assert entry.line >= 1
            assert "\n" not in entry.name + entry.address
