"""Octets to text by the label mail puts on them, and by guessing where the label is missing or lies.

Trusts nothing: only charsets on a fixed list are looked up (the interpreter remembers every name it was ever asked
for, so a stranger must not choose them), and octets that do not fit become U+FFFD.
Standards: RFC 2046 4.1.2; labels as registered, and as mail really spells them.
On failure: never.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

_FURTHER: Final = frozenset(
    [
        "koi8_u",
        "koi8_t",
        "koi8_r",
        "cp720",
        "cp737",
        "cp856",
        "cp874",
        "cp875",
        "cp949",
        "cp950",
        "cp932",
        "cp936",
        "cp1006",
        "mac_arabic",
        "mac_croatian",
        "mac_romanian",
        "utf_8",
        "utf_7",
        "utf_16",
        "utf_32",
        "gb18030",
        "big5",
        "euc_jp",
        "euc_kr",
        "shift_jis",
        "iso2022_jp",
        "hz",
    ]
)
_NO_CHARSETS: Final = frozenset(
    [
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "quopri_codec",
        "rot_13",
        "uu_codec",
        "zlib_codec",
        "mbcs",
        "oem",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "raw_unicode_escape",
    ]
)
_KNOWN: Final = (frozenset(aliases) | frozenset(aliases.values()) | _FURTHER) - _NO_CHARSETS
#: what writers mean by a label, where that is more than the label says
_MEANT: Final = {
    "iso_8859_1": "cp1252",
    "iso8859_1": "cp1252",
    "latin1": "cp1252",
    "latin_1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "x_sjis": "cp932",
    "iso_8859_9": "cp1254",
    "unicode_1_1_utf_7": "utf_7",
    "utf8mb4": "utf_8",
    "cp_850": "cp850",
    "tis_620": "cp874",
    "windows_874": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_6_i": "iso8859_6",
    "x_unknown": "",
    "unknown_8bit": "",
    "us_ascii": "",
    "ascii": "",
    "x_user_defined": "",
    "ansi_x3.4_1968": "",
    "cp_1252": "cp1252",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
}
_SEPARATORS: Final = re.compile(r"[^a-z0-9.]+")
#: octets that are looked at closely: the first, or where these are ASCII, from the first that is not
_LOOK_AT: Final = 16 * 1024
#: where fewer than one octet in so many is not ASCII, it is a sign or a name among English, not a language
_FEW: Final = 200
_ASCII: Final = bytes(range(128))
_SURE_ENOUGH: Final = 0.09


@lru_cache(maxsize=1024)
def codec_name(charset: str) -> str:
    """The name of Python's codec for a label; "" for US-ASCII, no label and labels nobody knows."""
    name = _SEPARATORS.sub("_", charset.lower()[:60]).strip("_")
    name = _MEANT.get(name, name)
    if name.replace(".", "_") not in _KNOWN:
        return ""
    codec = aliases.get(name.replace(".", "_"), name)
    return "" if codec in _NO_CHARSETS else codec


class Guess:
    """What unlabelled octets of one message are read as.

    Looking at octets closely costs some milliseconds, so only the first of them are looked at; the rest are taken
    for the same as the last that was. asked: there were such octets.
    """

    __slots__ = ("_codec", "_left", "asked")

    def __init__(self, looks: int = 20) -> None:
        self._left = looks
        self._codec = "cp1252"
        self.asked = False

    def codec(self, data: bytes) -> str:
        """The codec for octets that are not UTF-8."""
        self.asked = True
        if self._left > 0:
            self._left -= 1
            first = len(data) - len(data.lstrip(_ASCII))
            first = first if first >= _LOOK_AT else 0
            self._codec = _looks_like(data[first : first + _LOOK_AT])
        return self._codec


def to_text(data: bytes, charset: str = "", guess: Guess | None = None) -> str:
    """The text of these octets. Wrong or missing labels are guessed: UTF-8, then what it looks like."""
    if not charset and data.isascii():
        return data.decode("ascii")
    name = codec_name(charset)
    if not name or name in ("utf_8", "cp65001"):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            if _nearly_utf8(data):
                return data.decode("utf-8", "replace")
            return data.decode((guess or Guess()).codec(data), "replace")
    try:
        return data.decode(name)
    except (ValueError, LookupError):
        return data.decode(name, "replace")


def reads_as_ascii(charset: str) -> bool:
    """True when octets below 0x80 mean the same in this charset as in US-ASCII, wherever they stand."""
    name = codec_name(charset)
    return not name or name == "utf_8" or name.startswith(("cp125", "iso8859", "koi8", "latin"))


def incremental(charset: str, sample: bytes, guess: Guess) -> codecs.IncrementalDecoder:
    """A decoder for text that comes in pieces; `sample`, its first octets, decide what a label does not say."""
    name = codec_name(charset)
    if not name:
        name = "utf_8" if sample.isascii() or _nearly_utf8(sample) else guess.codec(sample)
    return codecs.getincrementaldecoder(name)("replace")


def _nearly_utf8(data: bytes) -> bool:
    """UTF-8 with a little damage or a cut at the end, rather than something else."""
    bad = data.decode("utf-8", "replace").count("\ufffd")
    if not bad:
        return True
    return bad * 20 <= sum(data.count(octet) for octet in (b"\xc3", b"\xe2", b"\xd0", b"\xd1", b"\xe3", b"\xe4"))


def _looks_like(sample: bytes) -> str:
    """The codec the octets look like, windows-1252 when nothing better is found."""
    if len(sample.translate(None, _ASCII)) * _FEW < len(sample):
        return "cp1252"
    import chardet  # only unlabelled 8-bit mail needs it

    found = chardet.detect(sample)
    name = codec_name(str(found.get("encoding") or ""))
    if name and b"Az 0".decode(name, "replace") != "Az 0":
        return "cp1252"  # UTF-16 and EBCDIC would turn ordinary text into noise
    # short texts score low even when right (0.1 to 0.3); below that it is noise, and mail is never in Mac charsets
    if (found.get("confidence") or 0) < _SURE_ENOUGH or name.startswith("mac"):
        return "cp1252"
    return name or "cp1252"
