"""Holds the tags, arguments, tests and block of a call against what its word takes.

Standards: RFC 5228 2.6 (positional, tagged and optional arguments).
On failure: faults, told to the scope of the call.
"""

from __future__ import annotations

from postroom.sieve.syntax import Argument, Command, Number, Strings, Tag, Test
from postroom.sieve.words import Call, Kind, TagWord, Tests


def take(call: Call, node: Command | Test) -> None:
    """Sort what stands behind the word into tags and arguments, by what the word takes."""
    positional: list[Argument] = []
    tags = {tag.name: tag for tag in call.word.tags}
    arguments = iter(node.arguments)
    for argument in arguments:
        if not isinstance(argument, Tag):
            positional.append(argument)
            continue
        if positional:  # RFC 5228 2.6.2
            call.fault(f":{argument.name[:40]} stands too late", "tags come before the other arguments", argument.at)
        tag = tags.get(argument.name)
        if tag is None:
            call.fault(f"{call.word.name} has no tag :{argument.name[:40]}", f"usage: {call.word.usage}", argument.at)
            continue
        _tag(call, tag, argument, next(arguments, None) if tag.value else None)
    _positional(call, positional)
    _tests(call, node)


def _tag(call: Call, tag: TagWord, argument: Tag, value: Argument | None) -> None:
    needs = (tag.needs,) if tag.needs else tag.any_needs
    if needs and not any(map(call.scope.allows, needs)):
        call.fault(f":{tag.name} is not required", f'add "{needs[0]}" to require', argument.at)
    if tag.name in call.tags:
        call.fault(f":{tag.name} stands there twice", at=argument.at)
    if tag.group:
        for other in call.word.tags:
            if other.group == tag.group and other.name in call.tags and other.name != tag.name:
                call.fault(f":{other.name} and :{tag.name} exclude each other", at=argument.at)
    call.tags[tag.name] = argument.at
    if tag.value is None:
        return
    if value is None or not _fits(value, tag.value):
        call.fault(f":{tag.name} is followed by a {tag.value}", at=argument.at)
        return
    call.values[tag.name] = value


def _fits(argument: Argument, kind: Kind) -> bool:
    if kind is Kind.NUMBER:
        return isinstance(argument, Number)
    return isinstance(argument, Strings) and (kind is Kind.STRINGS or not argument.listed)


def _positional(call: Call, given: list[Argument]) -> None:
    word = call.word
    missing = len(word.takes) - len(given)
    usage = f"usage: {word.usage}"
    if missing < 0:
        at = given[len(word.takes)].at
        most = len(word.takes)
        call.fault(f"{word.name} takes {'no more than ' if most else ''}{_count(most)}", usage, at)
        return
    free = word.optional + word.trailing
    if missing > free:
        least = _count(len(word.takes) - free)
        call.fault(f"{word.name} takes {'at least ' if free else ''}{least}", usage)
        return
    first = 0 if word.trailing else missing
    for argument, kind in zip(given, word.takes[first : first + len(given)], strict=True):
        if not _fits(argument, kind):
            call.fault(f"{word.name} takes a {kind} here", usage, argument.at)
            return
    absent = (None,) * missing
    call.arguments = (*given, *absent) if word.trailing else (*absent, *given)


def _count(number: int) -> str:
    return "no arguments" if not number else "one argument" if number == 1 else f"{number} arguments"


def _tests(call: Call, node: Command | Test) -> None:
    word = call.word
    usage = f"usage: {word.usage}"
    if word.tests is Tests.NONE and node.tests:
        at = node.tests[0].at
        if not node.listed and isinstance(node, Command):
            call.fault(f"{word.name} ends without a ;", f"put a ; before {node.tests[0].name[:40]}", at)
        else:
            call.fault(f"{word.name} takes no test", usage, at)
    elif word.tests is Tests.ONE and (len(node.tests) != 1 or node.listed):
        call.fault(f"{word.name} takes one test", usage)
    elif word.tests is Tests.MANY and not node.listed:
        call.fault(f"{word.name} takes tests in parentheses", usage)
    call.tests = node.tests
    block = node.block if isinstance(node, Command) else None
    if word.block and block is None:
        call.fault(f"{word.name} without a block", usage)
    elif block is not None and not word.block:
        call.fault(f"{word.name} takes no block", "end it with ;")
    call.block = block or ()
