"""Rules for people who do not write Sieve: if … then …, an answer while away, forwarding; kept as Sieve and read back.

The script is the only place they are kept in. What is written here can be read here; a script that somebody has changed
into something else is not taken for rules.
Standards: RFC 5228 and the extensions the written script requires.
On failure: BadRules when rules cannot be written; NotRules when a script is none of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

from msgspec import Struct

from postroom.sieve.language.flags import flags_of
from postroom.sieve.parser import parse
from postroom.sieve.printer import dump
from postroom.sieve.syntax import Argument, Command, Number, Script, Strings, Tag, Test
from postroom.values.address import Address, BadAddress, parse_domain

#: the name of the script that rules are kept in
SCRIPT: Final = "rules"
_HEAD: Final = "# Rules of postroom; change them with postroom rules, or they are yours alone."
_FIELDS: Final = {
    "from": ("from",),
    "to": ("to", "cc"),
    "subject": ("subject",),
    "list": ("list-id",),
}
_TEXT_OPS: Final = ("contains", "is", "matches")
_SIZE_OPS: Final = {"over": "over", "under": "under"}
_LONGEST_NAME: Final = 100
_CONDITIONS: Final = (
    "write from, to, subject, list or header:NAME with contains, is or matches; domain is; body contains; "
    "size over or under"
)


class BadRules(ValueError):
    """Rules that cannot be kept; the text says why."""


class NotRules(ValueError):
    """A script that holds something else than rules."""


class Condition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """field: from, to (with Cc), subject, list, body, domain (of the sender), size, or header:NAME.

    op: contains, is, matches (with * and ?); of domain: is; of body: contains; of size: over, under (octets).
    """

    field: str
    op: str
    value: str
    negated: bool = False


class Do(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """what: file (value: the mailbox), flag (value: the flag; flags are set first, wherever they stand), forward
    (value: the address; copy: it is kept too), discard, reject (value: the text), keep.
    """

    what: str
    value: str = ""
    copy: bool = True


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When all the conditions hold, or any of them; stop: later rules are not looked at."""

    name: str
    when: tuple[Condition, ...]
    then: tuple[Do, ...]
    any: bool = False
    stop: bool = True
    on: bool = True


class Away(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer while away. text: to colleagues, who write from one of `domains` and are answered there, and to
    everybody when `outside` is empty; start, until: days as 2026-12-24, both included, "" for open; days: until the
    same sender is answered again.
    """

    text: str
    outside: str = ""
    domains: tuple[str, ...] = ()
    subject: str = ""
    start: str = ""
    until: str = ""
    days: int = 7
    addresses: tuple[str, ...] = ()
    on: bool = True


class Forward(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All mail goes to other addresses; copy: it is kept and sorted here too, or nothing of it stays."""

    to: tuple[str, ...]
    copy: bool = True
    on: bool = True


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything of one account, in the order it is done."""

    away: Away | None = None
    forward: Forward | None = None
    rules: tuple[Rule, ...] = ()


# writing


def write(rules: Rules) -> str:
    """The script. Raises BadRules."""
    commands: list[Command] = []
    if rules.away is not None:
        commands.append(_away(rules.away))
    if rules.forward is not None:
        commands.append(_forward(rules.forward))
    commands += [_rule(rule) for rule in rules.rules]
    if len({rule.name for rule in rules.rules}) != len(rules.rules):
        raise BadRules("two rules have one name")
    wanted = sorted({need for command in commands for need in _needs(command)})
    if wanted:
        commands.insert(0, Command("require", (Strings(tuple(wanted), True),), comments=(_HEAD,)))
        return dump(Script(tuple(commands)))
    return dump(Script(tuple(commands), () if commands else (_HEAD,)))


def _string(text: str) -> Strings:
    return Strings((text.replace("\r\n", "\n").replace("\n", "\r\n"),))


def _strings(items: Iterable[str]) -> Strings:
    found = tuple(items)
    return Strings(found, len(found) > 1)


def _all(*tests: Test) -> Test:
    return Test("allof", tests=tests, listed=True)


def _mark(kind: str, on: bool, name: str = "") -> tuple[str, ...]:
    return (f"# {kind}{'' if on else ' (off)'}{': ' + name if name else ''}",)


def _away(away: Away) -> Command:
    tests = [Test("true" if away.on else "false")]
    for op, day in (("ge", away.start), ("le", away.until)):
        if day:
            _day(day)
            arguments = (Tag("value"), Strings((op,)), Strings(("date",)), Strings((day,)))
            tests.append(Test("currentdate", arguments))
    _check_away(away)
    block: tuple[Command, ...] = (_answer(away, away.text, "away"),)
    if away.outside:
        given = (Tag("domain"), Strings(("from",)), _strings(away.domains))
        # From is what anybody writes there; the answer goes to the sender of the envelope
        colleagues = _all(Test("address", given), Test("envelope", given))
        block = (
            Command("if", tests=(colleagues,), block=block),
            Command("else", block=(_answer(away, away.outside, "away-outside"),)),
        )
    return Command("if", tests=(_all(*tests),), block=block, comments=_mark("away", away.on))


def _check_away(away: Away) -> None:
    if away.outside and not away.domains:
        raise BadRules("a text for outsiders needs the domains of colleagues")
    if not away.text.strip():
        raise BadRules("the answer has no text")
    if not 1 <= away.days <= 60:
        raise BadRules("days go from 1 to 60")
    if away.start and away.until and away.until < away.start:
        raise BadRules(f"the last day, {away.until}, is before the first, {away.start}")
    for domain in away.domains:
        try:
            parse_domain(domain)
        except BadAddress:
            raise BadRules(f"{domain!r} is no domain; write it as example.org") from None
    for address in away.addresses:
        _address(address)


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except BadAddress:
        raise BadRules(f"{text!r} is no address; write it as ann@example.org") from None


def check_forwards(rules: Rules, own: str, most: int) -> None:
    """Does mail go to at most so many addresses, and not to the account itself. Raises BadRules."""
    all_mail = rules.forward.to if rules.forward is not None else ()
    by_rule = [[one.value for one in rule.then if one.what == "forward"] for rule in rules.rules]
    for to in (*all_mail, *(address for each in by_rule for address in each)):
        if to.lower() == own.lower():
            raise BadRules(f"{own} cannot forward mail to itself")
    number = len(all_mail) + max((len(each) for each in by_rule), default=0)
    if number > most:
        raise BadRules(f"a message would be forwarded to {number} addresses; sieve.redirects allows {most}")


def _answer(away: Away, text: str, handle: str) -> Command:
    arguments: list[Argument] = [Tag("days"), Number(away.days)]
    if away.subject:
        arguments += (Tag("subject"), _string(_one_line(away.subject)))
    if away.addresses:
        arguments += (Tag("addresses"), _strings(away.addresses))
    return Command("vacation", (*arguments, Tag("handle"), Strings((handle,)), _string(text)))


def _forward(forward: Forward) -> Command:
    if not forward.to:
        raise BadRules("forwarding needs an address")
    block = tuple(_redirect(address, forward.copy) for address in forward.to)
    block += () if forward.copy else (Command("stop"),)
    test = _all(Test("true" if forward.on else "false"))
    return Command("if", tests=(test,), block=block, comments=_mark("forward", forward.on))


def _redirect(address: str, copy: bool) -> Command:
    return Command("redirect", ((Tag("copy"),) if copy else ()) + (Strings((address,)),))


def _rule(rule: Rule) -> Command:
    name = _one_line(rule.name)
    if not name or name != rule.name or len(name) > _LONGEST_NAME:
        raise BadRules(f"a rule needs a name of one line, {_LONGEST_NAME} characters at most")
    if not rule.then:
        raise BadRules(f"the rule {name} does nothing")
    tests = tuple(_condition(each) for each in rule.when) or (Test("true"),)
    test = Test("anyof" if rule.any else "allof", tests=tests, listed=True)
    test = test if rule.on else _all(Test("false"), test)
    deeds = sorted(rule.then, key=lambda each: each.what != "flag")
    block = tuple(_do(each) for each in deeds) + ((Command("stop"),) if rule.stop else ())
    return Command("if", tests=(test,), block=block, comments=_mark("rule", rule.on, name))


def _condition(one: Condition) -> Test:
    test = _plain_condition(one)
    return Test("not", tests=(test,)) if one.negated else test


def _plain_condition(one: Condition) -> Test:
    if one.field == "size":
        if one.op not in _SIZE_OPS or not one.value.isdigit():
            raise BadRules("size is over or under a number of octets")
        return Test("size", (Tag(one.op), Number(int(one.value))))
    value = _string(one.value)
    if one.field == "domain" and one.op == "is":
        return Test("address", (Tag("is"), Tag("domain"), Strings(("from",)), value))
    if one.field == "body" and one.op == "contains":
        return Test("body", (Tag("text"), Tag("contains"), value))
    names = _FIELDS.get(one.field)
    if one.field.startswith("header:") and len(one.field) > len("header:"):
        names = (one.field.removeprefix("header:").lower(),)
        if names in _FIELDS.values():
            raise BadRules(f"write {names[0]} instead of {one.field}")
    if names is None or one.op not in _TEXT_OPS:
        raise BadRules(f"{one.field} {one.op} is no condition; {_CONDITIONS}")
    return Test("header", (Tag(one.op), _strings(names), value))


_DO: Final[dict[str, Callable[[Do], Command]]] = {
    "file": lambda one: Command("fileinto", (Tag("create"), _string(one.value))),
    "flag": lambda one: Command("addflag", (_string(one.value),)),
    "forward": lambda one: _redirect(one.value, one.copy),
    "discard": lambda one: Command("discard"),
    "reject": lambda one: Command("reject", (_string(one.value),)),
    "keep": lambda one: Command("keep"),
}


def _do(one: Do) -> Command:
    make = _DO.get(one.what)
    if make is None:
        raise BadRules(f"{one.what} is nothing that can be done; one of {', '.join(_DO)}")
    if not one.value and one.what not in ("discard", "keep"):
        raise BadRules(f"{one.what} needs to be told what")
    if one.what == "flag" and (len(one.value.split()) != 1 or not flags_of((one.value,))):
        raise BadRules(f"{one.value} is no flag; write one word, or \\Seen, \\Answered, \\Flagged, \\Deleted, \\Draft")
    return make(one)


_NEEDS: Final = {
    "fileinto": ("fileinto", "mailbox"),
    "addflag": ("imap4flags",),
    "reject": ("reject",),
    "vacation": ("vacation",),
    "body": ("body",),
    "currentdate": ("date", "relational"),
    "envelope": ("envelope",),
}


def _needs(node: Command | Test) -> Iterable[str]:
    yield from _NEEDS.get(node.name, ())
    if Tag("copy") in node.arguments:
        yield "copy"
    for test in node.tests:
        yield from _needs(test)
    for command in (node.block or ()) if isinstance(node, Command) else ():
        yield from _needs(command)


def _day(text: str) -> None:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return
    except ValueError:
        pass
    raise BadRules(f"{text!r} is no day; write 2026-12-24")


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


# reading


def read(script: str) -> Rules:
    """The rules in a script. Raises NotRules."""
    tree, faults, _ = parse(script)
    if faults:
        raise NotRules("the script has faults")
    commands = [command for command in tree.commands if command.name != "require"]
    away, forward = None, None
    rules: list[Rule] = []
    for command in commands:
        kind, on, name = _marked(command)
        if kind == "away":
            away = _read_away(command, on)
        elif kind == "forward":
            forward = _read_forward(command, on)
        else:
            rules.append(_read_rule(command, on, name))
    found = Rules(away=away, forward=forward, rules=tuple(rules))
    try:
        written = parse(write(found))[0]
    except BadRules as fault:
        raise NotRules(str(fault)) from None
    if written.commands != tree.commands:
        raise NotRules("the script does more than its rules say")
    return found


def _marked(command: Command) -> tuple[str, bool, str]:
    for comment in command.comments:
        kind, _, name = comment.removeprefix("#").strip().partition(":")
        on = not kind.endswith("(off)")
        kind = kind.removesuffix("(off)").strip()
        if kind in ("away", "forward", "rule") and command.name == "if":
            return kind, on, name.strip()
    raise NotRules(f"the command {command.name} belongs to no rule")


def _texts(argument: Argument | None) -> tuple[str, ...]:
    return argument.items if isinstance(argument, Strings) else ()


def _text(argument: Argument | None) -> str:
    return (*_texts(argument), "")[0]


def _after(arguments: tuple[Argument, ...], tag: str) -> Argument | None:
    places = [place for place, argument in enumerate(arguments) if argument == Tag(tag)]
    return arguments[places[0] + 1] if places and places[0] + 1 < len(arguments) else None


def _read_away(command: Command, on: bool) -> Away:
    days = {"ge": "", "le": ""}
    for test in command.tests[0].tests if command.tests else ():
        if test.name == "currentdate" and len(test.arguments) == 4:
            days[_text(test.arguments[1])] = _text(test.arguments[3])
    block = command.block or ()
    domains: tuple[str, ...] = ()
    outside = ""
    if block and block[0].name == "if" and len(block) == 2 and block[0].tests:
        who = (*block[0].tests[0].tests, block[0].tests[0])[0].arguments
        domains = _texts(who[2] if len(who) > 2 else None)
        outside = _text((block[1].block or (Command(""),))[0].arguments[-1]) if block[1].block else ""
        block = block[0].block or ()
    if not block or block[0].name != "vacation" or not block[0].arguments:
        raise NotRules("there is no answer")
    arguments = block[0].arguments
    number = _after(arguments, "days")
    return Away(
        text=_text(arguments[-1]).replace("\r\n", "\n"),
        outside=outside.replace("\r\n", "\n"),
        domains=domains,
        subject=_text(_after(arguments, "subject")),
        start=days["ge"],
        until=days["le"],
        days=number.value if isinstance(number, Number) else 7,
        addresses=_texts(_after(arguments, "addresses")),
        on=on,
    )


def _read_forward(command: Command, on: bool) -> Forward:
    block = command.block or ()
    to = tuple(_text(each.arguments[-1]) for each in block if each.name == "redirect" and each.arguments)
    return Forward(to=to, copy=any(Tag("copy") in each.arguments for each in block), on=on)


def _read_rule(command: Command, on: bool, name: str) -> Rule:
    test = command.tests[0] if command.tests else Test("true")
    if not on and len(test.tests) == 2:
        test = test.tests[1]
    block = command.block or ()
    stop = bool(block) and block[-1].name == "stop"
    when = tuple(_read_condition(each) for each in test.tests if each.name != "true")
    then = tuple(_read_do(each) for each in (block[:-1] if stop else block))
    return Rule(name=name, when=when, then=then, any=test.name == "anyof", stop=stop, on=on)


def _read_condition(test: Test) -> Condition:
    if test.name == "not" and test.tests:
        inner = _read_condition(test.tests[0])
        return Condition(field=inner.field, op=inner.op, value=inner.value, negated=True)
    given = test.arguments
    op = given[0].name if given and isinstance(given[0], Tag) else ""
    value = _text(given[-1] if given else None).replace("\r\n", "\n")
    if test.name == "size" and len(given) == 2 and isinstance(given[1], Number):
        return Condition(field="size", op=op, value=str(given[1].value))
    if test.name == "address":
        return Condition(field="domain", op="is", value=value)
    if test.name == "body":
        return Condition(field="body", op="contains", value=value)
    if test.name == "header" and len(given) == 3:
        names = _texts(given[1])
        field = next((field for field, known in _FIELDS.items() if known == names), f"header:{(*names, '')[0]}")
        return Condition(field=field, op=op, value=value)
    raise NotRules(f"the test {test.name} is no condition")


def _read_do(command: Command) -> Do:
    what = {"fileinto": "file", "addflag": "flag", "redirect": "forward"}.get(command.name, command.name)
    if what not in _DO:
        raise NotRules(f"the command {command.name} is no action of a rule")
    value = _text(command.arguments[-1] if command.arguments else None).replace("\r\n", "\n")
    return Do(what=what, value=value, copy=what != "forward" or Tag("copy") in command.arguments)
