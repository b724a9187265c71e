"""What is proposed instead of a name that is not known."""

from __future__ import annotations

import pytest

from postroom.identity.settings import guess

KNOWN = ("ann@example.org", "ben@example.org", "example.org")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("an@example.org", "ann@example.org"),
        ("ann@exmaple.org", "ann@example.org"),
        ("exampel.org", "example.org"),
        ("nobody@example.org", ""),  # the domain alone makes no likeness
        ("carla@example.org", ""),
    ],
)
def test_both_halves_of_an_address_are_near(typed: str, meant: str) -> None:
    assert guess(typed, KNOWN) == (f"Did you mean {meant}?" if meant else "")
