"""The public collections of attacks on mail authentication, played over SMTP against a server with its own DNS.

The kinds of tricks are those of "Composition kills" (Chen, Paxson, Jiang, USENIX Security 2020), "Weak links in
authentication chains" (Shen and others, USENIX Security 2021) and SMTP smuggling (Longin, 2023), written anew. In each
case the attacker holds attack.test, from whose address he sends, with SPF and a DKIM key that prove it; the reader is
to believe that legit.test (p=reject), or somebody of a.test, which is hosted here, has sent it. Whatever the trick: it
is refused, filed as junk, or marked.
"""

from __future__ import annotations

import base64
import email
import email.policy
import imaplib
import itertools
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from network_house import PASSWORD, Company, until

from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, SigningKey, generate_key, sign
from postroom.mailauth.header import split_message
from postroom.testing.dnsserver import DnsServer

pytestmark = pytest.mark.timeout(300)
ATTACKER = "127.0.9.9"
KEYS = {name: SigningKey.load(name, "s", generate_key("ed25519")) for name in ("attack.test", "legit.test")}
ZONE = {
    "attack.test": {"TXT": [f"v=spf1 ip4:{ATTACKER} -all"], "A": [ATTACKER], "MX": [[10, "attack.test"]]},
    "helo.attack.test": {"TXT": [f"v=spf1 ip4:{ATTACKER} -all"], "A": [ATTACKER]},
    "legit.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "A": ["192.0.2.1"]},
    "_dmarc.legit.test": {"TXT": ["v=DMARC1; p=reject"]},
    "hardfail.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "A": ["192.0.2.1"]},
    "9.9.0.127.in-addr.arpa": {"PTR": ["attack.test"]},
    **{f"s._domainkey.{name}": {"TXT": [key.record]} for name, key in KEYS.items()},
}
_numbers = itertools.count(1)


def b64(text: bytes) -> bytes:
    return b"=?utf-8?B?" + base64.b64encode(text) + b"?="


@dataclass
class Case:
    """One message. head: its From and what belongs to it; proof: whose key signs what is there, b"" for nothing."""

    name: str
    head: bytes
    mail: bytes = b"<any@attack.test>"
    helo: bytes = b"attack.test"
    proof: str = ""
    more: bytes = b""
    raw: Callable[[bytes], bytes] = lambda octets: octets
    token: str = field(default_factory=lambda: f"token{next(_numbers)}x")

    def octets(self) -> bytes:
        rest = b"To: <ann@a.test>\r\nSubject: %b\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n%b\r\n" % (
            self.token.encode(), self.more,
        )  # fmt: skip
        octets = self.head + rest + b"Please pay. %b\r\n" % self.token.encode()
        return self.raw(signed(octets, self.proof) if self.proof else octets)


def signed(octets: bytes, domain: str, header: bytes = b"") -> bytes:
    """With a signature on top. header: what is signed instead of the header that is there."""
    own, body = split_message(octets)
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    return sign(header or own, hashes.digest(BODY_FORM), [KEYS[domain]], int(time.time())) + octets


def forged_key(domain: bytes, selector: bytes) -> Callable[[bytes], bytes]:
    """A signature by attack.test whose d= and s= read otherwise."""

    def change(octets: bytes) -> bytes:
        octets = signed(octets, "attack.test", b"From: <admin@legit.test>\r\n")
        return octets.replace(b"d=attack.test", b"d=" + domain, 1).replace(b"s=s;", b"s=" + selector + b";", 1)

    return change


ADMIN = b"From: <admin@legit.test>\r\n"
OURS = b"From: Ben <ben@a.test>\r\n"
SENDER = b"Sender: <s@sender.legit.test>\r\n"

# who is asked about: the name in HELO, the envelope, the signature, the results
ENVELOPES = [
    Case("subdomain that does not exist", ADMIN, b"<any@mailfrom.notexist.legit.test>", b"helo.attack.test"),
    Case("subdomain that does not exist, in From too", b"From: <admin@notexist.legit.test>\r\n", b"<x@legit.test>"),
    Case("empty sender", ADMIN, b"<>"),
    Case("empty sender, HELO of the victim", ADMIN, b"<>", b"legit.test"),
    Case("sender that is no address", ADMIN, b"<(any@legit.test>"),
    Case("comment in the sender", ADMIN, b"<any@legit.test(a.attack.test>"),
    Case("quote in the sender", ADMIN, b"<any@legit.test'@any.attack.test>"),
    Case("quoted sender", ADMIN, b'<"any@legit.test"@attack.test>'),
    Case("route in the sender", ADMIN, b"<@legit.test,@any.com:'any@attack.test>"),
    Case("route of the victim", ADMIN, b"<@attack.test:admin@legit.test>"),
    Case("NUL in the sender", ADMIN, b"<admin@legit.test\x00@attack.test>"),
    Case("victim's own sender", ADMIN, b"<admin@legit.test>"),
    Case("victim's own sender and HELO", ADMIN, b"<admin@legit.test>", b"legit.test"),
    Case("HELO with results", ADMIN, helo=b"legit.test;spf=pass"),
    Case("NUL in the selector", ADMIN, raw=forged_key(b"legit.test", b"s._domainkey.attack.test.\x00.any")),
    Case("NUL in the domain", ADMIN, raw=forged_key(b"legit.test\x00.attack.test", b"s")),
    Case("quote in the domain", ADMIN, raw=forged_key(b"legit.test'a.attack.test", b"s")),
    Case("comment in the domain", ADMIN, raw=forged_key(b"legit.test(.attack.test", b"s")),
    Case("double quote in the domain", ADMIN, raw=forged_key(b'legit.test"=(.attack.test', b"s")),
    Case("selector that leads away", ADMIN, raw=forged_key(b"legit.test", b"s._domainkey.attack.test.")),
    Case("d= twice", ADMIN, raw=forged_key(b"attack.test; d=legit.test", b"s")),
    Case("signature of the attacker", ADMIN, proof="attack.test"),
    Case("i= of the victim", ADMIN, raw=forged_key(b"attack.test; i=admin@legit.test", b"s")),
    Case("results of ours, forged", ADMIN, more=b"Authentication-Results: mx.a.test; dmarc=pass\r\n"),
    Case("results of another", ADMIN, more=b"Authentication-Results: legit.test; dmarc=pass; dkim=pass\r\n"),
    Case("chain that says pass", ADMIN, more=(
        b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=attack.test; s=s; t=1; b=AAAA\r\n"
        b"ARC-Message-Signature: i=1; a=rsa-sha256; d=attack.test; s=s; h=from; bh=AAAA; b=AAAA\r\n"
        b"ARC-Authentication-Results: i=1; mx.a.test; dmarc=pass header.from=legit.test\r\n")),
    Case("shape of a list", ADMIN, more=b"List-Id: <x.attack.test>\r\nList-Post: <mailto:x@attack.test>\r\n"),
    Case("SPF says fail, no DMARC", b"From: <admin@hardfail.test>\r\n", b"<admin@hardfail.test>"),
    Case("SPF says fail, no DMARC, empty sender", b"From: <admin@hardfail.test>\r\n", b"<>", b"hardfail.test"),
]  # fmt: skip

# who is shown: From
FROMS = {
    "two fields": b"From: <first@attack.test>\r\nFrom: <admin@legit.test>\r\n",
    "two fields, other order": b"From: <admin@legit.test>\r\nFrom: <first@attack.test>\r\n",
    "blank before": b" From: <first@attack.test>\r\nFrom: <admin@legit.test>\r\n",
    "blank before the second": b"From: <first@attack.test>\r\n From: <admin@legit.test>\r\n",
    "blank before the victim's": b" From: <admin@legit.test>\r\nFrom: <first@attack.test>\r\n",
    "tab before the victim's": b"\tFrom: <admin@legit.test>\r\nFrom: <first@attack.test>\r\n",
    "blank after": b"From: <first@attack.test>\r\nFrom : <admin@legit.test>\r\n",
    "tab after": b"From: <first@attack.test>\r\nFrom\t: <admin@legit.test>\r\n",
    "folded name": b"From\r\n : <first@attack.test>\r\nFrom: <admin@legit.test>\r\n",
    "folded name of the victim's": b"From: <first@attack.test>\r\nFrom\r\n : <admin@legit.test>\r\n",
    "folded name and Sender": b"From\r\n : <first@attack.test>\r\nSender: <admin@legit.test>\r\n",
    "folded name and Resent-From": b"From\r\n : <first@attack.test>\r\nResent-From: <admin@legit.test>\r\n",
    "only Sender": b"Sender: <admin@legit.test>\r\n",
    "Sender of the victim": b"From: <first@attack.test>\r\nSender: <admin@legit.test>\r\n",
    "Resent-From of the victim": b"From: <first@attack.test>\r\nResent-From: <admin@legit.test>\r\n",
    "Sender of ours": b"From: <first@attack.test>\r\nSender: <ben@a.test>\r\n",
    "NUL in the name": b"From: <first@attack.test>\r\nFrom\x00: <admin@legit.test>\r\n",
    "no-break space in the name": b"From: <first@attack.test>\r\nFrom\xa0: <admin@legit.test>\r\n",
    "zero width space before": "From: <first@attack.test>\r\n\u200bFrom: <admin@legit.test>\r\n".encode(),
    "soft hyphen in the name": "From: <first@attack.test>\r\nFr\u00adom: <admin@legit.test>\r\n".encode(),
    "bare CR": b"From: <first@attack.test>\r\nX: y\rFrom: <admin@legit.test>\r\n",
    "bare LF": b"From: <first@attack.test>\r\nX: y\nFrom: <admin@legit.test>\r\n",
    "line that is no field": b"From: <first@attack.test>\r\nnothing\r\nFrom: <admin@legit.test>\r\n",
    "empty header": b"\r\nFrom: <admin@legit.test>\r\n",
    "several addresses": b"From: <first@attack.test>, <admin@legit.test>\r\n" + SENDER,
    "several addresses, other order": b"From: <admin@legit.test>, <first@attack.test>\r\n" + SENDER,
    "encoded address, several": b"From:" + b64(b"<admin@legit.test>") + b",<second@attack.test>\r\n" + SENDER,
    "encoded address, several, no Sender": b"From: " + b64(b"admin@legit.test") + b", <second@attack.test>\r\n",
    "encoded address and a name": b"From: " + b64(b"admin <admin@legit.test>") + b" <second@attack.test>\r\n",
    "encoded address and a line end": b"From: " + b64(b"admin@legit.test\r\n\r\n") + b"@attack.test\r\n",
    "encoded address, NUL": b"From: " + b64(b"admin@legit.test\x00") + b"@attack.test\r\n",
    "encoded address, NUL, brackets": b"From: <" + b64(b"admin@legit.test\x00") + b"@attack.test>\r\n",
    "encoded, quoted-printable": b"From: =?utf-8?Q?=3Cadmin=40legit=2Etest=3E=2C?= <second@attack.test>\r\n",
    "encoded local part": b"From: " + b64(b"admin@legit.test") + b"@attack.test\r\n",
    "encoded domain": b"From: <admin@" + b64(b"legit.test") + b">\r\n",
    "encoded everything": b"From: " + b64(b"admin@legit.test") + b"\r\n",
    "route": b"From: <@attack.test,@any.com:admin@legit.test>\r\n" + SENDER,
    "route, other order": b"From: <@legit.test,@any.com:first@attack.test>\r\n",
    "quoted pair": b"From: <admin@legit.test>\\,<second@attack.test>\r\n" + SENDER,
    "precedence": b"From: admin@legit.test,<second@attack.test>\r\n" + SENDER,
    "text after": b"From: <any@attack.test>admin@legit.test\r\n" + SENDER,
    "text before": b"From: admin@legit.test<any@attack.test>\r\n",
    "name in quotes": b'From: "admin@legit.test" <any@attack.test>\r\n',
    "name in quotes, brackets": b'From: "<admin@legit.test>" <any@attack.test>\r\n',
    "comment": b"From: (admin@legit.test) any@attack.test (x\r\n <admin@legit.test>)\r\n",
    "comment that hides": b"From: admin@legit.test(<any@attack.test>)\r\n",
    "comment that hides, brackets": b"From: <any@attack.test(>admin@legit.test)>\r\n",
    "nested comments": b"From: (a(<admin@legit.test>)b) <any@attack.test>, (\r\n",
    "brackets in brackets": b"From: <any@attack.test<admin@legit.test>>\r\n",
    "two brackets": b"From: <admin@legit.test><any@attack.test>\r\n",
    "open bracket": b"From: <admin@legit.test, <any@attack.test>\r\n",
    "no closing bracket": b"From: Admin <admin@legit.test\r\n",
    "group": b"From: admin@legit.test:any@attack.test;\r\n",
    "group of the victim": b"From: Friends: admin@legit.test;, any@attack.test\r\n",
    "empty group": b"From: admin@legit.test:;\r\n",
    "group and nothing": b"From: undisclosed-recipients:;\r\n",
    "semicolon": b"From: admin@legit.test; any@attack.test\r\n",
    "blank between": b"From: admin@legit.test any@attack.test\r\n",
    "two at": b"From: <admin@legit.test@attack.test>\r\n",
    "two at, other order": b"From: <any@attack.test@legit.test>\r\n",
    "quoted local part": b'From: <"admin@legit.test"@attack.test>\r\n',
    "quoted local part with a bracket": b'From: <"admin@legit.test>"@attack.test>\r\n',
    "quotes that open": b'From: "admin@legit.test <any@attack.test>\r\n',
    "quotes that hide": b'From: "any@attack.test" "<admin@legit.test\r\n',
    "NUL ends": b"From: <admin@legit.test\x00@attack.test>\r\n",
    "NUL after": b"From: <admin@legit.test>\x00<any@attack.test>\r\n",
    "control characters": b"From: <admin@legit.test\x01any@attack.test>\r\n",
    "folded in the address": b"From: <admin@legit.test\r\n @attack.test>\r\n",
    "padding": b"From: admin@legit.test" + b" " * 600 + b"<any@attack.test>\r\n",
    "folded padding": b"From: admin@legit.test\r\n" + b" \r\n" * 40 + b" <any@attack.test>\r\n",
    "no address": b"From: admin\r\n",
    "no address, a name": b"From: Admin of legit.test\r\n",
    "empty brackets": b"From: admin@legit.test <>\r\n",
    "empty From": b"From:\r\n",
    "address literal": b"From: <admin@[192.0.2.1]>\r\n",
    "percent": b"From: <admin%legit.test@attack.test>\r\n",
    "bang": b"From: <legit.test!admin@attack.test>\r\n",
    "full-width at": "From: admin\uff20legit.test <any@attack.test>\r\n".encode(),
    "small at": "From: admin\ufe6blegit.test <any@attack.test>\r\n".encode(),
    "full-width dot": "From: <admin@legit\uff0etest>\r\n".encode(),
    "right to left": "From: \u202etset.tigel@nimda\u202c <any@attack.test>\r\n".encode(),
    "right to left in the address": "From: <\u202etset.tigel@nimda@attack.test>\r\n".encode(),
    "invisible letters in the domain": "From: <admin@le\u200bgit.test>\r\n".encode(),
    "invisible letters in the local part": "From: <admin@legit.test\u2060@attack.test>\r\n".encode(),
    "Cyrillic letters": "From: <admin@l\u0435git.test>\r\n".encode(),
    "Cyrillic letters, A-labels": b"From: <admin@" + "l\u0435git".encode("idna") + b".test>\r\n",
    "whole label Cyrillic": "From: <admin@\u0430\u0440\u0440\u04cf\u0435.test>\r\n".encode(),
}
#: an odd local part of attack.test is all that is to be seen
HARMLESS = {"percent", "bang"}

# our own people, from outside
OWN = {
    "plain": OURS,
    "upper case": b"FROM: BEN@A.TEST\r\n",
    "trailing dot": b"From: <ben@a.test.>\r\n",
    "below": b"From: Ben <ben@mail.a.test>\r\n",
    "name of ours": b'From: "ben@a.test" <any@attack.test>\r\n',
    "look-alike": b"From: Ben <ben@a.test.attack.test>\r\n",
    "Cyrillic": "From: Ben <ben@\u0430.test>\r\n".encode(),
    "several": b"From: any@attack.test, ben@a.test\r\n",
    "with a list": b"List-Id: <x.attack.test>\r\nList-Post: <mailto:x@attack.test>\r\n" + OURS,
}


def cases() -> Iterator[Case]:
    yield from ENVELOPES
    for name, head in FROMS.items():
        if name not in HARMLESS:
            yield Case(f"From: {name}", head)
            yield Case(f"From: {name}, as the last field", b"", more=head)
    for name, head in OWN.items():
        for mail in (b"<any@attack.test>", b"<ben@a.test>", b"<>"):
            yield Case(f"ours: {name}, by {mail.decode()}", head, mail)
    true = signed(b"From: <admin@legit.test>\r\nTo: <x@y.test>\r\nSubject: true\r\n\r\nHello.\r\n", "legit.test")
    for name, change in {
        "another From above": lambda octets: b"From: <ceo@legit.test>\r\n" + octets,
        "another From below": lambda octets: octets.replace(b"\r\nTo:", b"\r\nFrom: <ceo@legit.test>\r\nTo:"),
        "another Subject": lambda octets: b"Subject: pay\r\n" + octets,
        "another To": lambda octets: b"To: <ann@a.test>\r\n" + octets,
        "another Content-Type": lambda octets: b"Content-Type: text/html\r\n" + octets,
        "more text": lambda octets: octets + b"Pay!\r\n",
        "l=": lambda octets: octets.replace(b"v=1;", b"v=1; l=0;", 1) + b"Pay!\r\n",
        "text before the header": lambda octets: b"X: y\r\n\r\n" + octets,
    }.items():  # fmt: skip
        case = Case(f"replay: {name}", b"")
        token = f"X-Token: {case.token}\r\n".encode()
        case.raw = lambda _, token=token, change=change: token + change(true)
        yield case


# playing them


class Client:
    """Says what it is told, octet by octet."""

    def __init__(self, company: Company) -> None:
        self.socket = socket.create_connection((company.address, company.ports["port"]), 30, (ATTACKER, 0))
        self.file = self.socket.makefile("rb")
        self.reply()

    def reply(self) -> int:
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return int(line[:3] or 0)

    def say(self, line: bytes) -> int:
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def play(company: Company, case: Case) -> bool:
    """True when the message was taken."""
    client = Client(company)
    try:
        for line in (b"EHLO " + case.helo, b"MAIL FROM:" + case.mail, b"RCPT TO:<ann@a.test>"):
            if client.say(line) >= 400:
                return False
        assert client.say(b"DATA") == 354
        octets = case.octets()
        assert b"\r\n." not in octets
        return client.say(octets + b".") == 250
    finally:
        client.close()


def lies(company: Company, mailbox: str) -> list[bytes]:
    client = imaplib.IMAP4(company.address, company.ports["imap"])
    client.starttls(company.tls())
    try:
        client.login(f"ann@{company.domain}", PASSWORD)
        client.select(mailbox, readonly=True)
        _, found = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [item[1] for item in found if isinstance(item, tuple)]
    finally:
        client.logout()


EXTRA = "\n[bans]\npoints = 1000000\n[limits]\nconnections_per_ip = 200\nsmtp_errors = 1000\n"


@pytest.fixture
def target(companies: Callable[..., list[Company]], dns: DnsServer) -> Company:
    dns.add(ZONE)
    [company] = companies(1, extra="\n[bans]\npoints = 1000000\n")
    return company


def test_every_case_is_refused_junk_or_marked(target: Company) -> None:
    everything = list(cases())
    taken = [case for case in everything if play(target, case)]
    until(lambda: len(lies(target, "INBOX")) + len(lies(target, "Junk")) == len(taken), 60)
    clean = [octets for octets in lies(target, "INBOX") if b"\r\nX-Postroom-Warning:" not in octets]
    missed = [case.name for case in taken if any(case.token.encode() in octets for octets in clean)]
    assert not missed, "\n".join(missed)
    assert len(clean) == 0
    print(f"{len(everything)} cases: {len(taken)} taken, of them {len(lies(target, 'Junk'))} junk, the others marked")
    for octets in lies(target, "INBOX"):  # nobody but us has written results of ours
        results = email.message_from_bytes(octets, policy=email.policy.compat32).get_all("Authentication-Results", [])
        assert sum(str(one).lstrip().startswith("mx.a.test") for one in results) == 1


def test_the_true_owners_are_not_hurt(target: Company) -> None:
    for number, head in enumerate(
        [b"From: X <x@attack.test>\r\n", b'From: "X, Y" <x@attack.test>\r\nSender: <y@attack.test>\r\n']
    ):
        assert play(target, Case(f"true {number}", head, proof="attack.test"))
    until(lambda: len(lies(target, "INBOX")) == 2)
    assert not any(b"X-Postroom-Warning" in octets for octets in lies(target, "INBOX"))


ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\r\r\n.\r\r\n", b"\n\n.\n\n", b"\r\n..\r\n",
    "\r\n\u2028.\r\n".encode(),
]  # fmt: skip
SECOND = (
    b"MAIL FROM:<admin@legit.test>\r\nRCPT TO:<ann@a.test>\r\nDATA\r\n" + ADMIN + b"Subject: smuggled\r\n\r\nPay.\r\n"
)


@pytest.mark.parametrize("way", ["DATA", "BDAT"])
def test_nothing_is_smuggled_in(target: Company, way: str) -> None:
    for end in ENDS:
        client = Client(target)
        for line in (b"EHLO attack.test", b"MAIL FROM:<any@attack.test>", b"RCPT TO:<ann@a.test>"):
            assert client.say(line) == 250
        text = b"From: <any@attack.test>\r\nSubject: outer\r\n\r\nHello." + end + SECOND
        if way == "DATA":
            assert client.say(b"DATA") == 354
            code = client.say(text + b"\r\n.")
        else:
            code = client.say(b"BDAT %d LAST\r\n" % len(text) + text[:-2])  # `say` adds the last CR LF
        assert code in (250, 550, 554, 500, 501, 503), (end, code)
        assert client.say(b"NOOP") == 250, end  # one reply to each command: no second message was seen
        client.close()
    for mailbox in ("INBOX", "Junk"):
        assert not any(b"\r\nSubject: smuggled" in split_message(octets)[0] for octets in lies(target, mailbox))


def test_nothing_is_smuggled_out(companies: Callable[..., list[Company]], dns: DnsServer) -> None:
    """An account of ours sends to another server: what leaves has one end only."""
    a, b = companies(2)
    dns.add(ZONE)
    second = SECOND.replace(b"ann@a.test", b"ben@b.test")
    with smtplib.SMTP(a.address, a.ports["submission"], timeout=30) as client:
        client.starttls(context=a.tls())
        client.login("ann@a.test", PASSWORD)
        for end in ENDS:
            client.mail("ann@a.test")
            client.rcpt("ben@b.test")
            assert client.docmd("DATA")[0] == 354
            client.send(b"From: <ann@a.test>\r\nSubject: outer\r\n\r\nHello." + end + second + b"\r\n.\r\n")
            code, said = client.getreply()
            assert code in (250, 500, 550, 554), said
            assert client.noop()[0] == 250
    until(lambda: not a.json("queue", "list")["entries"])
    for mailbox in ("INBOX", "Junk"):
        assert "smuggled" not in b.subjects("ben", mailbox)


FORGED_BY_OUR_OWN = {
    "another From": b"From: <ben@a.test>\r\n",
    "foreign From": b"From: <admin@legit.test>\r\n",
    "two From": b"From: <ann@a.test>\r\nFrom: <ben@a.test>\r\n",
    "two From, other order": b"From: <ben@a.test>\r\nFrom: <ann@a.test>\r\n",
    "two addresses": b"From: <ann@a.test>, <ben@a.test>\r\n",
    "two addresses, other order": b"From: <ben@a.test>, <ann@a.test>\r\n",
    "blank before the colon": b"From: <ann@a.test>\r\nFrom : <ben@a.test>\r\n",
    "blank before the name": b" From: <ben@a.test>\r\nFrom: <ann@a.test>\r\n",
    "folded name": b"From\r\n : <ben@a.test>\r\nFrom: <ann@a.test>\r\n",
    "NUL": b"From: <ben@a.test\x00ann@a.test>\r\n",
    "no-break space": b"From\xa0: <ben@a.test>\r\nFrom: <ann@a.test>\r\n",
    "route": b"From: <@a.test:ben@a.test>\r\n",
    "text before": b"From: ben@a.test <ann@a.test>\r\n",
    "text after": b"From: <ann@a.test> ben@a.test\r\n",
    "two brackets": b"From: <ben@a.test><ann@a.test>\r\n",
    "encoded": b"From: " + b64(b"<ben@a.test>") + b", <ann@a.test>\r\n",
    "group": b"From: Us: ben@a.test;, ann@a.test\r\n",
    "quoted pair": b"From: <ben@a.test>\\,<ann@a.test>\r\n",
    "Sender": b"From: <ann@a.test>\r\nSender: <ben@a.test>\r\n",
    "Sender outside": b"From: <ann@a.test>\r\nSender: <admin@legit.test>\r\n",
    "Resent-From": b"From: <ann@a.test>\r\nResent-From: <ben@a.test>\r\n",
    "line that is no field": b"From: <ann@a.test>\r\nnothing\r\nFrom: <ben@a.test>\r\n",
    "nothing": b"Subject: x\r\n",
}


def test_our_own_people_cannot_be_somebody_else(target: Company) -> None:
    taken = []
    with smtplib.SMTP(target.address, target.ports["submission"], timeout=30) as client:
        client.starttls(context=target.tls())
        client.login("ann@a.test", PASSWORD)
        assert client.docmd("MAIL", "FROM:<ben@a.test>")[0] >= 500
        assert client.docmd("MAIL", "FROM:<admin@legit.test>")[0] >= 500
        for name, head in FORGED_BY_OUR_OWN.items():
            client.mail("ann@a.test")
            client.rcpt("ben@a.test")
            assert client.docmd("DATA")[0] == 354
            client.send(head + b"To: <ben@a.test>\r\n\r\nPay.\r\n.\r\n")
            if client.getreply()[0] == 250:
                taken.append(name)
    assert not taken, "\n".join(taken)
