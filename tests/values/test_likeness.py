from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.values.likeness import disguised, name_key, shortened, shown_domain, skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "раураl"),  # Cyrillic
        ("paypal", "PayPa1"),
        ("example", "ехаmрle"),
        ("modern", "rnodem"),
        ("clear", "dear"),
        ("google", "g00gle"),
        ("müller", "muller"),
        ("office", "ｏｆｆｉｃｅ"),  # full width
        ("omega", "οmεgα"),
        ("lin", "1in"),
    ],
)
def test_look_alikes(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("paypal", "payable"), ("ann", "anna"), ("example", "sample")])
def test_others(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


def test_people() -> None:
    assert name_key("Ann Müller") == name_key("MULLER, Ann") == name_key("аnn  müller")
    assert name_key("Jean-Luc Picard") == name_key("Picard, Jean Luc")
    assert name_key("Ann Müller") != name_key("Ann Miller-Smith")
    assert name_key("Support") == name_key("") == name_key(" , - ") == ""


def test_domains_as_they_are_shown() -> None:
    assert shown_domain("xn--bcher-kva.example") == "bücher.example"
    assert shown_domain("xn--\u00e4.example") == "xn--ä.example"
    assert shown_domain("plain.example") == "plain.example"


def test_one_letter_apart() -> None:
    assert set(shortened("exampel")) & set(shortened("example"))
    assert set(shortened("exmple")) & set(shortened("example"))
    assert not set(shortened("axamplx")) & set(shortened("example"))


@given(st.text(max_size=100))
def test_any_text(text: str) -> None:
    assert isinstance(skeleton(text), str)
    assert isinstance(name_key(text), str)
    assert isinstance(shown_domain(text), str)


@pytest.mark.parametrize(
    ("shown", "like"),
    [
        ("pаypal.com", "paypal.com"),  # one Cyrillic letter
        ("аррӏе.com", "apple.com"),  # nothing but Cyrillic
        ("ɡoogle.com", "google.com"),
        ("www.οmega.test", "www.omega.test"),
        ("müller.de", ""),
        ("bücher.example", ""),
        ("почта.рф", ""),
        ("осе.ru", ""),
        ("яндекс.com", ""),  # letters that look like nothing in Latin
        ("ελλάδα.gr", ""),
        ("東京.jp", ""),
        ("ıstanbul.com.tr", ""),
        ("plain.example", ""),
    ],
)
def test_letters_of_another_script(shown: str, like: str) -> None:
    labels = [one if one.isascii() else "xn--" + one.encode("punycode").decode() for one in shown.split(".")]
    assert disguised(".".join(labels)) == like
