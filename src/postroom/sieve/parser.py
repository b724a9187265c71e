"""Reads a script into a tree, by the grammar alone.

Trusts nothing: nesting is bounded, and every fault is told, for reading goes on behind the command that has it.
Standards: RFC 5228 8.2, 2.10.7 (nesting).
On failure: never raises; the faults are complete, and the tree holds what could be read.
"""

from __future__ import annotations

from typing import Final

from postroom.sieve.faults import MOST_FAULTS, Fault, Lines
from postroom.sieve.lexer import Lexer, Token
from postroom.sieve.syntax import Argument, Command, Number, Script, Strings, Tag, Test

#: RFC 5228 2.10.7 asks for fifteen of each
MOST_BLOCKS: Final = 32
MOST_TESTS: Final = 32

_BEGINS: Final = {"string", "[", "number", "tag"}


class _Broken(Exception):
    """This command cannot be read."""


def parse(text: str) -> tuple[Script, list[Fault], Lines]:
    """The tree of a script, what is wrong with it, and how to find lines in it."""
    lines = Lines(text)
    lexer = Lexer(text, lines)
    tokens = lexer.tokens()
    parser = _Parser(tokens, lines)
    script = parser.script()
    faults = sorted(lexer.faults + parser.faults, key=lambda fault: (fault.line, fault.column))
    return script, faults[:MOST_FAULTS], lines


class _Parser:
    __slots__ = ("_at", "_blocks", "_comments", "_lines", "_tokens", "_wrong", "faults")

    def __init__(self, tokens: list[Token], lines: Lines) -> None:
        self._tokens = tokens
        self._lines = lines
        self._at = 0
        self._blocks = 0
        self._comments: list[str] = []
        self._wrong = False  # this command has what is no token; it was told of, and the rest follows from it
        self.faults: list[Fault] = []

    def script(self) -> Script:
        commands: list[Command] = []
        while True:
            commands += self._commands()
            token = self._peek()
            if token.kind == "end":
                return Script(tuple(commands), self._taken_comments())
            self._next()  # a brace too many
            self._fault(token, "a } without its {", "remove it, or look for the { that is missing above")

    def _peek(self) -> Token:
        token = self._tokens[self._at]
        while token.kind in ("comment", "wrong"):
            if token.kind == "wrong":
                self._wrong = True
            else:
                self._comments.append(token.text)
            self._at += 1
            token = self._tokens[self._at]
        return token

    def _next(self) -> Token:
        token = self._peek()
        if token.kind != "end":
            self._at += 1
        return token

    def _taken_comments(self) -> tuple[str, ...]:
        found = tuple(self._comments)
        self._comments.clear()
        return found

    def _fault(self, token: Token, text: str, advice: str = "") -> None:
        if not self._wrong and len(self.faults) < MOST_FAULTS:
            self.faults.append(self._lines.fault(token.at, text, advice))

    def _broken(self, token: Token, text: str, advice: str = "") -> _Broken:
        self._fault(token, text, advice)
        return _Broken()

    def _commands(self) -> list[Command]:
        """Up to a "}" or the end, which is left."""
        found: list[Command] = []
        around = self._wrong
        while True:
            self._wrong = False
            if self._peek().kind in ("end", "}"):
                break
            try:
                command = self._command()
                if not self._wrong:
                    found.append(command)
            except _Broken:
                self._comments.clear()
                self._skip()
        self._wrong = around
        return found

    def _skip(self) -> None:
        """Behind the command that could not be read: its semicolon, or the end of its block."""
        depth = 0
        while True:
            token = self._peek()
            if token.kind == "end" or (token.kind == "}" and not depth):
                return
            self._next()
            depth += (token.kind == "{") - (token.kind == "}")
            if not depth and token.kind in (";", "}"):
                return

    def _command(self) -> Command:
        token = self._peek()
        if token.kind == ";":
            raise self._broken(token, "a ; that ends nothing", "remove it")
        if token.kind != "name":
            raise self._broken(token, f"{_shown(token)} where a command should begin", "commands are words, such as if")
        self._next()
        arguments, tests, listed = self._arguments(1)
        end = self._peek()
        if end.kind == ";":
            self._next()
            return Command(token.text, arguments, tests, listed, None, self._taken_comments(), at=token.at)
        if end.kind == "{":
            comments = self._taken_comments()
            block, after = self._block()
            return Command(token.text, arguments, tests, listed, block, comments, after, token.at)
        if end.kind in ("name", "}", "end"):
            what = "at the end of the script" if end.kind == "end" else f"before {_shown(end)}"
            raise self._broken(end, f"the command {token.text} has no end {what}", "end it with ;")
        raise self._broken(end, f"{_shown(end)} after the arguments of {token.text}", "a ; or a { should stand here")

    def _block(self) -> tuple[tuple[Command, ...], tuple[str, ...]]:
        start = self._next()
        if self._blocks >= MOST_BLOCKS:
            self._at -= 1
            raise self._broken(start, "blocks are nested too deep", f"at most {MOST_BLOCKS}")
        self._blocks += 1
        try:
            commands = self._commands()
        finally:
            self._blocks -= 1
        end = self._peek()
        if end.kind == "end":
            self._fault(start, "a { without its }", "add the }")
        else:
            self._next()
        return tuple(commands), self._taken_comments()

    def _arguments(self, depth: int) -> tuple[tuple[Argument, ...], tuple[Test, ...], bool]:
        found: list[Argument] = []
        while (token := self._peek()).kind in _BEGINS:
            found.append(self._argument(token))
        if token.kind == "name":
            return tuple(found), (self._test(depth),), False
        if token.kind == "(":
            return tuple(found), self._tests(depth), True
        return tuple(found), (), False

    def _argument(self, token: Token) -> Argument:
        self._next()
        if token.kind == "string":
            return Strings((token.text,), at=token.at, places=(token.at,))
        if token.kind == "number":
            return Number(token.value, token.at)
        if token.kind == "tag":
            return Tag(token.text, token.at)
        return self._strings(token)

    def _strings(self, start: Token) -> Strings:
        items: list[str] = []
        places: list[int] = []
        while True:
            token = self._next()
            if token.kind != "string":
                self._at -= token.kind in ("{", "}", ";")
                raise self._broken(token, f"{_shown(token)} in a list of strings", 'lists are ["one", "two"]')
            items.append(token.text)
            places.append(token.at)
            token = self._next()
            if token.kind == "]":
                return Strings(tuple(items), True, start.at, tuple(places))
            if token.kind != ",":
                self._at -= token.kind in ("{", "}", ";")
                raise self._broken(token, f"{_shown(token)} in a list of strings", "strings are parted by commas")

    def _tests(self, depth: int) -> tuple[Test, ...]:
        self._next()
        tests: list[Test] = []
        while True:
            tests.append(self._test(depth))
            token = self._next()
            if token.kind == ")":
                return tuple(tests)
            if token.kind != ",":
                self._at -= token.kind in ("{", "}", ";")
                raise self._broken(token, f"{_shown(token)} in a list of tests", "tests are parted by commas, ) ends")

    def _test(self, depth: int) -> Test:
        token = self._next()
        if token.kind != "name":
            self._at -= token.kind in ("{", "}", ";")
            raise self._broken(token, f"{_shown(token)} where a test should stand", "such as header or size")
        if depth > MOST_TESTS:
            raise self._broken(token, "tests are nested too deep", f"at most {MOST_TESTS}")
        arguments, tests, listed = self._arguments(depth + 1)
        return Test(token.text, arguments, tests, listed, token.at)


def _shown(token: Token) -> str:
    if token.kind == "end":
        return "the end of the script"
    if token.kind == "string":
        text = token.text if len(token.text) <= 20 else token.text[:20] + "…"
        return f'the string "{text}"'
    return f"the tag :{token.text}" if token.kind == "tag" else token.text[:30]
