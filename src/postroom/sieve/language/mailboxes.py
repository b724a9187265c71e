"""mailboxexists, mailboxidexists, specialuse_exists, metadata and its kin.

Standards: RFC 5490 3, 4; RFC 9042; RFC 8579.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postroom.sieve.matching import counting, matcher
from postroom.sieve.texts import get, get_all
from postroom.sieve.words import MATCH, Call, Kind, Question, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run


def _mailboxexists(call: Call) -> Question:
    names = call.texts(0)
    return lambda run: all(run.world.mailbox_exists(name) for name in get_all(names, run))


def _mailboxidexists(call: Call) -> Question:
    ids = call.texts(0)
    return lambda run: all(run.world.mailbox_with_id(each) is not None for each in get_all(ids, run))


def _specialuse_exists(call: Call) -> Question:
    """RFC 8579: there is a mailbox for each use; or the mailbox that is named has all of them."""
    mailbox, uses = call.text(0), call.texts(1)
    named = call.given(0)

    def specialuse_exists(run: Run) -> bool:
        wanted = get_all(uses, run)
        if not named:
            return all(run.world.special_use(use) is not None for use in wanted)
        there = {use.lower() for use in run.world.special_uses(get(mailbox, run))}
        return all(use.lower() in there for use in wanted)

    return specialuse_exists


def _metadata(call: Call) -> Question:
    mailbox, entry = call.text(0), call.text(1)
    match, counted = matcher(call, 2), counting(call)

    def metadata(run: Run) -> bool:
        value = run.world.metadata(get(mailbox, run), get(entry, run).lower())
        return (value is not None and match(run, (value,))) or (counted and value is None and match(run, ()))

    return metadata


def _metadataexists(call: Call) -> Question:
    mailbox, entries = call.text(0), call.texts(1)

    def metadataexists(run: Run) -> bool:
        name = get(mailbox, run)
        return all(run.world.metadata(name, entry.lower()) is not None for entry in get_all(entries, run))

    return metadataexists


def _servermetadata(call: Call) -> Question:
    entry = call.text(0)
    match, counted = matcher(call, 1), counting(call)

    def servermetadata(run: Run) -> bool:
        value = run.world.metadata(None, get(entry, run).lower())
        return (value is not None and match(run, (value,))) or (counted and value is None and match(run, ()))

    return servermetadata


def _servermetadataexists(call: Call) -> Question:
    entries = call.texts(0)
    return lambda run: all(run.world.metadata(None, entry.lower()) is not None for entry in get_all(entries, run))


TESTS: Final = (
    Word(
        name="mailboxexists",
        build=_mailboxexists,
        usage='mailboxexists "Lists"',
        takes=(Kind.STRINGS,),
        needs=("mailbox",),
    ),
    Word(
        name="mailboxidexists",
        build=_mailboxidexists,
        usage='mailboxidexists "F1234"',
        takes=(Kind.STRINGS,),
        needs=("mailboxid",),
    ),
    Word(
        name="specialuse_exists",
        build=_specialuse_exists,
        usage='specialuse_exists ["mailbox"] "\\\\Junk"',
        takes=(Kind.STRING, Kind.STRINGS),
        optional=1,
        needs=("special-use",),
    ),
    Word(
        name="metadata",
        build=_metadata,
        usage='metadata "INBOX" "/private/comment" "text"',
        takes=(Kind.STRING, Kind.STRING, Kind.STRINGS),
        needs=("mboxmetadata",),
        tags=MATCH,
    ),
    Word(
        name="metadataexists",
        build=_metadataexists,
        usage='metadataexists "INBOX" "/private/comment"',
        takes=(Kind.STRING, Kind.STRINGS),
        needs=("mboxmetadata",),
    ),
    Word(
        name="servermetadata",
        build=_servermetadata,
        usage='servermetadata "/shared/comment" "text"',
        takes=(Kind.STRING, Kind.STRINGS),
        needs=("servermetadata",),
        tags=MATCH,
    ),
    Word(
        name="servermetadataexists",
        build=_servermetadataexists,
        usage='servermetadataexists "/shared/comment"',
        takes=(Kind.STRINGS,),
        needs=("servermetadata",),
    ),
)
