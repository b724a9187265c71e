"""Forms of a word are known in the languages that are told apart, and other words are not taken for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_house import add, filled, found, keep

from postroom.index.stems import SHORTEST, common_start, same_stem, stems
from postroom.message.folding import fold
from postroom.store.memory import MemoryStore
from postroom.wire.imap.commands import Key, SearchKey

FORMS = """
en invoice invoices invoicing invoiced
en party parties
en study studied studies
en run running runs
en box boxes
en address addresses
de Rechnung Rechnungen
de Haus Hauses Häuser Häusern
de Vertrag Vertrags Verträge Verträgen
de Buch Bücher Büchern
fr facture factures facturer facturée
fr journal journaux
fr bateau bateaux
es factura facturas
es reunión reuniones
pt fatura faturas
pt reunião reuniões
it fattura fatture
it amico amici amiche
nl factuur facturen
nl boek boeken
sv faktura fakturor fakturorna
sv bil bilar bilarna
ru счёт счета счетом счетов
ru договор договоры договоров договорами
"""
OTHERS = "invoice involve;port portal;general generation;house horse;helo hello;content contest;bank bench"


@pytest.mark.parametrize("line", FORMS.strip().splitlines())
def test_forms_of_a_word(line: str) -> None:
    word, *others = [fold(each) for each in line.split()[1:]]
    for other in others:
        assert same_stem(word, other), (stems(word), stems(other))
        assert same_stem(other, word)
        assert other.startswith(common_start(word)) and word.startswith(common_start(other))


@pytest.mark.parametrize("pair", OTHERS.split(";"))
def test_other_words(pair: str) -> None:
    assert not same_stem(*pair.split())


def test_what_is_no_word_has_no_forms() -> None:
    for word in ("", "a", "ab", "x123", "5", "a" * 40, "東京"):
        assert stems(word) == frozenset()
        assert common_start(word) == ""


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.text(st.characters(codec="utf-8"), max_size=12))
def test_any_two_words(one: str, other: str) -> None:
    one, other = fold(one), fold(other)
    assert same_stem(one, other) == same_stem(other, one)
    assert all(len(stem) >= SHORTEST for _, stem in stems(one))
    if same_stem(one, other):
        assert other.startswith(common_start(one))


async def test_other_forms_are_found_and_the_same_comes_first() -> None:
    """In what is indexed and in what is not yet; SEARCH without FUZZY finds what it is asked for."""
    store = MemoryStore()
    texts = ["these invoices are late", "we are invoicing you", "nothing", "invoicing"]
    account = await filled([mail(each) for each in texts], store)
    await keep(account)
    await add(store, [mail("he invoiced us")])
    for word, exact in (("invoicing", [2, 4]), ("invoices", [1]), ("Invoiced", [5])):
        body = SearchKey(Key.BODY, text=word)
        assert await found(account, body) == exact
        assert await found(account, SearchKey(Key.FUZZY, keys=(body,))) == [1, 2, 4, 5]


def mail(text: str) -> bytes:
    return f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
