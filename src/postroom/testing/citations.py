"""Citations of RFCs: found in text, checked for their form, and looked up in the texts of the standards.

Purpose: one format, `RFC 5321 4.1.2`, so that a test can prove that every cited section exists, in code as in
docs/protocols.md.
Ownership: pure functions over text, but for `read_headings` and `find_texts`, which look at the disk.
On failure: no exception; what is not a citation is not found, what has the wrong form is named by `misspelt`.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path
from typing import Final, NamedTuple

_SECTION: Final = r"(?:[1-9]\d?(?:\.\d+)*|X(?:\.\d+)+|[A-Z](?:\.\d+)+|Appendix [A-Z](?:\.\d+)*)(?!\w|\.\d|-[A-Za-z])"
_NOTE: Final = r"(?: \([^()]*\))?"
#: sections go on with a comma, "and", "or", "to" or a dash; each may have a note in parentheses: "3 (states), 6 (all)"
_CITATION: Final = re.compile(
    rf"\bRFC (\d{{3,5}})\b((?: {_SECTION}{_NOTE}(?:(?:,| and| or| to|-|,? and) ?{_SECTION}{_NOTE})*)?)"
)
_ONE_SECTION: Final = re.compile(rf"(?<![\w.]){_SECTION}")
_NOTES: Final = re.compile(r"\([^()]*\)")
#: other ways to say it; identifiers such as RFC822.SIZE and address types such as rfc822;a@b are no citations
_MISSPELT: Final = re.compile(
    r"\bRFC(?!822\b)\d{4}|\bRFC-\d+|\b(?:Rfc|rfc) \d{3,}|\bRFCs \d|\bRFC \d{3,5}:\d"
    r"|\bRFC \d{3,5},? (?:[Ss]ection|[Ss]ec\.|\N{SECTION SIGN}) ?\d|\b[Ss]ections? \d[\d.]* (?:of|in) (?:the )?RFC"
    # a number alone after another RFC: "RFC 1939, 2449"
    r"|\bRFC \d{3,5}(?:[ ,\d.]|\([^()]*\))*?(?:, | and )\d{4,5}\b"
)
#: a heading stands at the margin, at most three columns in: "4.3.2.  Title", "A.1.  Title", "Appendix A.  Title"
_HEADING: Final = re.compile(
    r"^ {0,3}(?:(?:Appendix|APPENDIX) )?"
    r"([1-9]\d?(?:\.\d+)+|[1-9]\d?(?=\.)|[A-Z](?:\.\d+)+|[A-Z](?=\.\s))[.:)]?(?=\s+\S)",
    re.MULTILINE,
)
_APPENDIX: Final = re.compile(r"^ {0,3}(?:Appendix|APPENDIX) ([A-Z])\b", re.MULTILINE)


#: from Python 3.12 on the text of an f-string is a token of its own
_STRINGS: Final = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))


class Citation(NamedTuple):
    """One section of one RFC; section "" is all of it."""

    rfc: int
    section: str

    def __str__(self) -> str:
        return f"RFC {self.rfc} {self.section}".rstrip()


class Passage(NamedTuple):
    """A comment or string of a source file: its first line, and its text with line breaks made spaces."""

    line: int
    text: str


def citations(text: str) -> list[Citation]:
    """The sections that a text cites; line breaks must be spaces already."""
    found = []
    for match in _CITATION.finditer(text):
        number, sections = int(match[1]), _ONE_SECTION.findall(_NOTES.sub("", match[2]))
        found += [Citation(number, section.removeprefix("Appendix ")) for section in sections or [""]]
    return found


def misspelt(text: str) -> list[str]:
    """Citations that have not the agreed form."""
    return [match[0] for match in _MISSPELT.finditer(text)]


def passages(source: str) -> list[Passage]:
    """Comments (those on consecutive lines joined) and strings of Python source, each as one line of text."""
    found: list[Passage] = []
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row = token.start[0]
        if token.type == tokenize.COMMENT:
            words = token.string.lstrip("#: ")
            if row == last + 1:
                found[-1] = Passage(found[-1].line, f"{found[-1].text} {words}")
            else:
                found.append(Passage(row, words))
            last = row
        elif token.type in _STRINGS:
            found.append(Passage(row, " ".join(token.string.split())))
            last = -1
    return found


def headings(text: str) -> frozenset[str]:
    """The section numbers an RFC's text has; lists numbered at the margin count too, which only hides faults."""
    return frozenset(_HEADING.findall(text)) | frozenset(_APPENDIX.findall(text))


def find_texts(start: Path) -> Path | None:
    """The folder shared/rfc in `start` or above it; None where the texts are not at hand."""
    for folder in (start, *start.parents):
        if (folder / "shared" / "rfc" / "rfc5321.txt").is_file():
            return folder / "shared" / "rfc"
    return None


def read_headings(texts: Path, rfc: int) -> frozenset[str] | None:
    """The section numbers of an RFC; None when its text is not there."""
    path = texts / f"rfc{rfc}.txt"
    return headings(path.read_text("utf-8", "replace")) if path.is_file() else None
