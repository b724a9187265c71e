"""THREAD: messages grouped by what answers what (RFC 5256 3, ORDEREDSUBJECT and REFERENCES).

The algorithms are those of the RFC on numbers: a message is its place among the searched ones, in mailbox order; ids,
references and base subjects are hashes (mailbox.traits). Messages are sorted by date once; every list of siblings is
then made in that order, so nothing is sorted twice. The work comes in slices and grows with messages and references;
references that were made to cost more are followed only so far.
Pure. Trusts nothing: references form any graph, loops included.
On failure: never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import compress
from operator import ne
from typing import Final

from postroom.mailbox.slices import Slices, sort_by_number

#: messages between two yields
SLICE: Final = 8192
#: steps up the tree for each message, on average, in looking for loops
_MOST_STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class Letters:
    """Columns of the searched messages, in mailbox order.

    sent: Unix seconds; own: hash of the message id, 0 for none; subject: hash of the base subject, 0 when empty; reply:
    1 for replies and forwards; begins, ends: where the references of each lie in `references`.
    """

    sent: Sequence[int]
    own: Sequence[int]
    subject: Sequence[int]
    reply: Sequence[int]
    begins: Sequence[int]
    ends: Sequence[int]
    references: Sequence[int]


class Forest:
    """Threads. roots: in order; first, following: of each node its first child and its next sibling, -1 for none.

    Nodes from `count` on are no messages: they hold siblings together.
    """

    __slots__ = ("count", "first", "following", "last", "roots")

    def __init__(self, count: int, nodes: int) -> None:
        self.count: Final = count
        self.roots: Final[list[int]] = []
        self.first: Final = [-1] * nodes
        self.following: Final = [-1] * nodes
        self.last: Final = [-1] * nodes  # child of each

    def children(self, node: int) -> list[int]:
        """The children of a node, in order."""
        found = []
        child = self.first[node]
        while child >= 0:
            found.append(child)
            child = self.following[child]
        return found


def ordered_subject(subject: Sequence[int], sent: Sequence[int]) -> Slices[Forest]:
    """ORDEREDSUBJECT: messages of one base subject are one thread, the first of them its root."""
    order = yield from _by_date(sent)
    forest = Forest(len(sent), len(sent))
    first, following, last, roots = forest.first, forest.following, forest.last, forest.roots
    heads: dict[int, int] = {}
    for begin in range(0, len(order), SLICE):
        for place in order[begin : begin + SLICE]:
            root = heads.setdefault(subject[place], place)
            if root == place:
                roots.append(place)
            elif first[root] < 0:
                first[root] = last[root] = place
            else:
                following[last[root]] = last[root] = place
        yield
    return forest


def references(letters: Letters) -> Slices[Forest]:
    """REFERENCES. The numbers in brackets are those of the RFC's steps."""
    parents = yield from _Linking(letters).run()  # (1)
    order = yield from _by_date(letters.sent)
    tree = _Tree(letters, parents)
    yield from tree.find_roots(order)  # (2) to (4)
    yield from tree.gather_subjects()  # (5)
    return (yield from tree.grow(order))  # (6)


def _by_date(sent: Sequence[int]) -> Slices[list[int]]:
    """Places by date; what has one date by place (RFC 5256 2.2)."""
    order = list(range(len(sent)))
    yield from sort_by_number(order, sent)
    return order


class _Linking:
    """(1) The parent of each message, and of dummies for ids that no message has."""

    __slots__ = ("_ahead", "_has_children", "_letters", "_nodes", "_parents", "_steps")

    def __init__(self, letters: Letters) -> None:
        count = len(letters.sent)
        self._letters = letters
        self._nodes: dict[int, int] = {}  # id to message or dummy
        self._parents = [-1] * count
        self._has_children = bytearray(count)
        self._steps = _MOST_STEPS * count + 100_000
        self._ahead: list[int] = []  # a heap: messages without references that got a parent before their turn

    def run(self) -> Slices[list[int]]:
        """Parents, -1 for none; of messages, then of dummies."""
        letters, parents, ahead = self._letters, self._parents, self._ahead
        begins, ends, flat = letters.begins, letters.ends, letters.references
        yield from self._name()
        count, get, has_children = len(parents), self._nodes.get, self._has_children
        for start in range(0, count, SLICE):
            stop = min(start + SLICE, count)
            for place in compress(range(start, stop), map(ne, begins[start:stop], ends[start:stop])):
                while ahead and ahead[0] < place:
                    parents[heappop(ahead)] = -1  # (B)
                begin, end = begins[place], ends[place]
                last = get(flat[begin], -1) if end - begin == 1 else -1  # most have one, which is known
                if last < 0:
                    last = self._chain(flat[begin:end], place)
                if parents[place] != last:  # (B)
                    if has_children[place] or last == place:
                        parents[place] = -1
                        self._link(last, place)
                    else:
                        parents[place] = last
                        has_children[last] = 1
            yield
        for place in ahead:
            parents[place] = -1
        return parents

    def _name(self) -> Slices[None]:
        """Of messages with one id the first has it: names are given backwards."""
        own, nodes = self._letters.own, self._nodes
        for end in range(len(own), 0, -SLICE):
            begin = max(end - SLICE, 0)
            nodes.update(zip(reversed(own[begin:end]), range(end - 1, begin - 1, -1), strict=True))
            yield
        nodes.pop(0, None)

    def _chain(self, found: Sequence[int], place: int) -> int:
        """(A) Each reference is the child of the one before it, unless it has a parent; gives the last."""
        parents = self._parents
        last = -1
        for reference, known in zip(found, map(self._nodes.get, found), strict=True):
            node = known
            if node is None:
                node = self._nodes[reference] = len(parents)
                parents.append(-1)
                self._has_children.append(0)
            if last >= 0 and parents[node] < 0:
                self._link(last, node)
                self._note(node, place)
            last = node
        return last

    def _note(self, node: int, place: int) -> None:
        """A message that has no references loses the parent that others gave it when its turn comes."""
        letters = self._letters
        if place < node < len(letters.own) and letters.begins[node] == letters.ends[node] and self._parents[node] >= 0:
            heappush(self._ahead, node)

    def _link(self, parent: int, child: int) -> None:
        """Unless that would make a loop."""
        if parent != child and (not self._has_children[child] or not self._is_above(child, parent)):
            self._parents[child] = parent
            self._has_children[parent] = 1

    def _is_above(self, node: int, below: int) -> bool:
        parents, steps = self._parents, self._steps
        while below >= 0 and below != node and steps > 0:
            below = parents[below]
            steps -= 1
        self._steps = steps
        return below >= 0


class _Tree:
    """(2) to (6). A root is a message without parent, or a dummy with several children and no parent."""

    __slots__ = ("_alias", "_count", "_letters", "_nodes", "_parents", "_roots", "_stand_in")

    def __init__(self, letters: Letters, parents: list[int]) -> None:
        self._letters = letters
        self._count = len(letters.sent)
        self._parents = parents
        self._nodes = len(parents)
        self._roots: list[int] = []  # by date
        self._stand_in: dict[int, int] = {}  # root dummy to its first child
        self._alias: dict[int, int] = {}  # dummy to the one its children went to

    def find_roots(self, order: Sequence[int]) -> Slices[None]:
        """(2) to (4) Prune dummies; roots by date, a dummy's being that of its first child."""
        parents, count, roots, first = self._parents, self._count, self._roots, self._stand_in
        above: dict[int, int] = {}
        children: Counter[int] = Counter()
        for begin in range(0, len(order), SLICE):
            for place in order[begin : begin + SLICE]:
                parent = parents[place]
                if parent < 0:
                    roots.append(place)
                elif parent >= count:
                    parent = parents[place] = self._visible(parent, above)
                    if parent >= count:
                        children[parent] += 1
                        if parent not in first:
                            first[parent] = place
                            roots.append(parent)
            yield
        lone = {dummy for dummy, number in children.items() if number == 1}
        for dummy in lone:
            parents[first[dummy]] = -1
        for begin in range(0, len(roots) if lone else 0, SLICE):
            roots[begin : begin + SLICE] = [
                first.pop(node) if node in lone else node for node in roots[begin : begin + SLICE]
            ]
            yield

    def _visible(self, dummy: int, above: dict[int, int]) -> int:
        """The nearest message above a dummy, or the highest dummy."""
        path = []
        node = dummy
        while node >= self._count and node not in above and self._parents[node] >= 0:
            path.append(node)
            node = self._parents[node]
        found = above.get(node, node)
        for each in path:
            above[each] = found
        return found

    def gather_subjects(self) -> Slices[None]:
        """(5) Threads with one base subject become one."""
        subject, count, stand_in, roots = self._letters.subject, self._count, self._stand_in, self._roots
        found: list[int] = []  # of each root
        occurring: Counter[int] = Counter()
        for begin in range(0, len(roots), SLICE):
            some = [subject[node if node < count else stand_in[node]] for node in roots[begin : begin + SLICE]]
            occurring.update(some)
            found += some
            yield
        shared = {text for text, number in occurring.items() if number > 1 and text}  # (B) (ii), (C) (ii)
        nodes: list[int] = []  # those whose subject others have too
        texts: list[int] = []
        for begin in range(0, len(roots), SLICE):
            chosen = list(map(shared.__contains__, found[begin : begin + SLICE]))
            nodes += compress(roots[begin : begin + SLICE], chosen)
            texts += compress(found[begin : begin + SLICE], chosen)
            yield
        table: dict[int, int] = {}
        for begin in range(0, len(nodes), SLICE):
            self._choose_heads(nodes[begin : begin + SLICE], texts[begin : begin + SLICE], table)
            yield
        for begin in range(0, len(nodes), SLICE):
            self._join_heads(nodes[begin : begin + SLICE], texts[begin : begin + SLICE], table)
            yield

    def _choose_heads(self, nodes: Sequence[int], texts: Sequence[int], table: dict[int, int]) -> None:
        """(B)"""
        count, reply, head_of = self._count, self._letters.reply, table.setdefault
        for node, text in zip(nodes, texts, strict=True):
            old = head_of(text, node)
            if old < count and old != node and (node >= count or (reply[old] and not reply[node])):
                table[text] = node

    def _join_heads(self, nodes: Sequence[int], texts: Sequence[int], table: dict[int, int]) -> None:
        """(C)"""
        count, reply, parents = self._count, self._letters.reply, self._parents
        for node, text in zip(nodes, texts, strict=True):
            head = table[text]
            if head == node:
                continue
            if head >= count:
                if node >= count:
                    self._alias[node] = head
                else:
                    parents[node] = head
            elif reply[node] and not reply[head]:
                parents[node] = head
            else:  # both are messages, as (B) prefers dummies: a new one would stand in the table
                table[text] = parents[head] = parents[node] = self._nodes
                self._nodes += 1

    def grow(self, order: Sequence[int]) -> Slices[Forest]:
        """(6) The forest, every set of siblings by date."""
        forest = Forest(self._count, self._nodes)
        parents, count, alias, roots = self._parents, self._count, self._alias, forest.roots
        first, following, last = forest.first, forest.following, forest.last
        for begin in range(0, len(order), SLICE):
            for place in order[begin : begin + SLICE]:
                parent = parents[place]
                if parent < 0:
                    roots.append(place)
                    continue
                if parent >= count:
                    parent = alias.get(parent, parent)
                    if first[parent] < 0:
                        roots.append(parent)
                if first[parent] < 0:  # a root that gets its first child stays where it is
                    first[parent] = last[parent] = place
                else:
                    following[last[parent]] = last[parent] = place
            yield
        return forest
