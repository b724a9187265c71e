"""Checks a script and turns it into functions that are run for each message.

Every command and test is held against its Word: extensions, tags, arguments, tests, block. All faults are told, not
only the first. What is left is a tree of closures; nothing of the text is looked at again.
Standards: RFC 5228 3 (control), 2.6, 2.10.5; RFC 5463 4 (ihave).
On failure: BadScript.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from postroom.sieve.arguments import take
from postroom.sieve.faults import BadScript, Fault
from postroom.sieve.lexer import decode
from postroom.sieve.parser import parse
from postroom.sieve.run import DEFAULT, Limits
from postroom.sieve.scope import Scope
from postroom.sieve.syntax import Command, Strings, Test
from postroom.sieve.vocabulary import COMMANDS, TESTS, close_to
from postroom.sieve.words import ALWAYS, NEVER, Call, Question, Step, Word
from postroom.sieve.world import Library, NoLibrary

if TYPE_CHECKING:
    from postroom.sieve.run import Run


class Program:
    """A script ready to run. requires: the extensions its `require` names.

    uses: those that it, or a script it includes, uses or may use; asks: those that have a test in one of them.
    """

    __slots__ = ("asks", "requires", "steps", "uses")

    def __init__(
        self, steps: tuple[Step, ...], requires: frozenset[str], uses: frozenset[str], asks: frozenset[str]
    ) -> None:
        self.steps = steps
        self.requires = requires
        self.uses = uses
        self.asks = asks


def compile_script(script: bytes | str, library: Library | None = None, limits: Limits = DEFAULT) -> Program:
    """A program from the text of a script. Raises BadScript with all its faults."""
    return Compiler(library or NoLibrary(), limits).compile(script)


def check(script: bytes | str, library: Library | None = None, limits: Limits = DEFAULT) -> tuple[Fault, ...]:
    """Everything that is wrong with a script; nothing when it can be run."""
    try:
        compile_script(script, library, limits)
    except BadScript as bad:
        return bad.faults
    return ()


class Compiler:
    """Compiles one script and what it includes. programs: of included scripts, by (name, personal), None: missing."""

    def __init__(self, library: Library, limits: Limits) -> None:
        self.library = library
        self.limits = limits
        self.programs: dict[tuple[str, bool], Program | None] = {}
        self._depth = 0
        self._uses: set[str] = set()  # of all scripts so far
        self._asks: set[str] = set()

    def compile(self, script: bytes | str) -> Program:
        """Raises BadScript."""
        octets = script if isinstance(script, bytes) else script.encode("utf-8", "surrogatepass")
        if len(octets) > self.limits.script:
            raise BadScript([Fault(1, 1, f"the script has more than {self.limits.script} octets")])
        text, faults = decode(octets)
        tree, more, lines = parse(text)
        if faults:
            raise BadScript(faults)
        scope = Scope(lines=lines, limits=self.limits)
        steps = self.steps(tree.commands, scope)
        faults = sorted([*more, *scope.faults], key=lambda fault: (fault.line, fault.column))
        if faults:
            raise BadScript(faults)
        self._uses |= scope.used | scope.declared
        self._asks |= scope.asked
        return Program(steps, frozenset(scope.required), frozenset(self._uses), frozenset(self._asks))

    def include(self, name: str, personal: bool) -> Program | None:
        """The program of an included script, None when there is none. Raises BadScript."""
        key = name, personal
        if key in self.programs:
            return self.programs[key]
        text = self.library.script(name, personal)
        self.programs[key] = None  # while it is compiled: it may include itself
        if text is None:
            return None
        if len(self.programs) > self.limits.scripts or self._depth >= self.limits.depth:
            raise BadScript([Fault(1, 1, "too many scripts are included")])
        self._depth += 1
        try:
            program = self.programs[key] = self.compile(text)
        finally:
            self._depth -= 1
        return program

    def program(self, name: str, personal: bool) -> Program | None:
        """The program of an included script, once everything is compiled."""
        return self.programs.get((name, personal))

    # blocks

    def steps(self, commands: Sequence[Command], scope: Scope) -> tuple[Step, ...]:
        """The steps of a block."""
        found: list[Step] = []
        top = scope.depth == 0
        scope.depth += 1
        may_require = top
        at = 0
        while at < len(commands):
            command = commands[at]
            at += 1
            if command.name == "require":
                self._require(command, scope, may_require)
                continue
            may_require = False
            if command.name == "if":
                end = at
                while end < len(commands) and commands[end].name in ("elsif", "else"):
                    end += 1
                found.append(self._if(commands[at - 1 : end], scope))
                at = end
            elif command.name in ("elsif", "else"):
                scope.fault(command.at, f"{command.name} without its if", "it must follow the } of an if or elsif")
            else:
                step = self._call(command, COMMANDS, scope)
                if step is not None:
                    found.append(_command(step, scope.lines.line(command.at)))
        scope.depth -= 1
        return tuple(found)

    def _require(self, command: Command, scope: Scope, allowed: bool) -> None:
        if not allowed:
            scope.fault(command.at, "require stands too late", "it must come before every other command")
        arguments = command.arguments
        if len(arguments) != 1 or not isinstance(arguments[0], Strings) or command.tests or command.block is not None:
            scope.fault(command.at, "require takes a list of extensions", 'require ["fileinto", "vacation"];')
            return
        for number, name in enumerate(arguments[0].items):
            scope.require(name, arguments[0].place(number))

    def _if(self, commands: Sequence[Command], scope: Scope) -> Step:
        """RFC 5228 3.1: an if with its elsifs and its else."""
        branches: list[tuple[int, Question, tuple[Step, ...]]] = []
        decided = False  # a test above is always true, because ihave says so
        ended = False
        for command in commands:
            if ended:
                scope.fault(command.at, f"{command.name} after an else", "else is the last")
            ended = ended or command.name == "else"
            with scope.unreachable(decided):
                question = self._condition(command, scope)
                with scope.unreachable(question is NEVER):
                    steps = self.steps(command.block or (), scope)
            if question is not NEVER and not decided:
                branches.append((scope.lines.line(command.at), question, steps))
            decided = decided or question is ALWAYS
        return _choose(tuple(branches))

    def _condition(self, command: Command, scope: Scope) -> Question:
        if command.block is None:
            scope.fault(command.at, f"{command.name} without a block", "what is to be done stands in { }")
        if command.arguments:
            scope.fault(command.arguments[0].at, f"{command.name} takes a test and nothing else")
        if command.name == "else":
            if command.tests:
                scope.fault(command.tests[0].at, "else takes no test", "elsif does")
            return _yes
        if len(command.tests) != 1 or command.listed:
            scope.fault(command.at, f"{command.name} takes one test", "join tests with allof (…, …) or anyof (…, …)")
            return _yes
        return self.question(command.tests[0], scope)

    def question(self, test: Test, scope: Scope) -> Question:
        """A test; NEVER and ALWAYS when ihave has answered it."""
        if test.name == "not" and len(test.tests) == 1 and not test.listed and not test.arguments:
            return _negated(self.question(test.tests[0], scope))
        if test.name in ("allof", "anyof") and test.listed and not test.arguments:
            return self._joined(test, scope, test.name == "allof")
        found = self._call(test, TESTS, scope)
        return _yes if found is None else found  # type: ignore[return-value]

    def _joined(self, test: Test, scope: Scope, every: bool) -> Question:
        """RFC 5228 5.2, 5.3: from left to right, and no more than it takes (RFC 5463 4)."""
        stop = NEVER if every else ALWAYS
        questions: list[Question] = []
        stopped = False
        for each in test.tests:
            with scope.unreachable(stopped):
                question = self.question(each, scope)
            stopped = stopped or question is stop
            if question is not NEVER and question is not ALWAYS and not stopped:
                questions.append(question)
        if stopped and not questions:
            return stop
        if stopped:
            questions.append(stop)
        if not questions:
            return ALWAYS if every else NEVER
        return _all(tuple(questions)) if every else _any(tuple(questions))

    # one word

    def _call(self, node: Command | Test, words: dict[str, Word], scope: Scope) -> Callable[[Run], object] | None:
        word = words.get(node.name)
        if word is None:
            _unknown(node, words, scope)
            return None
        if word.needs and not any(map(scope.allows, word.needs)):
            scope.fault(node.at, f"{word.name} is not required", f'add "{word.needs[0]}" to require')
            if "ihave" in scope.declared or scope.dead:
                return None
        call = Call(word=word, at=node.at, scope=scope, compiler=self)
        before = len(scope.faults)
        take(call, node)
        if len(scope.faults) > before:
            return None
        needs = [need for need in word.needs if scope.allows(need)]
        scope.used.update(needs)
        if words is TESTS:
            scope.asked.update(needs)
        return word.build(call)


def _unknown(node: Command | Test, words: dict[str, Word], scope: Scope) -> None:
    if words is COMMANDS and node.name in TESTS:
        scope.fault(node.at, f"{node.name} is a test", "write if " + node.name + " … { … }")
    elif words is TESTS and (node.name in COMMANDS or node.name in ("if", "elsif", "else", "require")):
        scope.fault(node.at, f"{node.name} is a command, not a test", "is a ; missing before it?")
    else:
        what = "command" if words is COMMANDS else "test"
        scope.fault(node.at, f"there is no {what} {node.name[:40]}", close_to(node.name, words))


# closures


def _yes(run: Run) -> bool:
    return True


def _negated(question: Question) -> Question:
    if question is ALWAYS:
        return NEVER
    if question is NEVER:
        return ALWAYS
    return lambda run: not question(run)


def _all(questions: tuple[Question, ...]) -> Question:
    def every(run: Run) -> bool:
        for question in questions:  # noqa: SIM110  half the time of all()
            if not question(run):
                return False
        return True

    return every


def _any(questions: tuple[Question, ...]) -> Question:
    def some(run: Run) -> bool:
        for question in questions:  # noqa: SIM110
            if question(run):
                return True
        return False

    return some


def _choose(branches: tuple[tuple[int, Question, tuple[Step, ...]], ...]) -> Step:
    def choose(run: Run) -> None:
        run.fuel -= 1
        if run.fuel < run.look_at:
            run.look()
        for line, question, steps in branches:
            run.line = line
            if question(run):
                for step in steps:
                    step(run)
                return

    return choose


def _command(step: Callable[[Run], object], line: int) -> Step:
    def command(run: Run) -> None:
        run.line = line
        run.spend(1)
        step(run)

    return command
