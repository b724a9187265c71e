"""Reads extended regular expressions (POSIX 1003.2) into instructions of a machine that never goes back.

The usual additions are read too: \\w \\W \\s \\S \\d \\D, and \\b \\B \\< \\> at ends of words.
Standards: draft-ietf-sieve-regex (IEEE 1003.2 2.8.4).
On failure: BadRegex, with what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

#: instructions of one expression
MOST_INSTRUCTIONS: Final = 4_000
MOST_GROUPS: Final = 32
_DEEPEST: Final = 50
_LARGEST_REPEAT: Final = 255

Predicate: TypeAlias = Callable[[str], bool]

CHAR, SPLIT, JUMP, SAVE, ASSERT, MATCH = range(6)


class BadRegex(ValueError):
    """Not an expression that is understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """to: the next; other: the second choice of SPLIT; number: of SAVE; name: of ASSERT."""

    kind: int
    test: Predicate | None = None
    to: int = 0
    other: int = 0
    number: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """kind: char, assert, cat, or, group, repeat, empty."""

    kind: str
    test: Predicate | None = None
    name: str = ""
    items: tuple[Node, ...] = ()
    least: int = 0
    most: int = -1
    number: int = 0


_CLASSES: Final[dict[str, Predicate]] = {
    "alpha": str.isalpha,
    "digit": lambda c: c.isascii() and c.isdigit(),
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "blank": lambda c: c in " \t",
    "punct": lambda c: c.isprintable() and not c.isalnum() and not c.isspace(),
    "print": str.isprintable,
    "graph": lambda c: c.isprintable() and not c.isspace(),
    "cntrl": lambda c: ord(c) < 32 or ord(c) == 127,
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}
_ESCAPES: Final[dict[str, Predicate]] = {
    "w": lambda c: c.isalnum() or c == "_",
    "W": lambda c: not (c.isalnum() or c == "_"),
    "s": str.isspace,
    "S": lambda c: not c.isspace(),
    "d": lambda c: c.isascii() and c.isdigit(),
    "D": lambda c: not (c.isascii() and c.isdigit()),
}
_ASSERTIONS: Final = {"b": "boundary", "B": "inside", "<": "begin", ">": "end"}
_REPEAT: Final = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")


def is_word(character: str) -> bool:
    """Does it count as part of a word."""
    return character.isalnum() or character == "_"


class Reader:
    """One expression. fold: what the text it is used on has been through."""

    __slots__ = ("_at", "_fold", "_groups", "_text")

    def __init__(self, text: str, fold: Callable[[str], str]) -> None:
        self._text = text
        self._fold = fold
        self._at = 0
        self._groups = 0

    def read(self) -> tuple[Node, int]:
        """The expression, and how many groups it has."""
        node = self._choice(0)
        if self._at < len(self._text):
            raise BadRegex("a ) without its (")
        return node, self._groups

    def _choice(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise BadRegex("groups are nested too deep")
        branches = [self._branch(depth)]
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            branches.append(self._branch(depth))
        return branches[0] if len(branches) == 1 else Node("or", items=tuple(branches))

    def _branch(self, depth: int) -> Node:
        items: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            items.append(self._repeated(self._atom(depth)))
        return Node("cat", items=tuple(items))

    def _atom(self, depth: int) -> Node:
        character = self._text[self._at]
        self._at += 1
        if character == "(":
            return self._group(depth)
        if character == "[":
            return Node("char", test=self._bracket())
        if character == ".":
            return Node("char", test=_anything)
        if character in "^$":
            return Node("assert", name=character)
        if character in "*+?":
            raise BadRegex(f"there is nothing before {character} to repeat")
        if character == "{":
            raise BadRegex("there is nothing before { to repeat; write \\{ for the character")
        if character == "\\":
            return self._escape()
        return self._literal(character)

    def _group(self, depth: int) -> Node:
        if self._text[self._at : self._at + 1] == "?":
            raise BadRegex("groups that begin with (? are not of this kind of expression")
        self._groups += 1
        number = self._groups
        if number > MOST_GROUPS:
            raise BadRegex(f"more than {MOST_GROUPS} groups")
        inner = self._choice(depth + 1)
        if self._text[self._at : self._at + 1] != ")":
            raise BadRegex("a ( without its )")
        self._at += 1
        return Node("group", items=(inner,), number=number)

    def _escape(self) -> Node:
        character = self._text[self._at : self._at + 1]
        if not character:
            raise BadRegex("a \\ at the end")
        self._at += 1
        if character in _ESCAPES:
            return Node("char", test=_ESCAPES[character])
        if character in _ASSERTIONS:
            return Node("assert", name=_ASSERTIONS[character])
        if character.isdigit():
            raise BadRegex("back references are not of this kind of expression")
        return self._literal(character)

    def _literal(self, character: str) -> Node:
        folded = self._fold(character)
        return Node("cat", items=tuple(Node("char", test=_equals(each)) for each in folded))

    def _repeated(self, node: Node) -> Node:
        times = 0
        while self._at < len(self._text) and self._text[self._at] in "*+?{":
            character = self._text[self._at]
            times += 1
            if times > 5:
                raise BadRegex("too many repetitions of one thing")
            if character == "{":
                least, most = self._bounds()
            else:
                self._at += 1
                least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[character]
            if node.kind == "assert":
                continue
            node = Node("repeat", items=(node,), least=least, most=most)
        return node

    def _bounds(self) -> tuple[int, int]:
        found = _REPEAT.match(self._text, self._at)
        if found is None:
            raise BadRegex("a { that is no repetition such as {2,5}; write \\{ for the character")
        self._at = found.end()
        least = int(found[1])
        most = least if not found[2] else int(found[3]) if found[3] else -1
        if max(least, most) > _LARGEST_REPEAT or (most >= 0 and least > most):
            raise BadRegex(f"a repetition must go upwards, to {_LARGEST_REPEAT} at most")
        return least, most

    def _bracket(self) -> Predicate:
        """draft-ietf-sieve-regex: a backslash means itself between brackets."""
        text = self._text
        negated = text.startswith("^", self._at)
        self._at += negated
        single: set[str] = set()
        ranges: list[tuple[str, str]] = []
        classes: list[Predicate] = []
        first = True
        while True:
            if self._at >= len(text):
                raise BadRegex("a [ without its ]")
            if text[self._at] == "]" and not first:
                self._at += 1
                break
            first = False
            item = self._item()
            if callable(item):
                classes.append(item)
            elif text.startswith("-", self._at) and text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                last = self._item()
                if callable(last) or last < item:
                    raise BadRegex("a range in brackets must go upwards")
                ranges.append((item, last))
            else:
                single.add(item)
        return _set(_Set(frozenset(single), tuple(ranges), tuple(classes)), negated, self._fold)

    def _item(self) -> str | Predicate:
        text = self._text
        opening = text[self._at : self._at + 2]
        if opening in ("[:", "[.", "[="):
            end = text.find(opening[1] + "]", self._at + 2)
            if end < 0:
                raise BadRegex(f"a {opening} without its {opening[1]}]")
            name = text[self._at + 2 : end]
            self._at = end + 2
            if opening == "[:":
                if name not in _CLASSES:
                    raise BadRegex(f"there is no class [:{name[:20]}:]")
                return _CLASSES[name]
            if len(name) != 1:
                raise BadRegex(f"[{opening[1]}{name[:20]}{opening[1]}] is no single character")
            return name
        if self._at >= len(text):
            raise BadRegex("a [ without its ]")
        self._at += 1
        return text[self._at - 1]


@dataclass(frozen=True, slots=True)
class _Set:
    single: frozenset[str]
    ranges: tuple[tuple[str, str], ...]
    classes: tuple[Predicate, ...]

    def has(self, c: str) -> bool:
        return (
            c in self.single
            or any(first <= c <= last for first, last in self.ranges)
            or any(holds(c) for holds in self.classes)
        )


def _set(members: _Set, negated: bool, fold: Callable[[str], str]) -> Predicate:
    """Is a folded character in the set: it is when any spelling of it is."""
    folds = fold("a") != "a"

    def test(c: str) -> bool:
        there = members.has(c) or (folds and len(c.lower()) == 1 and fold(c.lower()) == c and members.has(c.lower()))
        return there != negated

    return test


def _anything(_c: str) -> bool:
    return True


def _equals(character: str) -> Predicate:
    return character.__eq__


@dataclass(slots=True)
class Assembler:
    """Turns a tree into instructions."""

    code: list[Instruction] = field(default_factory=list)

    def add(self, node: Node) -> None:
        """Append the instructions of a node; what follows it comes next."""
        if node.kind == "char":
            self._put(Instruction(CHAR, test=node.test, to=len(self.code) + 1))
        elif node.kind == "assert":
            self._put(Instruction(ASSERT, name=node.name, to=len(self.code) + 1))
        elif node.kind == "cat":
            for item in node.items:
                self.add(item)
        elif node.kind == "group":
            self._put(Instruction(SAVE, number=2 * node.number, to=len(self.code) + 1))
            self.add(node.items[0])
            self._put(Instruction(SAVE, number=2 * node.number + 1, to=len(self.code) + 1))
        elif node.kind == "or":
            self._either(node.items)
        else:
            self._repeat(node)

    def _put(self, instruction: Instruction) -> int:
        if len(self.code) >= MOST_INSTRUCTIONS:
            raise BadRegex("the expression is too large")
        self.code.append(instruction)
        return len(self.code) - 1

    def _either(self, items: tuple[Node, ...]) -> None:
        jumps: list[int] = []
        for item in items[:-1]:
            split = self._put(Instruction(SPLIT))
            self.add(item)
            jumps.append(self._put(Instruction(JUMP)))
            self.code[split] = Instruction(SPLIT, to=split + 1, other=len(self.code))
        self.add(items[-1])
        for jump in jumps:
            self.code[jump] = Instruction(JUMP, to=len(self.code))

    def _repeat(self, node: Node) -> None:
        item = node.items[0]
        for _ in range(node.least):
            self.add(item)
        if node.most < 0:
            split = self._put(Instruction(SPLIT))
            self.add(item)
            self._put(Instruction(JUMP, to=split))
            self.code[split] = Instruction(SPLIT, to=split + 1, other=len(self.code))
            return
        splits: list[int] = []
        for _ in range(node.most - node.least):
            splits.append(self._put(Instruction(SPLIT)))
            self.add(item)
        for split in splits:
            self.code[split] = Instruction(SPLIT, to=split + 1, other=len(self.code))


def assemble(pattern: str, fold: Callable[[str], str]) -> tuple[list[Instruction], int]:
    """The instructions of an expression, and how many groups it has. Raises BadRegex."""
    node, groups = Reader(pattern, fold).read()
    assembler = Assembler()
    assembler.add(node)
    assembler.code.append(Instruction(MATCH))
    return assembler.code, groups
