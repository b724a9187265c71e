"""Scripts made at random, of what most interpreters know, and messages for them."""

from __future__ import annotations

from random import Random

from postroom.sieve.printer import quoted

REQUIRES = (
    'require ["fileinto", "envelope", "variables", "relational", "comparator-i;ascii-numeric", "subaddress", "date",'
    ' "body", "regex", "imap4flags", "index", "mime", "foreverypart", "encoded-character", "copy"];\n'
)
NAMES = ("from", "to", "cc", "subject", "x-tag", "received", "x-num", "x-none", "content-type", "Reply-To")
ADDRESS_NAMES = ("from", "to", "cc", "reply-to", "sender")
WORDS = (
    *("", "a", "hello", "Hello World", "[list]", "ann@example.org", "bob+team@Example.NET", "example", "x", "team"),
    *("17", "017", "3 things", "text/plain", "2*2", "q?", "back\\slash", "Grüße", "ÄÖ", 'say "so"', "  spaced  "),
)
# Left out is what Dovecot 2.3 sees otherwise: "?" at the begin of a pattern; "*?*" of one character; a parameter that
# is missing as ""; the default comparator of `string`; :count together with :index.
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
        if ":count" in tags or ":value" in tags:
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
