"""keep, fileinto, discard, redirect, stop.

Standards: RFC 5228 3.3, 4; RFC 3894 (:copy); RFC 5232 5 (:flags); RFC 5490 3.2 (:create); RFC 8579 4 (:specialuse);
RFC 9042 4 (:mailboxid).
On failure: ScriptError for a mailbox or an address that cannot be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postroom.sieve.actions import Discard, FileInto, Keep, Redirect, Target
from postroom.sieve.faults import ScriptError
from postroom.sieve.language.flags import flags_of
from postroom.sieve.texts import Text, get, get_all
from postroom.sieve.words import Call, Kind, Step, TagWord, Word
from postroom.values.address import Address, BadAddress

if TYPE_CHECKING:
    from postroom.sieve.run import Run

COPY: Final = TagWord(name="copy", needs="copy")
FLAGS: Final = TagWord(name="flags", needs="imap4flags", value=Kind.STRINGS)
#: RFC 9042 4.1: an id and a special use exclude each other
TARGET: Final = (
    TagWord(name="create", needs="mailbox"),
    TagWord(name="specialuse", needs="special-use", value=Kind.STRING, group="mailbox"),
    TagWord(name="mailboxid", needs="mailboxid", value=Kind.STRING, group="mailbox"),
)
#: octets of a mailbox's name
LONGEST_MAILBOX: Final = 1024


#: RFC 5228 2.4.2.3  phrase "<" addr-spec ">"
_NAMED: Final = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|[^"<>@,;:()\\])+\s*<([^<>]+)>""")


class Stopped(Exception):
    """RFC 5228 3.3: nothing more of the script is run."""


def check_mailbox(name: str) -> str:
    """The name of a mailbox. Raises ScriptError when it cannot be one."""
    if not name or len(name.encode("utf-8", "replace")) > LONGEST_MAILBOX or any(ord(c) < 32 for c in name):
        raise ScriptError(f"{name[:60]!r} cannot be the name of a mailbox")
    return name


def target_of(call: Call, name: Text) -> tuple[Text, bool, Text, Text]:
    """Name, create, special use and id of the mailbox a call files into."""
    special = call.tag_text("specialuse")
    if isinstance(special, str) and not special.startswith("\\"):
        call.fault(f'"{special[:40]}" is no special use', 'such as "\\\\Junk"', call.place_of("specialuse"))
    return name, call.has("create"), special or "", call.tag_text("mailboxid") or ""


def resolve(target: tuple[Text, bool, Text, Text], run: Run) -> Target:
    """The mailbox with the values of now. Raises ScriptError."""
    name, create, special, mailbox_id = target
    return Target(name=check_mailbox(get(name, run)), create=create, special=get(special, run), id=get(mailbox_id, run))


def _keep(call: Call) -> Step:
    flags = call.tag_texts("flags")

    def keep(run: Run) -> None:
        run.kept = False
        run.act(Keep(flags=run.flags if flags is None else flags_of(get_all(flags, run)), form=run.form()))

    return keep


def _fileinto(call: Call) -> Step:
    flags, copy = call.tag_texts("flags"), call.has("copy")
    name = call.text(0)
    if isinstance(name, str):
        try:
            check_mailbox(name)
        except ScriptError as fault:
            call.fault(fault.text, at=call.place(0))
    target = target_of(call, name)

    def fileinto(run: Run) -> None:
        if not copy:
            run.kept = False
        now = run.flags if flags is None else flags_of(get_all(flags, run))
        run.act(FileInto(target=resolve(target, run), flags=now, form=run.form()))

    return fileinto


def _discard(call: Call) -> Step:
    def discard(run: Run) -> None:
        run.kept = False
        run.act(Discard())

    return discard


def check_address(text: str) -> str:
    """An address that mail can be sent to, a name before it (RFC 5228 2.4.2.3) left out. Raises ScriptError."""
    named = _NAMED.fullmatch(text.strip())
    try:
        return str(Address.parse(named[1] if named else text.strip()))
    except BadAddress:
        raise ScriptError(f"{text[:80]!r} is no address") from None


def _redirect(call: Call) -> Step:
    copy, address = call.has("copy"), call.text(0)
    if isinstance(address, str):
        try:
            address = check_address(address)
        except ScriptError as fault:
            call.fault(fault.text, "such as ann@example.org", call.place(0))

    def redirect(run: Run) -> None:
        if not copy:
            run.kept = False
        to = address if isinstance(address, str) else check_address(get(address, run))
        run.act(Redirect(address=to, form=run.form()))

    return redirect


def _stop(call: Call) -> Step:
    def stop(run: Run) -> None:
        raise Stopped

    return stop


COMMANDS: Final = (
    Word(name="keep", build=_keep, usage='keep [:flags "…"];', tags=(FLAGS,)),
    Word(
        name="fileinto",
        build=_fileinto,
        usage='fileinto "mailbox";',
        takes=(Kind.STRING,),
        needs=("fileinto",),
        tags=(COPY, FLAGS, *TARGET),
    ),
    Word(name="discard", build=_discard, usage="discard;"),
    Word(name="redirect", build=_redirect, usage='redirect "address";', takes=(Kind.STRING,), tags=(COPY,)),
    Word(name="stop", build=_stop, usage="stop;"),
)
