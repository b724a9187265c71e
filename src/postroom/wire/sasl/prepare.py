"""SASLprep: user names and passwords made comparable (RFC 4013, a profile of RFC 3454).

Trust: the text is a peer's. On failure: ValueError, naming the rule that was broken, never the text (it may be a
password).
"""

from __future__ import annotations

import stringprep
import unicodedata

# RFC 4013 2.3: prohibited output
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, stored: bool = False) -> str:
    """The prepared form. stored: also refuse characters that Unicode 3.2 did not assign (RFC 3454 7).

    Raises ValueError for prohibited characters.
    """
    if text.isascii() and text.isprintable():
        return text
    # RFC 4013 2.1: non-ASCII spaces become SPACE, what is commonly mapped to nothing goes
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(rule(char) for char in prepared for rule in _PROHIBITED):
        raise ValueError("a character that RFC 4013 2.3 prohibits")
    if stored and any(stringprep.in_table_a1(char) for char in prepared):
        raise ValueError("a character that Unicode 3.2 does not assign (RFC 4013 2.5)")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 6: right-to-left text begins and ends with such a character and holds no left-to-right one."""
    if not any(stringprep.in_table_d1(char) for char in text):
        return
    if any(stringprep.in_table_d2(char) for char in text):
        raise ValueError("left-to-right and right-to-left characters together (RFC 3454 6)")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("right-to-left text must begin and end with such a character (RFC 3454 6)")
