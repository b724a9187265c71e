"""Scripts made at random, of what most interpreters know, and messages for them."""

from __future__ import annotations

from random import Random

from postroom.sieve.printer import quoted

REQUIRES = (
    'require ["fileinto", "envelope", "variables", "relational", "comparator-i;ascii-numeric", "subaddress", "date",'
    ' "body", "regex", "imap4flags", "index", "mime", "foreverypart", "encoded-character", "copy"];\n'
)
#: what whole programs use besides
MORE = 'require ["editheader", "ihave", "environment", "mailbox"];\n'
EDITED = ("X-Tag", "x-num", "Subject", "X-New", "x-other")
NAMES = ("from", "to", "cc", "subject", "x-tag", "received", "x-num", "x-none", "content-type", "Reply-To")
ADDRESS_NAMES = ("from", "to", "cc", "reply-to", "sender")
WORDS = (
    *("", "a", "hello", "Hello World", "[list]", "ann@example.org", "bob+team@Example.NET", "example", "x", "team"),
    *("17", "017", "3 things", "text/plain", "2*2", "q?", "back\\slash", "Grüße", "ÄÖ", 'say "so"', "  spaced  "),
)
# Left out is what Dovecot 2.3 sees otherwise: "?" at the begin of a pattern; "*?*" of one character; a parameter that
# is missing as ""; the default comparator of `string`; :count together with :index. In programs: `set "v" "${v}"`,
# which empties the variable there (RFC 5229 4); tests of a body behind edits of the header; the size of an edited
# message, which is that of the message as it came here; the implicit keep behind `fileinto :copy "A"; fileinto "A";`,
# which stays there (RFC 3894 3); the order of two fields that were added with :last (RFC 5293 4).
PATTERNS = (
    *("*", "?", "", "*a*", "a*", "*@*", "[*]*", "*\\**", "h?llo*", "*o*o*", "**", "*l*l?*", "\\?", "*\\\\*", "h*d"),
    *("*? *", "1?", "*@example.*", "*+*@*", "Gr??e*", "*ß*"),
)
REGEXES = (
    *(
        "a",
        "^a",
        "o$",
        "[a-z]+",
        "^[[:alpha:]]+$",
        "l{2}",
        "(he|wo).*",
        "^.*@(.*)$",
        "[0-9]{1,3}",
        "x?y*z*",
        "^$",
        "\\[",
    ),
    *("(a|b)*c", "[^a-z]", "h.l+o", "(^a)|(d$)", "[]x]", "[a-]"),
)


def message(rng: Random) -> bytes:
    lines = ["From: " + rng.choice(("ann@example.org", '"Ann, A." <ann+x@example.org>', "Ann <ann@sub.example.org>"))]
    for name in ("To", "Cc"):
        if rng.random() < 0.8:
            addresses = rng.sample(("bob@example.net", "bob+team@Example.NET", "Carol <c@d.example>", "x@y.example"), 2)
            lines.append(f"{name}: {', '.join(addresses)}")
    if rng.random() < 0.9:
        lines.append(f"Subject: {rng.choice(WORDS).strip()} {rng.choice(WORDS).strip()}".rstrip())
    lines += [f"X-Tag: {rng.choice(WORDS)}" for _ in range(rng.randrange(3))]
    lines.append(f"X-Num: {rng.choice(('17', '3', '0', '200', 'none', '4 of 5'))}")
    lines.append("Date: Sat, 21 Nov 2026 09:58:59 +0100")
    header = [line.encode() if line.isascii() else _encoded(line) for line in lines]
    if rng.random() < 0.5:
        body = [
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="b"',
            b"",
            b"--b",
            b"Content-Type: text/plain",
        ]
        body += [
            b"",
            rng.choice(WORDS).encode(),
            b"hello",
            b"--b",
            b"Content-Type: application/x; name=team",
            b"",
            b"x",
        ]
        body += [b"--b--"]
    else:
        body = [b"", b"Hello World", rng.choice(WORDS).encode("ascii", "replace"), b"the end"]
    return b"\r\n".join([*header, *body, b""])


def _encoded(line: str) -> bytes:
    from email.header import Header

    name, _, value = line.partition(": ")
    return f"{name}: {Header(value.strip(), 'utf-8').encode()}".encode()


class Maker:
    """Makes tests and scripts."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.edits = False
        self.last = ""
        self.filed = self.sent = 0

    def match(self) -> tuple[str, str]:
        """Tags, and keys that fit them."""
        rng = self.rng
        kind = rng.choice(("", ":is", ":contains", ":matches", ":matches", ":regex", ":value", ":count"))
        comparator = rng.choice(("", "", ':comparator "i;octet"', ':comparator "i;ascii-casemap"'))
        if kind in (":value", ":count"):
            numeric = kind == ":count" or rng.random() < 0.5
            comparator = ':comparator "i;ascii-numeric"' if numeric else comparator
            relation = rng.choice(("gt", "ge", "lt", "le", "eq", "ne"))
            keys = [str(rng.randrange(4)) if kind == ":count" else rng.choice(("17", "3", "m", "Z", "", "100"))]
            return f'{kind} "{relation}" {comparator}', self.strings(keys)
        pool = {":matches": PATTERNS, ":regex": REGEXES}.get(kind, WORDS)
        return f"{kind} {comparator}", self.strings([rng.choice(pool) for _ in range(rng.choice((1, 1, 2)))])

    def strings(self, items: list[str]) -> str:
        return quoted(items[0]) if len(items) == 1 else "[" + ", ".join(map(quoted, items)) + "]"

    def names(self, pool: tuple[str, ...]) -> str:
        return self.strings(self.rng.sample(pool, self.rng.choice((1, 1, 2))))

    def test(self, depth: int = 0) -> str:
        rng = self.rng
        kinds = [
            "header",
            "header",
            "address",
            "exists",
            "size",
            "envelope",
            "string",
            "date",
            "body",
            "hasflag",
            "mime",
        ]
        if depth < 3:
            kinds += ["not", "allof", "anyof"]
        kind = rng.choice(kinds)
        if kind == "not":
            return f"not {self.test(depth + 1)}"
        if kind in ("allof", "anyof"):
            return f"{kind} ({', '.join(self.test(depth + 1) for _ in range(rng.randrange(1, 4)))})"
        return getattr(self, "_" + kind)()

    def _index(self) -> str:
        return self.rng.choice(("", "", "", ":index 1", ":index 2", ":index 1 :last"))

    def _header(self) -> str:
        tags, keys = self.match()
        index = "" if ":count" in tags else self._index()
        return f"header {index} {tags} {self.names(NAMES)} {keys}"

    def _mime(self) -> str:
        tags, keys = self.match()
        if ":count" in tags or '""' in keys:
            return "true"
        option = self.rng.choice((":type", ":subtype", ":contenttype", ':param "name"'))
        if "param" in option:
            tags = ":is"
        return f'header :mime {self.rng.choice(("", ":anychild"))} {option} {tags} "content-type" {keys}'

    def _address(self) -> str:
        tags, keys = self.match()
        part = self.rng.choice(("", ":all", ":localpart", ":domain", ":user", ":detail"))
        return f"address {part} {tags} {self.names(ADDRESS_NAMES)} {keys}"

    def _exists(self) -> str:
        return f"exists {self.names(NAMES)}"

    def _size(self) -> str:
        if self.edits:
            return f"size {self.rng.choice((':over 3', ':under 1M', ':over 1K'))}"
        return f"size {self.rng.choice((':over', ':under'))} {self.rng.choice((0, 100, 200, 300, '1K'))}"

    def _envelope(self) -> str:
        tags, keys = self.match()
        part = self.rng.choice(("", ":all", ":localpart", ":domain", ":user", ":detail"))
        return f"envelope {part} {tags} {self.names(('from', 'to'))} {keys}"

    def _string(self) -> str:
        tags, keys = self.match()
        if ":comparator" not in tags:
            tags += ' :comparator "i;ascii-casemap"'
        source = self.rng.choice(("${v}", "${0}", "${1}", "${2}x", "a ${v} b"))
        return f'string {tags} "{source}" {keys}'

    def _hasflag(self) -> str:
        return f"hasflag {self.rng.choice((':is', ':contains'))} {self.names(('a', 'b', 'seen', 'b a'))}"

    def _date(self) -> str:
        tags, keys = self.match()
        part = self.rng.choice(("year", "month", "date", "hour", "weekday", "iso8601", "zone", "julian", "time"))
        return f'date :zone "{self.rng.choice(("+0000", "-0500", "+0530"))}" {tags} "date" "{part}" {keys}'

    def _body(self) -> str:
        tags, keys = self.match()
        if ":count" in tags or ":value" in tags or self.edits:
            return "true"
        transform = self.rng.choice((":raw", ':content "text"', ':content "text/plain"'))
        return f"body {transform} {tags} {keys}"

    def script(self, tests: int = 20) -> str:
        """Each test shows by a mailbox of its own."""
        lines = [REQUIRES, 'set "v" "Hello World";', 'setflag "a";']
        for number in range(tests):
            then = self.rng.choice(
                (f'fileinto "F{number}";', f'fileinto "F{number}";', f'fileinto :flags "b ${{1}}" "F{number}";')
            )
            extra = self.rng.choice(
                ("", "", 'set :upper "v" "${v}";', 'addflag "b";', 'removeflag "a";', 'set "v" "${1}";')
            )
            otherwise = self.rng.choice(("", ' else { set :lower "v" "${v}"; }'))
            lines.append(f"if {self.test()} {{ {then} {extra} }}{otherwise}")
        return "\n".join(lines) + "\n"

    # whole programs

    def program(self) -> str:
        """Nested ifs with elsif and else, edits of the header, variables with all modifiers, and every action that
        files or sends: what is left of it at the end are the mailboxes, the flags and the addresses.
        """
        self.filed = self.sent = 0
        self.edits = True
        self.last = ":last "
        return REQUIRES + MORE + 'set "v" "Hello World";\n' + "\n".join(self._block(0, 6)) + "\n"

    def _block(self, depth: int, most: int) -> list[str]:
        return [self._statement(depth) for _ in range(self.rng.randrange(1, most))]

    def _statement(self, depth: int) -> str:
        kinds = ["file", "file", "set", "set", "flag", "edit", "edit", "redirect"]
        kinds += ["if"] * 6 if depth < 4 else []
        kinds += ["keep", "stop"] if depth and self.rng.random() < 0.2 else []
        return getattr(self, "_do_" + self.rng.choice(kinds))(depth)

    def _do_if(self, depth: int) -> str:
        def block() -> str:
            return "{ " + " ".join(self._block(depth + 1, 4)) + " }"

        text = f"if {self._condition()} {block()}"
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            text += f" elsif {self._condition()} {block()}"
        return text + (f" else {block()}" if self.rng.random() < 0.5 else "")

    def _condition(self) -> str:
        rng = self.rng
        return rng.choice((self.test, self.test, self._edited, self._environment, self._ihave))()

    def _edited(self) -> str:
        """What the edits have made of the header."""
        name = self.rng.choice(EDITED)
        if self.rng.random() < 0.3:
            return f"exists {quoted(name)}"
        tags, keys = self.match()
        index = "" if ":count" in tags else self._index()
        return f"header {index} {tags} {quoted(name)} {keys}"

    def _environment(self) -> str:
        tags, keys = self.match()
        name = self.rng.choice(("location", "phase", "no-such-item"))
        return f"environment {tags} {quoted(name)} {keys}" if ":count" not in tags else "true"

    def _ihave(self) -> str:
        return f"ihave {self.rng.choice((quoted('fileinto'), quoted('no-such-extension')))}"

    def _do_file(self, _depth: int) -> str:
        if self.filed >= 20:  # 32 actions at most
            return 'addflag "x";'
        self.filed += 1
        copy = self.rng.choice(("", "", ":copy "))
        flags = self.rng.choice(("", "", ':flags "b" ', ':flags ["c", "${v}"] '))
        twice = () if copy else ("Same", "INBOX")
        name = self.rng.choice((f"F{self.filed}", f"F{self.filed}", *twice))
        return f"fileinto {copy}{flags}{quoted(name)};"

    def _do_set(self, _depth: int) -> str:
        rng = self.rng
        case = rng.choice(("", ":lower", ":upper"))
        first = rng.choice(("", "", ":lowerfirst", ":upperfirst"))
        other = rng.choice(("", "", ":quotewildcard", ":length"))
        value = rng.choice(("${v}", "${1}", "a*b?c", "mIXED Words", "${v}${w}", "", "Größe", "x\\\\y"))
        name = rng.choice("vw")
        if value == "${v}" and name == "v" and not case + first + other:
            case = ":lower"
        return f'set {case} {first} {other} "{name}" {quoted(value)};'

    def _do_flag(self, _depth: int) -> str:
        flags = self.strings(self.rng.sample(("a", "b", "\\Seen", "a b", "\\flagged", "C"), self.rng.choice((1, 2))))
        return f"{self.rng.choice(('addflag', 'setflag', 'removeflag'))} {flags};"

    def _do_edit(self, _depth: int) -> str:
        rng = self.rng
        name = quoted(rng.choice(EDITED))
        if rng.random() < 0.5:
            value = quoted(rng.choice(("one", "two words", "17", "Grüße", "${v}")))
            last = rng.choice(("", self.last))
            self.last = "" if last else self.last
            return f"addheader {last}{name} {value};"
        index = rng.choice(("", ":index 1 ", ":index 2 ", ":index 1 :last "))
        if rng.random() < 0.5:
            return f"deleteheader {index}{name};"
        tags, keys = self.match()
        return f"deleteheader {index}{tags} {name} {keys};" if ":count" not in tags else f"deleteheader {name};"

    def _do_redirect(self, _depth: int) -> str:
        if self.sent >= 4:
            return 'removeflag "b";'
        self.sent += 1
        return f"redirect {self.rng.choice(('', ':copy '))}{quoted(f'to{self.sent}@example.org')};"

    def _do_keep(self, _depth: int) -> str:
        return self.rng.choice(("keep;", "discard;", 'keep :flags "kept";'))

    def _do_stop(self, _depth: int) -> str:
        return "stop;"
