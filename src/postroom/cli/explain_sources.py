"""What each source of the spam filter's evidence says of a message, in words: nothing is an answer too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from postroom.app.rules_file import read_rules
from postroom.filter.bayes import LEAST
from postroom.filter.judge import Judgement
from postroom.policy.networks import neighbourhood
from postroom.store.api import EVERYBODY

if TYPE_CHECKING:
    from postroom.cli.site import Site
    from postroom.store.api import Store

#: which source of evidence a reason is from, by how its name begins; the first that fits
_OF: Final = (
    ("WORDS", "learned words"),
    ("CORRESPONDENT", "acquaintance"),
    ("ANSWER", "acquaintance"),
    ("CONTACT", "acquaintance"),
    ("REPORT", "reports"),
    ("BACKSCATTER", "reports"),
    ("STANDING_", "standing"),
    ("SPF_", "authentication"),
    ("DKIM_", "authentication"),
    ("DMARC_", "authentication"),
    ("LINK_LISTED", "block lists"),
    ("ADDRESS_LISTED", "block lists"),
    ("FILE_LISTED", "block lists"),
    ("LISTED", "block lists"),
    ("LINK_", "phishing"),
    ("AUTHOR_", "phishing"),
    ("NAME_", "phishing"),
    ("IMITATION", "phishing"),
    ("PHISHING", "phishing"),
    ("FILE_", "attachments"),
    ("ALLOWED", "wishes"),
    ("BLOCKED", "wishes"),
)


def sources(
    site: Site, store: Store, judgement: Judgement, origin: tuple[str, str], words: list[int]
) -> Iterator[tuple[str, str]]:
    """What each source says; `nothing` is an answer too."""
    ip, author = origin
    said: dict[str, list[str]] = {}
    for reason in judgement.told().reasons:
        said.setdefault(_source(reason.name), []).append(f"{reason.name} {reason.points:+.1f}")
    learned = store.training.learned(EVERYBODY, words)
    few = min(learned.spam, learned.ham) < LEAST
    known = sum(any(count) for count in learned.counts)
    kinds = [one.kind for one in site.config.blocklist]
    network = neighbourhood(ip) if ip else ""
    nothing = {
        "authentication": "nothing: no Authentication-Results of this server is in the message",
        "learned words": (
            f"nothing: {learned.spam} unwanted and {learned.ham} wanted messages learned, {LEAST} of each are needed"
            if few
            else f"nothing: its {known} known words speak for neither side"
        ),
        "standing": f"nothing: too little is known of {network or 'the peer'}" + (f" and {author}" if author else ""),
        "acquaintance": (
            f"nothing: it answers nothing the reader sent, who never wrote to {author} nor has it in the address book"
            if author
            else "nothing: it answers nothing the reader sent, and no author is proven"
        ),
        "reports": "nothing: it is no report, which would have an empty Return-Path",
        "block lists": "nothing" if kinds else "none is configured ([[blocklist]])",
        "greylisting": _greylisting(site, store, network),
        "rules": f"none of {len(read_rules(site.config, _unheard).rules)} rules fits",
        "phishing": "nothing",
        "attachments": "nothing",
        "wishes": "nothing",
    }
    for source, words_of_it in nothing.items():
        yield source, ", ".join(said[source]) if source in said else words_of_it


def _source(name: str) -> str:
    return next((source for start, source in _OF if name.startswith(start)), "rules")


def _greylisting(site: Site, store: Store, network: str) -> str:
    if not site.config.filter.greylist_seconds:
        return "off (filter.greylist_seconds)"
    if network and store.limits.waits(network) is not None:
        return f"{network} has shown that it tries again"
    return f"{network or 'an unknown network'} has to wait {site.config.filter.greylist_seconds:g} s"


def _unheard(name: str, /, **fields: object) -> None:
    """A command has no log."""
