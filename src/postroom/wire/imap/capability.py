"""What we can do, said once: the CAPABILITY line of every state, ENABLE, and the documentation's table.

Purpose: each extension is one row with its RFC; nothing announces what has no row.
What is switched off for broken clients is not announced, and its commands are unknown (`commands_off`); what stands
within other commands (options, items, modifiers) is served to who uses it all the same.
Standards: RFC 9051 6.1.1 and 7.2.2, RFC 7888 (LITERAL+ or LITERAL-, never both), RFC 7889, RFC 9208 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from postroom.values import rights


class Extension(Struct, frozen=True, kw_only=True):
    """One capability. early: also told before login; enable: ENABLE turns it on (RFC 5161)."""

    name: str
    rfc: int
    section: str
    title: str
    early: bool = False
    enable: bool = False


def _row(name: str, rfc: int, section: str, title: str) -> Extension:
    return Extension(name=name, rfc=rfc, section=section, title=title)


#: in the order in which they are printed
EXTENSIONS: Final = (
    Extension(name="IMAP4rev2", rfc=9051, section="6", title="Base protocol", early=True, enable=True),
    Extension(name="IMAP4rev1", rfc=3501, section="6", title="Base protocol of older clients", early=True),
    Extension(name="LITERAL+", rfc=7888, section="3", title="Literals without waiting", early=True),
    Extension(name="SASL-IR", rfc=4959, section="3", title="Initial response in AUTHENTICATE", early=True),
    Extension(name="ENABLE", rfc=5161, section="3", title="Switching extensions on", early=True),
    Extension(name="ID", rfc=2971, section="3", title="Names and versions of client and server", early=True),
    Extension(name="IDLE", rfc=2177, section="3", title="Push of changes", early=True),
    _row("COMPRESS=DEFLATE", 4978, "3", "Compression both ways"),
    _row("UNAUTHENTICATE", 8437, "3", "Another login on the same connection"),
    _row("NOTIFY", 5465, "3", "News of any mailbox at any time"),
    _row("NAMESPACE", 2342, "5", "Where mailboxes are"),
    _row("ACL", 4314, "2", "Rights on mailboxes"),
    _row("RIGHTS=", 4314, "2.2", "Which rights there are"),
    _row("UIDPLUS", 4315, "2", "UIDs of appended and copied messages, UID EXPUNGE"),
    _row("MOVE", 6851, "3", "Moving messages"),
    _row("UNSELECT", 3691, "2", "Closing without expunging"),
    _row("CHILDREN", 3348, "3", "Whether a mailbox has children"),
    _row("SPECIAL-USE", 6154, "2", "Mailboxes for drafts, sent mail, junk, trash"),
    _row("CREATE-SPECIAL-USE", 6154, "3", "Creating such mailboxes"),
    _row("LIST-EXTENDED", 5258, "3", "Options of LIST"),
    _row("LIST-STATUS", 5819, "2", "STATUS within LIST"),
    _row("LIST-MYRIGHTS", 8440, "3", "Rights within LIST"),
    _row("STATUS=SIZE", 8438, "3", "Size of a mailbox"),
    _row("ESEARCH", 4731, "3", "Search results as sets and counts"),
    _row("SEARCH=FUZZY", 6203, "3", "Words that are nearly the wanted ones, and how well results fit"),
    _row("MULTISEARCH", 7377, "2", "Searching several mailboxes at once"),
    _row("SEARCHRES", 5182, "2", "Using the last search result"),
    Extension(name="CONDSTORE", rfc=7162, section="3.1", title="Changes since a point, safe STORE", enable=True),
    Extension(name="QRESYNC", rfc=7162, section="3.2", title="Quick resynchronisation", enable=True),
    _row("MULTIAPPEND", 3502, "6.3.11", "Several messages in one APPEND"),
    _row("CATENATE", 4469, "3", "Messages put together of parts that are here"),
    _row("REPLACE", 8508, "3", "A new message in place of an old one"),
    Extension(name="UIDONLY", rfc=9586, section="3", title="No message numbers", enable=True),
    _row("UIDBATCHES", 10022, "3", "UIDs at which a mailbox can be cut into equal parts"),
    _row("INPROGRESS", 9585, "3", "How far a long command has come"),
    _row("MESSAGELIMIT", 9738, "3", "Most messages that one command works on; only with imap.message_limit"),
    _row("SAVELIMIT", 9738, "3", "Most messages that one COPY or APPEND adds; only with imap.save_limit"),
    _row("APPENDLIMIT", 7889, "2", "Largest message that APPEND takes"),
    Extension(name="UTF8=ACCEPT", rfc=9755, section="3", title="UTF-8 names and headers", enable=True),
    _row("BINARY", 3516, "4", "Parts without transfer encoding"),
    _row("WITHIN", 5032, "2", "Search by age"),
    Extension(name="METADATA", rfc=5464, section="4", title="Annotations of mailboxes and server", enable=True),
    Extension(name="METADATA-SERVER", rfc=5464, section="4", title="Annotations of the server", enable=True),
    _row("IMAPSIEVE=", 6785, "2.1", "Scripts run when mail is stored, copied or marked; with a ManageSieve listener"),
    _row("LIST-METADATA", 9590, "3", "Annotations within LIST"),
    _row("FILTERS", 5466, "3", "Searches that are kept under a name"),
    _row("OBJECTID", 8474, "3", "Identifiers that outlive names and moves"),
    _row("PARTIAL", 9394, "3", "Results and messages by windows"),
    _row("PREVIEW", 8970, "3", "The first words of messages"),
    _row("SORT", 5256, "3", "Messages in an order of choice"),
    _row("SORT=DISPLAY", 5957, "4", "Order by the names that people see"),
    _row("I18NLEVEL=1", 5255, "4", "Searching and sorting in every language"),
    _row("ESORT", 5267, "3", "Sorted results as sets and counts"),
    _row("CONTEXT=SEARCH", 5267, "4", "Searches whose results are kept up to date"),
    _row("CONTEXT=SORT", 5267, "4", "The same in an order of choice"),
    _row("THREAD=ORDEREDSUBJECT", 5256, "3", "Conversations by subject"),
    _row("THREAD=REFERENCES", 5256, "3", "Conversations by what answers what"),
    _row("SAVEDATE", 8514, "4", "When a message came into its mailbox"),
    _row("JMAPACCESS", 9698, "4", "Where the same mail is reached by JMAP; only with imap.jmap_url"),
    _row("QUOTA", 9208, "3", "Limits and usage"),
    _row("QUOTA=RES-STORAGE", 9208, "5.1", "Quota of octets"),
    _row("QUOTA=RES-MESSAGE", 9208, "5.2", "Quota of messages"),
    _row("QUOTA=RES-MAILBOX", 9208, "5.3", "Quota of mailboxes"),
    _row("QUOTA=RES-ANNOTATION-STORAGE", 9208, "5.4", "Quota of annotations"),
    _row("QUOTASET", 9208, "4.1.3", "Setting quotas, by those who administer the account"),
)
#: names that ENABLE knows, in upper case, as they are printed
ENABLED: Final = {row.name.upper(): row.name for row in EXTENSIONS if row.enable}
#: names that may be switched off, in upper case, as they are printed; IMAP4rev1 is what is left when all else is gone
OPTIONAL: Final = {row.name.upper(): row.name for row in EXTENSIONS if row.name != "IMAP4rev1"}
#: RFC 4314 2.2: those that RFC 2086 did not have
_NEW_RIGHTS: Final = "".join(sorted(set(rights.LETTERS).difference("lrswipacd")))
#: what makes no sense without another one
_BUILT_ON: Final = {
    "ACL": ("RIGHTS=", "LIST-MYRIGHTS"),
    "CONDSTORE": ("QRESYNC",),  # RFC 7162 3.2.3
    # RFC 5182 2.1: it is asked for by RETURN
    "ESEARCH": ("SEARCHRES", "MULTISEARCH", "PARTIAL", "CONTEXT=SEARCH", "CONTEXT=SORT"),
    "LIST-EXTENDED": ("LIST-STATUS", "LIST-MYRIGHTS"),  # RFC 5819 2: by RETURN, too
    "METADATA": ("LIST-METADATA", "FILTERS", "IMAPSIEVE="),
    "QUOTA": (
        "QUOTA=RES-STORAGE",
        "QUOTA=RES-MESSAGE",
        "QUOTA=RES-MAILBOX",
        "QUOTA=RES-ANNOTATION-STORAGE",
        "QUOTASET",
    ),
    "SORT": ("SORT=DISPLAY", "ESORT", "CONTEXT=SORT"),
    "SPECIAL-USE": ("CREATE-SPECIAL-USE",),
}


class Offer(Struct, frozen=True, kw_only=True):
    """What this connection may be offered; it changes with TLS.

    starttls: TLS is possible and not yet there; login: passwords may be sent now; mechanisms: SASL names, best first;
    append_limit: octets, 0 when there is none; literal_minus: announce LITERAL- in place of LITERAL+;
    message_limit: messages that one command may touch, save_limit: that COPY and APPEND may add, 0: any number;
    jmap, sieve: URLs of the JMAP session and of the ManageSieve server, "" when there is none;
    without: capabilities that are switched off, as printed.
    """

    starttls: bool = False
    login: bool = True
    mechanisms: tuple[str, ...] = ("PLAIN",)
    append_limit: int = 0
    literal_minus: bool = False
    message_limit: int = 0
    save_limit: int = 0
    jmap: str = ""
    sieve: str = ""
    without: frozenset[str] = frozenset()


#: commands that came with a capability, and go with it
_COMMANDS: Final = {
    "ENABLE": ("ENABLE",),
    "ID": ("ID",),
    "IDLE": ("IDLE",),
    "COMPRESS=DEFLATE": ("COMPRESS",),
    "UNAUTHENTICATE": ("UNAUTHENTICATE",),
    "NOTIFY": ("NOTIFY",),
    "NAMESPACE": ("NAMESPACE",),
    "ACL": ("SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS"),
    "UIDPLUS": ("UID EXPUNGE",),
    "MOVE": ("MOVE", "UID MOVE"),
    "UNSELECT": ("UNSELECT",),
    "MULTISEARCH": ("ESEARCH",),
    "REPLACE": ("REPLACE", "UID REPLACE"),
    "UIDBATCHES": ("UIDBATCHES",),
    "JMAPACCESS": ("GETJMAPACCESS",),
    "SORT": ("SORT", "UID SORT"),
    "QUOTA": ("GETQUOTA", "GETQUOTAROOT"),
    "QUOTASET": ("SETQUOTA",),
}
#: and with the last of several
_SHARED_COMMANDS: Final = {
    ("CONTEXT=SEARCH", "CONTEXT=SORT"): ("CANCELUPDATE",),
    ("METADATA", "METADATA-SERVER"): ("GETMETADATA", "SETMETADATA"),
    ("THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES"): ("THREAD", "UID THREAD"),
}


@lru_cache(maxsize=64)
def commands_off(without: frozenset[str]) -> frozenset[str]:
    """The commands, as in the command table, of capabilities that are switched off (Offer.without)."""
    gone = {command for name in without for command in _COMMANDS.get(name, ())}
    for names, commands in _SHARED_COMMANDS.items():
        if without.issuperset(names):
            gone.update(commands)
    return frozenset(gone)


def switched_off(names: Iterable[str]) -> frozenset[str]:
    """Offer.without for these names in any case, and for what is built on them; unknown ones mean nothing."""
    known = [OPTIONAL[name.upper()] for name in names if name.upper() in OPTIONAL]
    return frozenset(known).union(*[_BUILT_ON.get(name, ()) for name in known])


@lru_cache(maxsize=64)
def capabilities(offer: Offer, authenticated: bool) -> tuple[str, ...]:
    """The names for a CAPABILITY response in this state."""
    told = [_printed(row.name, offer) for row in EXTENSIONS if (authenticated or row.early) and _is_on(row, offer)]
    if authenticated:
        return tuple(told)
    if offer.starttls:
        told.append("STARTTLS")
    if not offer.login:
        told.append("LOGINDISABLED")  # RFC 9051 6.2.3
    told += [f"AUTH={mechanism}" for mechanism in offer.mechanisms]
    return tuple(told)


def _is_on(row: Extension, offer: Offer) -> bool:
    if row.name in offer.without:
        return False
    needs = _CONFIGURED.get(row.name)
    return needs is None or needs(offer)


#: what is announced only where it is configured. RFC 9738 3: one of the limits, not both
_CONFIGURED: Final[dict[str, Callable[[Offer], bool]]] = {
    "APPENDLIMIT": lambda offer: offer.append_limit > 0,
    "IMAPSIEVE=": lambda offer: bool(offer.sieve),
    "JMAPACCESS": lambda offer: bool(offer.jmap),
    "MESSAGELIMIT": lambda offer: offer.message_limit > 0,
    "SAVELIMIT": lambda offer: offer.save_limit > 0 and not offer.message_limit,
}


def _printed(name: str, offer: Offer) -> str:
    if name == "LITERAL+" and offer.literal_minus:
        return "LITERAL-"
    if name == "APPENDLIMIT":
        return f"APPENDLIMIT={offer.append_limit}"
    if name == "MESSAGELIMIT":
        return f"MESSAGELIMIT={offer.message_limit}"
    if name == "SAVELIMIT":
        return f"SAVELIMIT={offer.save_limit}"
    if name == "IMAPSIEVE=":
        return f"IMAPSIEVE={offer.sieve}"
    if name == "RIGHTS=":
        return f"RIGHTS={_NEW_RIGHTS}"
    return name


def describe() -> tuple[tuple[str, str, str], ...]:
    """Rows for the documentation: capability, "RFC n section", what it is for."""
    return tuple((row.name, f"RFC {row.rfc} {row.section}", row.title) for row in EXTENSIONS)
