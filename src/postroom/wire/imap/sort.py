"""SORT and THREAD, by sequence number and by UID, and their responses; CANCELUPDATE.

Standards: RFC 5256 3, 4 and 5; RFC 5957 4 (DISPLAYFROM, DISPLAYTO); RFC 5267 3 (RETURN) and 4.3.5;
RFC 6203 6 (RELEVANCY).
On failure: BadSyntax, UnknownCharset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from postroom.wire.imap import charset, search
from postroom.wire.imap.commands import CancelUpdate, Sort, SortBy, SortCriterion, Thread, ThreadBy
from postroom.wire.imap.scanner import Scanner
from postroom.wire.imap.sequence import print_numbers

_BY: Final = {by.value: by for by in SortBy}
_THREAD_BY: Final = {by.value: by for by in ThreadBy}
#: criteria beyond which none can matter
MAX_CRITERIA: Final = 50
MAX_TAGS: Final = 1000
_AT_ONCE: Final = 4096


def sort(scanner: Scanner) -> Sort:
    """[SP "RETURN" SP options] SP sort-criteria SP charset 1*(SP search-key)."""
    scanner.space()
    returns = search.return_options(scanner)
    criteria = _criteria(scanner)
    scanner.space()
    wanted = search.in_charset(scanner, charset.codec_of(scanner.astring()), returns)
    if any(each.by is SortBy.RELEVANCY for each in criteria) and not (wanted.uses_fuzzy or wanted.uses_filters):
        raise scanner.fail("FUZZY key for RELEVANCY")  # RFC 6203 6
    return Sort(criteria, wanted)


def thread(scanner: Scanner) -> Thread:
    """SP thread-alg SP charset 1*(SP search-key)."""
    scanner.space()
    by = _THREAD_BY.get(scanner.keyword())
    if by is None:
        raise scanner.fail("ORDEREDSUBJECT or REFERENCES")
    scanner.space()
    return Thread(by, search.in_charset(scanner, charset.codec_of(scanner.astring()), search.NO_OPTIONS))


def cancel_update(scanner: Scanner) -> CancelUpdate:
    """1*(SP quoted), the tags of searches (RFC 5267 5)."""
    tags: list[bytes] = []
    while not tags or not scanner.at_end():
        scanner.space()
        tags.append(scanner.string())
        if len(tags) > MAX_TAGS:
            raise scanner.fail("fewer tags")
    return CancelUpdate(tuple(tags))


def _criteria(scanner: Scanner) -> tuple[SortCriterion, ...]:
    """sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"; sort-criterion = ["REVERSE" SP] sort-key."""
    scanner.expect(b"(")
    found: list[SortCriterion] = []
    while not found or not scanner.accept(b")"):
        if found:
            scanner.space()
        word = scanner.keyword()
        reverse = word == "REVERSE"
        if reverse:
            scanner.space()
            word = scanner.keyword()
        by = _BY.get(word)
        if by is None or len(found) >= MAX_CRITERIA:
            raise scanner.fail("known sort criterion")
        found.append(SortCriterion(by, reverse))
    return tuple(found)


def sorted_response(words: bytes, modseq: int | None = None) -> bytes:
    """RFC 5256 4: SORT; words: the numbers as print_numbers has them; modseq: see response.search."""
    if not words:
        return b"* SORT\r\n"
    if modseq is None:
        return b"* SORT %b\r\n" % words
    return b"* SORT %b (MODSEQ %d)\r\n" % (words, modseq)


class ThreadPrinter:
    """Prints a THREAD response thread by thread (RFC 5256 4).

    numbers: what is shown of the messages 0, 1, …; first, following: first child and next sibling of nodes, -1 for
    none; nodes that have no number hold siblings together.
    """

    __slots__ = ("_first", "_following", "_texts")

    def __init__(self, numbers: Sequence[int], first: Sequence[int], following: Sequence[int]) -> None:
        self._texts = print_numbers(numbers).split(b" ") if numbers else []
        self._first = first
        self._following = following

    def threads(self, roots: Sequence[int]) -> bytes:
        """Some threads, in order."""
        texts, first, count = self._texts, self._first, len(self._texts)
        return b"".join(
            [b"(%b)" % texts[root] if root < count and first[root] < 0 else self._thread(root) for root in roots]
        )

    def _thread(self, root: int) -> bytes:
        """Most are answers to answers, one after the other."""
        texts, first, following = self._texts, self._first, self._following
        words = [texts[root]] if root < len(texts) else []
        child = first[root]
        while child >= 0 and following[child] < 0:
            words.append(texts[child])
            child = first[child]
        return self._branching(words, child) if child >= 0 else b"(%b)" % b" ".join(words)

    def _branching(self, words: list[bytes], child: int) -> bytes:
        """words: the thread until it branches, into `child` and its siblings."""
        texts, first, following = self._texts, self._first, self._following
        count = len(texts)
        out: list[bytes] = []
        waiting: list[int] = []  # for each list that is open: the next of its siblings, -1 for none
        while True:
            shown = b" ".join(words)
            if child < 0:
                out.append(b"(%b)" % shown)
            else:
                out.append(b"(%b " % shown if words else b"(")
                waiting.append(child)
            node = -1
            while waiting and node < 0:
                child = waiting.pop()
                while child >= 0 and first[child] < 0:
                    out.append(b"(%b)" % texts[child])
                    child = following[child]
                if child < 0:
                    out.append(b")")
                else:
                    waiting.append(following[child])
                    node = child
            if node < 0:
                return b"".join(out)
            words = [texts[node]] if node < count else []
            child = first[node]
            while child >= 0 and following[child] < 0:
                words.append(texts[child])
                child = first[child]


def thread_response(threads: bytes) -> bytes:
    """RFC 5256 4: THREAD; threads: as ThreadPrinter has them."""
    return b"* THREAD %b\r\n" % threads if threads else b"* THREAD\r\n"
