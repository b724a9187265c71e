"""THREAD=REFERENCES as RFC 5256 3 words it, with objects and without a thought of speed: the model for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple


class Letter(NamedTuple):
    """A message. own "" for none; references: ids, oldest first."""

    own: str
    references: tuple[str, ...]
    subject: str
    reply: bool
    sent: int


@dataclass(eq=False)
class Node:
    """A message or a dummy."""

    place: int = -1
    letter: Letter | None = None
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def is_below(self, other: Node) -> bool:
        node: Node | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False

    def cut(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def adopt(self, child: Node) -> None:
        child.cut()
        child.parent = self
        self.children.append(child)

    @property
    def date(self) -> tuple[int, int]:
        if self.letter is None:
            return self.children[0].date
        return self.letter.sent, self.place

    @property
    def subject(self) -> str:
        return self.letter.subject if self.letter else self.children[0].subject

    @property
    def is_reply(self) -> bool:
        return self.letter is not None and self.letter.reply


def references(letters: list[Letter]) -> str:
    """The threads as printed, messages numbered from 1."""
    root = Node()
    for node in _linked(letters):  # (2)
        if node.parent is None:
            root.adopt(node)
    for node in list(root.children):  # (3)
        _prune(node, root)
    _sort(root, deep=False)  # (4)
    _gather(root)  # (5)
    _sort(root, deep=True)  # (6)
    return "".join(_printed(node) for node in root.children)


def _linked(letters: list[Letter]) -> list[Node]:
    """(1) Messages and dummies."""
    nodes = [Node(place, letter) for place, letter in enumerate(letters)]
    by_id: dict[str, Node] = {}
    for node, letter in zip(nodes, letters, strict=True):
        if letter.own:
            by_id.setdefault(letter.own, node)
    dummies: list[Node] = []
    for node, letter in zip(nodes, letters, strict=True):
        chain = []
        for reference in letter.references:
            if reference not in by_id:
                by_id[reference] = Node()
                dummies.append(by_id[reference])
            chain.append(by_id[reference])
        for parent, child in pairwise(chain):  # (A)
            if child.parent is None and not parent.is_below(child):
                parent.adopt(child)
        node.cut()  # (B)
        if chain and not chain[-1].is_below(node):
            chain[-1].adopt(node)
    return [*nodes, *dummies]


def _prune(node: Node, root: Node) -> None:
    for child in list(node.children):
        _prune(child, root)
    if node.letter is not None or node.parent is None:
        return
    above = node.parent
    if not node.children:
        node.cut()
    elif above is not root or len(node.children) == 1:
        for child in list(node.children):
            above.adopt(child)
        node.cut()


def _sort(node: Node, *, deep: bool) -> None:
    if deep:
        for child in node.children:
            _sort(child, deep=True)
    for child in node.children:
        if child.letter is None:
            child.children.sort(key=lambda each: each.date)
    node.children.sort(key=lambda each: each.date)


def _gather(root: Node) -> None:
    table: dict[str, Node] = {}
    subjects = {id(node): node.subject for node in root.children}
    for node in root.children:  # (B)
        subject = subjects[id(node)]
        if not subject:
            continue
        old = table.get(subject)
        if old is None or (old.letter is not None and (node.letter is None or (old.is_reply and not node.is_reply))):
            table[subject] = node
    for node in list(root.children):  # (C)
        subject = subjects[id(node)]
        if not subject or table[subject] is node or node.parent is not root:
            continue
        head = table[subject]
        if head.letter is None and node.letter is None:
            for child in list(node.children):
                head.adopt(child)
            node.cut()
        elif head.letter is None or (node.is_reply and not head.is_reply):
            head.adopt(node)
        else:
            dummy = Node()
            root.adopt(dummy)
            dummy.adopt(head)
            dummy.adopt(node)
            table[subject] = dummy
            subjects[id(dummy)] = subject


def _printed(node: Node) -> str:
    words = [str(node.place + 1)] if node.letter is not None else []
    while len(node.children) == 1:
        node = node.children[0]
        words.append(str(node.place + 1))
    nested = "".join(_printed(child) for child in node.children)
    return "(" + " ".join([*words, nested] if nested else words) + ")"
