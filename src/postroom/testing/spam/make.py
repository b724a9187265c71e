"""Mail made by seeded chance, wanted and unwanted, in two parts that share neither templates nor names.

The same seed gives the same mail for ever. A `Sample` carries what intake would have found out about it.
Pure. On failure: never.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from postroom.testing.spam import dress, facts
from postroom.testing.spam.templates import HELD, TRAIN, Template, chosen, filled, sentences, templates

#: when it all happens, Unix seconds
NOW: Final = 1_795_000_000.0
READER: Final = "mara.keller@hosted.example"
BOSS: Final = "Ruth Castellan"
_NAMES: Final = {
    TRAIN: (
        "Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Karin Leo Mia Nils Olga Paul Rosa Stefan Tina Viktor",
        "Albers Brandt Carter Dubois Evans Fischer Garcia Hansen Ivanov Jones Lindqvist Meyer Novak Olsen Peters",
        "Hamburg Lyon Leeds Oslo Porto Turin Graz Basel Malmo Bristol Gdansk Tartu",
        "lamp bicycle kitchen camera garden printer database compiler insurance router sofa calendar",
        "alpha harbor kernel falcon meadow quartz ripple summit timber willow",
        "bril dor mon ken lax pra sol tur vin wes",
        "January February March April",
        "Monday Wednesday Friday",
    ),
    HELD: (
        "Aisha Bruno Celine Dmitri Elif Franco Hanna Igor Jana Kofi Lucia Milan Noor Oskar Petra Quentin Sven Tomas",
        "Adeyemi Bauer Castro Doyle Eriksen Ferrari Gruber Horvat Iversen Jansen Kaya Lopez Moreau Nagy Orlov Pereira",
        "Seville Ghent Cork Bergen Krakow Trieste Linz Aarhus Nantes Split Vilnius Utrecht",
        "violin tent heating keyboard orchard scanner scheduler parser mortgage switch armchair agenda",
        "bravo canyon daemon egret fjord garnet lantern mosaic pebble saffron",
        "cal fen gor hul jet nar pol rav syl zed",
        "June July September October",
        "Tuesday Thursday Saturday",
    ),
}
_ENDINGS: Final = ("com", "net", "org", "de", "co.uk", "fr", "io")
_CHEAP: Final = ("top", "xyz", "click", "icu", "buzz", "cyou", "rest", "quest")
_FREE: Final = ("gmail.com", "outlook.com", "yahoo.com", "gmx.net", "proton.me")
_TRACKERS: Final = {TRAIN: ("click.mailriver.net", "t.sendhive.com"), HELD: ("links.postbeam.io", "go.lettergate.com")}
_FAKES: Final = ("paypa1.com", "micros0ft.com", "arnazon.com", "app1e.com", "netf1ix.com", "dhi.com", "paypal.com.{}")
_PEOPLE: Final = frozenset(("personal", "work", "short", "photo", "invite", "attached"))
_TYPES: Final = {"pdf": "application/pdf", "zip": "application/zip"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A message and what is known of it. kind: of its template; author: the address in From."""

    octets: bytes
    spam: bool
    kind: str
    author: str
    facts: facts.Facts


def samples(part: str, spam: bool, count: int, seed: int) -> Iterator[Sample]:
    """So many messages; each is of another template than the one before."""
    rows = [one for one in templates(spam) if one.part == part]
    for number in range(count):
        chance = random.Random(f"{seed} {part} {spam} {number}")  # noqa: S311 - no secret
        yield _sample(rows[number % len(rows)], chance, spam)


def _sample(template: Template, chance: random.Random, spam: bool) -> Sample:
    slots, fresh = _slots(template, chance, spam)

    def done(text: str) -> str:
        return filled(chosen(text, chance), slots, fresh).strip("\n")

    tricks = template.tricks
    sender, subject, text = done(template.sender), done(template.subject), done(template.text)
    author = sender.rpartition("<")[2].rstrip(">")
    subject = dress.disguised(subject, tricks, chance)
    text = dress.disguised(text, tricks, chance)
    head = [("From", sender), ("To", READER), ("Subject", subject), ("Date", dress.date(NOW - chance.randint(1, 9000)))]
    head.append(("Message-ID", f"<{chance.getrandbits(80):x}@{author.rpartition('@')[2]}>"))
    for line in template.more:
        name, _, value = done(line).partition(": ")
        head.append((name, value))
    text, markup = _forms(template, text, slots, chance)
    if "buster" in tricks:
        text, markup = _stuffed(template, text, markup, chance)
    octets = dress.message(head, text, markup, _attached(template, done), packed="base64" in tricks)
    return Sample(octets, spam, template.kind, author, _facts(template, chance, spam, author))


def _facts(template: Template, chance: random.Random, spam: bool, author: str) -> facts.Facts:
    free = author.rpartition("@")[2] in _FREE
    if spam:
        return facts.of_unwanted(chance, template.part, template.net, warned="claim" in template.tricks)
    known = template.kind in _PEOPLE and chance.random() < 0.6
    return facts.of_wanted(chance, template.part, free=free, by_list=template.kind == "list", known=known)


def _slots(
    template: Template, chance: random.Random, spam: bool
) -> tuple[dict[str, str], dict[str, Callable[[], str]]]:
    firsts, lasts, cities, things, words, syllables, months, days = (row.split() for row in _NAMES[template.part])
    first = chance.choice(firsts)
    person = f"{first} {chance.choice(lasts)}"
    name = "".join(chance.choices(syllables, k=3))
    company = f"{name}.{chance.choice(_ENDINGS)}"
    bad = _bad_host(template, chance, name)
    home = f"https://www.{company}"
    slots = {
        "first": first,
        "company": company,
        "companyname": name.capitalize(),
        "home": home,
        "bad": bad,
        "badlink": _bad_link(template, chance, bad),
        "me": "Mara",
        "rcpt": READER,
        "rcptlocal": "Mara",
        "rcptdomain": READER.rpartition("@")[2],
        "boss": BOSS,
        "free": chance.choice(_FREE),
        "local": person.lower().replace(" ", chance.choice("._")) + chance.choice(("", "", str(chance.randint(1, 99)))),
        "host": f"{chance.choice(words)}{chance.randint(1, 9)}.{company}",
        "word": chance.choice(words),
    }
    lines = sentences(template.part, template.language)
    fresh: dict[str, Callable[[], str]] = {
        "person": lambda: person,
        "para": lambda: " ".join(chance.sample(lines, min(chance.randint(2, 5), len(lines)))),
        "city": lambda: chance.choice(cities),
        "thing": lambda: chance.choice(things),
        "month": lambda: chance.choice(months),
        "day": lambda: chance.choice(days),
        "hour": lambda: f"{chance.randint(7, 20)}:{chance.choice(('00', '15', '30'))}",
        "n": lambda: str(chance.randint(3, 99_999)),
        "pin": lambda: str(chance.randint(10, 99)),
        "code": lambda: f"{chance.getrandbits(48):X}",
        "amount": lambda: (
            f"{chance.choice(('$', '€', '£'))}{chance.randint(9, 4999)}{chance.choice(('', '.00', '.95'))}"
        ),
    }
    return slots, fresh


def _bad_host(template: Template, chance: random.Random, name: str) -> str:
    ending = chance.choice(_CHEAP) if "cheap" in template.tricks and chance.random() < 0.6 else chance.choice(_ENDINGS)
    return f"{name}{chance.choice(('', '-online', '-deals', 'mail'))}.{ending}"


def _bad_link(template: Template, chance: random.Random, bad: str) -> str:
    tricks = template.tricks
    if "address" in tricks and chance.random() < 0.5:
        return f"http://198.51.100.{chance.randint(1, 254)}/{chance.getrandbits(32):x}"
    if "lookalike" in tricks and chance.random() < 0.5:
        return f"https://{chance.choice(_FAKES).format(bad)}/signin?id={chance.getrandbits(40):x}"
    path = "account/verify" if template.kind in ("phishing", "quota") else f"{chance.getrandbits(40):x}"
    return f"https://{chance.choice(('', 'www.', 'secure-login.'))}{bad}/{path}"


def _forms(template: Template, text: str, slots: dict[str, str], chance: random.Random) -> tuple[str, str]:
    """Text and HTML of the message."""
    if template.form == "text":
        return text, ""
    if "picture" in template.tricks:
        picture = f'<a href="{slots["badlink"]}"><img src="https://{slots["bad"]}/{chance.getrandbits(32):x}.png"></a>'
        return "", f"<html><body>{picture}</body></html>"
    if template.image:
        words = text.replace("\n", "<br>")
        return "", f'<html><body dir="auto"><img src="cid:{chance.getrandbits(40):x}"><br>{words}</body></html>'
    bulk = bool(template.more) or template.net == "snow"
    tracker = chance.choice(_TRACKERS[template.part]) if bulk and chance.random() < 0.5 else ""
    show = "https://www.paypal.com/signin" if "mismatch" in template.tricks and chance.random() < 0.5 else ""
    markup = dress.page(text, chance, tracker=tracker, rich=bulk or chance.random() < 0.4, show=show)
    return (text if template.form == "both" else ""), markup


def _stuffed(template: Template, text: str, markup: str, chance: random.Random) -> tuple[str, str]:
    """With sentences of wanted mail, hidden in HTML."""
    lines = sentences(template.part, "en")
    stolen = " ".join(chance.sample(lines, min(chance.randint(4, 12), len(lines))))
    if markup:
        hidden = f'<div style="font-size:1px;color:#ffffff">{stolen}</div></body>'
        markup = markup.replace("</body>", hidden)
    return (f"{text}\n\n\n\n{stolen}" if text else ""), markup


def _attached(template: Template, done: Callable[[str], str]) -> list[dress.Part]:
    tricks = template.tricks
    if template.calendar:
        event = (
            "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:{thing}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        return [("text/calendar", "invite.ics", done(event).encode())]
    if template.image:
        return [("image/jpeg", done("IMG_{n}.jpg"), b"\xff\xd8\xff\xe0" + bytes(3000))]
    if template.attachment:
        name = done(template.attachment)
        kind = name.rpartition(".")[2]
        octets = b"%PDF-1.7\n" + bytes(2000) if kind == "pdf" else dress.archive("word/document.xml")
        return [(_TYPES.get(kind, "application/octet-stream"), name, octets)]
    if "zip" in tricks:
        return [
            ("application/zip", done("Invoice_{n}.zip"), dress.archive(done("[Invoice_{n}.js|scan.exe|document.pdf]")))
        ]
    if "page" in tricks:
        page = b"<html><body><form action='https://x.test/'><input type=password></form></body></html>"
        return [("text/html", done("[VM_{n}.html|scan_{n}.htm]"), page)]
    if "program" in tricks:
        name, octets = done("[order.pdf.exe|RFQ_{n}.zip|documents.docm|{n}.iso]"), b"MZ" + bytes(900)
        return [("application/octet-stream", name, dress.archive("order.scr") if name.endswith("zip") else octets)]
    return []
