"""The charsets of SEARCH: which we know, and decoding without surprises.

Purpose: only charsets for text, found in a closed list, so that a client's word never reaches the codec registry
(which imports and remembers whatever it is asked for, and knows codecs that are no charsets).
Standards: RFC 9051 6.4.4; RFC 2978 names as Python's aliases know them.
On failure: UnknownCharset, BadSyntax.
"""

from __future__ import annotations

from encodings.aliases import aliases
from typing import Final

from postroom.wire.imap.errors import BadSyntax, UnknownCharset

_KNOWN: Final = frozenset(
    {
        "ascii",
        "utf_8",
        "utf_7",
        "utf_16",
        "utf_16_be",
        "utf_16_le",
        "utf_32",
        "utf_32_be",
        "utf_32_le",
        "latin_1",
        "iso8859_1",
        "iso8859_2",
        "iso8859_3",
        "iso8859_4",
        "iso8859_5",
        "iso8859_6",
        "iso8859_7",
        "iso8859_8",
        "iso8859_9",
        "iso8859_10",
        "iso8859_11",
        "iso8859_13",
        "iso8859_14",
        "iso8859_15",
        "iso8859_16",
        "cp1250",
        "cp1251",
        "cp1252",
        "cp1253",
        "cp1254",
        "cp1255",
        "cp1256",
        "cp1257",
        "cp1258",
        "cp437",
        "cp850",
        "cp852",
        "cp855",
        "cp866",
        "cp874",
        "cp932",
        "cp949",
        "cp950",
        "koi8_r",
        "koi8_u",
        "koi8_t",
        "big5",
        "big5hkscs",
        "gb2312",
        "gbk",
        "gb18030",
        "hz",
        "euc_jp",
        "euc_jis_2004",
        "euc_jisx0213",
        "euc_kr",
        "johab",
        "iso2022_jp",
        "iso2022_jp_1",
        "iso2022_jp_2",
        "iso2022_jp_3",
        "iso2022_jp_ext",
        "iso2022_kr",
        "shift_jis",
        "shift_jis_2004",
        "shift_jisx0213",
        "tis_620",
        "mac_roman",
        "mac_cyrillic",
        "mac_greek",
        "mac_latin2",
        "mac_turkish",
        "ptcp154",
        "hp_roman8",
        "kz1048",
    }
)


def codec_of(name: bytes) -> str:
    """The Python codec of a charset. Raises UnknownCharset."""
    plain = name.decode("ascii", "replace").lower().replace("-", "_")
    codec = plain if plain in _KNOWN else aliases.get(plain, "")
    if codec not in _KNOWN:
        raise UnknownCharset("charset is not known")
    return codec


def decode(value: bytes, codec: str) -> str:
    """A search string. Raises BadSyntax when the octets are not of that charset."""
    try:
        return value.decode(codec)
    except (UnicodeError, LookupError) as fault:
        raise BadSyntax("search text is not in the charset named") from fault
