"""`postroom contact`: the address book of an account, whose proven senders the spam filter lets pass more easily."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, line, moment, say, table
from postroom.cli.people import shared_mail
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.message.vcard import People
    from postroom.store.api import Contact

_LARGEST: Final = 64 * 1024 * 1024  # octets of a file
_SHOWN: Final = 20  # lines that cannot be read
_PROGRESS: Final = 5000  # addresses


@click.group(short_help="Address books: import, list, add, rm, export.")
def command() -> None:
    """Address books. Mail whose author is proven and in the reader's address book is hardly ever taken for spam.

    \b
        postroom contact import ann@example.org contacts.vcf
        postroom contact add ann@example.org ben@example.net --name "Ben Baker"
    """


@dataclass(slots=True)
class _Taken:
    """What an import comes to. twice: more than once in the file."""

    new: list[Contact] = field(default_factory=list)
    named: list[Contact] = field(default_factory=list)
    known: int = 0
    twice: int = 0
    without: int = 0
    unreadable: list[tuple[int, str]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """For --json."""
        return {
            "new": len(self.new),
            "known": self.known,
            "named": len(self.named),
            "twice": self.twice,
            "without_address": self.without,
            "unreadable": [{"line": number, "why": why} for number, why in self.unreadable],
        }


@command.command("import", short_help="Take in a file of contacts: vCard or CSV.")
@click.argument("account", metavar="ACCOUNT")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--form", type=click.Choice(["vcard", "csv"]), help="What it is. [as its content says]")
@click.option("--dry-run", is_flag=True, help="Say what it would come to, and change nothing.")
@json_option
@config_option
def import_(account: str, file: str, form: str | None, dry_run: bool, as_json: bool, config_file: str | None) -> None:
    """Take in a file of contacts: vCard (.vcf), or CSV as Thunderbird, Outlook and Google export it.

    Addresses that are known keep their place, and get the name of the file. "-" reads standard input.
    """
    people = _read(_octets(file), form, as_json)

    async def work(site: Site) -> _Taken:
        async with shared_mail(site, account, changes=False) as (directory, row, mail):
            before = {one.address: one for one in await mail.contacts.all()}
            taken = _sorted(people, before, as_json)
            if not dry_run and (taken.new or taken.named):
                from postroom.mailbox.contacts import keep

                await _kept(keep(directory, row.id, mail, [*taken.new, *taken.named]), account)
            return taken

    taken = run(work(find_site(config_file)))
    if as_json:
        emit_json(account=account, dry_run=dry_run, **taken.plain())
    else:
        _tell(taken, dry_run)
    if people.unreadable and not people.entries:
        raise CommandFailed(Exit.FAILED, f"no contact could be read from {line(file)}", "It takes vCard and CSV.")


def _octets(file: str) -> bytes:
    if file == "-":
        data = getattr(sys.stdin, "buffer", sys.stdin).read(_LARGEST + 1)
        data = data.encode() if isinstance(data, str) else data
    else:
        with Path(file).open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise CommandFailed(Exit.USAGE, f"{line(file)} has more than {_LARGEST >> 20} MiB", "Split it.")
    return bytes(data)


def _read(data: bytes, form: str | None, quiet: bool) -> People:
    from postroom.message.contact_table import read_table
    from postroom.message.vcard import file_text, read_cards

    text = file_text(data)
    cards = form == "vcard" or (form is None and "BEGIN:VCARD" in text.upper())
    found = read_cards(text) if cards else read_table(text)
    if len(found.entries) >= _PROGRESS and not quiet:
        say(f"{counted(len(found.entries), 'address', 'addresses')} read")
    return found


def _sorted(people: People, before: dict[str, Contact], quiet: bool) -> _Taken:
    """What is new, and what is known."""
    from postroom.store.api import LONGEST_NAME, Contact
    from postroom.values.address import Address, BadAddress

    taken = _Taken(without=people.without, unreadable=list(people.unreadable))
    seen: set[str] = set()
    for number, entry in enumerate(people.entries, 1):
        if number % _PROGRESS == 0 and not quiet:
            say(f"{number:,} of {len(people.entries):,} looked at")
        try:
            key = Address.parse(entry.address).key
        except BadAddress:
            taken.unreadable.append((entry.line, f"{entry.address[:80]!r} is no address"))
            continue
        name = "" if entry.name.casefold() == entry.address.casefold() else entry.name
        contact = Contact(key, line(name, LONGEST_NAME), "import")
        old = before.get(key)
        if key in seen:
            taken.twice += 1
        elif old is None:
            taken.new.append(contact)
        else:
            taken.known += 1
            if contact.name and contact.name != old.name:
                taken.named.append(contact)
        seen.add(key)
    taken.unreadable.sort()
    return taken


def _tell(taken: _Taken, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    say(f"{len(taken.new):,} new, {taken.known:,} known ({len(taken.named):,} of them {would}given another name)")
    if taken.twice:
        say(f"{taken.twice:,} stand there more than once")
    if taken.without:
        say(f"{taken.without:,} have no address and are left out")
    for number, why in taken.unreadable[:_SHOWN]:
        say(f"line {number}: {why}")
    if len(taken.unreadable) > _SHOWN:
        say(f"and {len(taken.unreadable) - _SHOWN:,} more lines that cannot be read")
    if dry_run:
        say("nothing was changed (--dry-run)")


async def _kept(keeping: Any, account: str) -> int:
    from postroom.store.api import TooManyContacts

    try:
        return int(await keeping)
    except TooManyContacts as fault:
        raise CommandFailed(Exit.FAILED, str(fault), f"Remove some: postroom contact rm {account}") from None


def _key(address: str) -> str:
    from postroom.values.address import Address, BadAddress

    try:
        return Address.parse(address).key
    except BadAddress:
        raise click.BadParameter(f"{line(address, 80)!r} is no address", param_hint="ADDRESS") from None


@command.command("list")
@click.argument("account", metavar="ACCOUNT")
@click.argument("word", metavar="[WORD]", default="")
@json_option
@config_option
def list_(account: str, word: str, as_json: bool, config_file: str | None) -> None:
    """List an address book, or what has a word in its name or address."""
    found = [one for one in _all(account, config_file) if word.casefold() in f"{one.name} {one.address}".casefold()]
    if as_json:
        rows = [{"address": one.address, "name": one.name, "source": one.source, "added": one.added} for one in found]
        emit_json(contacts=rows)
        return
    table(
        ("ADDRESS", "NAME", "SOURCE", "SINCE"),
        [(one.address, one.name or "-", one.source, moment(one.added)) for one in found],
    )
    if not found:
        say(f"there are none; to take some in: postroom contact import {line(account)} FILE")


def _all(account: str, config_file: str | None) -> list[Contact]:
    async def work(site: Site) -> list[Contact]:
        async with shared_mail(site, account, changes=False) as (_, _row, mail):
            return await mail.contacts.all()

    return run(work(find_site(config_file)))


@command.command()
@click.argument("account", metavar="ACCOUNT")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.option("--name", default="", help="Who that is; for one address.")
@json_option
@config_option
def add(account: str, addresses: tuple[str, ...], name: str, as_json: bool, config_file: str | None) -> None:
    """Put addresses into an address book."""
    from postroom.store.api import LONGEST_NAME, Contact

    if name and len(addresses) > 1:
        raise click.BadParameter("one name is for one address", param_hint="--name")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise click.BadParameter(f"a name is one line of up to {LONGEST_NAME} characters", param_hint="--name")
    keys = list(dict.fromkeys(_key(one) for one in addresses))

    async def work(site: Site) -> int:
        from postroom.mailbox.contacts import keep

        async with shared_mail(site, account, changes=False) as (directory, row, mail):
            given = [Contact(key, name.strip(), "hand") for key in keys]
            before = {one.address: one.name for one in await mail.contacts.all()}
            if all(one.address in before and one.name in ("", before[one.address]) for one in given):
                raise CommandFailed(Exit.NO_CHANGE, f"{keys[0] if len(keys) == 1 else 'all of them'} is there already")
            return await _kept(keep(directory, row.id, mail, given), account)

    new = run(work(find_site(config_file)))
    if as_json:
        emit_json(account=account, addresses=keys, new=new)
    else:
        say(f"{new} new. Undo: postroom contact rm {line(account)} {' '.join(keys)}")


@command.command()
@click.argument("account", metavar="ACCOUNT")
@click.argument("addresses", metavar="[ADDRESS]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="The whole address book.")
@json_option
@config_option
def rm(account: str, addresses: tuple[str, ...], everything: bool, as_json: bool, config_file: str | None) -> None:
    """Take addresses out of an address book."""
    if bool(addresses) == everything:
        raise click.UsageError("Name addresses, or take --all.")
    keys = [_key(one) for one in addresses]

    async def work(site: Site) -> int:
        async with shared_mail(site, account, changes=False) as (_, _row, mail):
            there = [one.address for one in await mail.contacts.all() if everything or one.address in keys]
            if not there and not everything:
                raise CommandFailed(Exit.NOT_FOUND, f"{' '.join(keys)[:200]} is not in it")
            return await mail.contacts.remove(there) if there else 0

    gone = run(work(find_site(config_file)))
    if as_json:
        emit_json(account=account, removed=gone)
    else:
        say(f"{gone:,} removed")


@command.command(short_help="Write an address book to standard output.")
@click.argument("account", metavar="ACCOUNT")
@click.option("--form", type=click.Choice(["vcard", "csv"]), default="vcard", show_default=True, help="What to write.")
@json_option
@config_option
def export(account: str, form: str, as_json: bool, config_file: str | None) -> None:
    """Write an address book to standard output, as other programs take it in.

    \b
        postroom contact export ann@example.org > ann.vcf
    """
    text = _written(_all(account, config_file), form)
    if as_json:
        emit_json(account=account, form=form, text=text)
    else:
        sys.stdout.write(text)


def _written(contacts: list[Contact], form: str) -> str:
    if form == "vcard":
        from postroom.message.vcard import print_card

        return "".join(print_card(one.address, one.name) for one in contacts)
    import csv
    import io

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("Display Name", "Primary Email"))
    writer.writerows((one.name, one.address) for one in contacts)
    return file.getvalue()
