"""What can be configured about the spam filter, what it keeps apart, and the programs that are asked as well."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class Filter(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The spam filter for mail from outside; needs authentication.verify."""

    enabled: Annotated[bool, Meta(description="Judge mail from outside.")] = True
    junk: Annotated[float, Meta(ge=0, description="Score from which on mail is filed as junk; 0 is never.")] = 5.0
    quarantine: Annotated[
        float, Meta(ge=0, description="Score from which on mail is kept apart, see [quarantine]; 0 is never.")
    ] = 0.0
    refuse: Annotated[float, Meta(ge=0, description="Score from which on mail is refused; 0 is never.")] = 15.0
    flag_sent: Annotated[
        float,
        Meta(ge=0, description="Score from which on mail that our own people send to others is an alarm; 0 is never."),
    ] = 7.0
    hold_sent: Annotated[
        float, Meta(ge=0, description="Score from which on such mail is kept in quarantine; 0 is never.")
    ] = 0.0
    refuse_sent: Annotated[float, Meta(ge=0, description="Score from which on it is refused; 0 is never.")] = 0.0
    rules: Annotated[
        str,
        Meta(description="A file of rules of your own, over the built-in ones (postroom filter rules prints them)."),
    ] = ""
    greylist_seconds: Annotated[
        float, Meta(ge=0, description="Seconds that the first mail of an unknown network has to wait; 0 is off.")
    ] = 0.0


class Flood(StrEnum):
    """What becomes of reports about mail that was not sent from here, when there are many."""

    JUNK = "junk"
    DEFER = "defer"
    REFUSE = "refuse"


class Bounces(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Reports (with the empty sender) that come from outside and are about no message that was sent from here."""

    score: Annotated[
        float,
        Meta(ge=0, le=20, description="Points of such a report in the filter, half as many if it names no message."),
    ] = 3.0
    hourly: Annotated[int, Meta(ge=0, description="Such reports that one address may get in an hour; 0 is any.")] = 20
    flood: Annotated[
        Flood,
        Meta(description="What becomes of more: junk (needs authentication.verify), defer or refuse."),
    ] = Flood.JUNK
    grace_days: Annotated[
        float,
        Meta(
            ge=0,
            description="Days after a domain's senders began to be tagged (postroom domain set --batv) from when on it "
            "refuses such reports, if it wants that.",
        ),
    ] = 14


class OnFailure(StrEnum):
    """What becomes of mail that a scanner could not look at."""

    ACCEPT = "accept"  # without its opinion
    DEFER = "defer"  # its sender's server tries again


class RspamdMode(StrEnum):
    """What rspamd's answer is good for."""

    ADD = "add"  # its score is one more reason
    DECIDE = "decide"  # its action is the verdict; people's own lists stand over it


class VirusAct(StrEnum):
    """What becomes of mail in which the virus scanner has found something."""

    ACCEPT = "accept"
    JUNK = "junk"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"


class Rspamd(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rspamd, asked about each message from outside; needs authentication.verify."""

    url: Annotated[str, Meta(description="Where its normal worker listens, as http://127.0.0.1:11333; empty: off.")] = (
        ""
    )
    mode: Annotated[
        RspamdMode,
        Meta(
            description="add: its score is one more reason; decide: its action is the verdict, and nothing else but "
            "people's own lists counts."
        ),
    ] = RspamdMode.ADD
    weight: Annotated[
        float, Meta(ge=0, le=10, description="What one of its points is worth here; its junk begins at 6, ours at 5.")
    ] = 0.8
    size: Annotated[int, Meta(ge=1024, description="Octets of the largest message it is asked about.")] = 20_000_000
    seconds: Annotated[float, Meta(gt=0, le=120, description="How long a message may wait for its answer.")] = 10.0
    on_failure: Annotated[
        OnFailure,
        Meta(description="Mail it could not look at: accept it without its opinion, or defer it."),
    ] = OnFailure.ACCEPT
    controller: Annotated[
        str,
        Meta(
            description="Where its controller listens, as http://127.0.0.1:11334: what people move to and from Junk is "
            "learned there too; empty: it is not."
        ),
    ] = ""
    password_file: Annotated[str, Meta(description="File with the password of the controller, if it wants one.")] = ""


class Clamav(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """ClamAV's daemon, asked about each message from outside; needs authentication.verify."""

    socket: Annotated[
        str,
        Meta(description="Where clamd listens: a path, or an address as 127.0.0.1:3310 or [::1]:3310; empty: off."),
    ] = ""
    virus: Annotated[VirusAct, Meta(description="A virus: refuse, quarantine, junk or accept.")] = VirusAct.REFUSE
    suspicious: Annotated[
        VirusAct, Meta(description="What looks like one (Heuristics.*, PUA.*): refuse, quarantine, junk or accept.")
    ] = VirusAct.JUNK
    encrypted: Annotated[
        VirusAct,
        Meta(description="An archive or document locked with a password, where clamd tells of it: likewise."),
    ] = VirusAct.ACCEPT
    oversized: Annotated[
        VirusAct, Meta(description="What is too large or nested too deeply to be looked at as a whole: likewise.")
    ] = VirusAct.ACCEPT
    size: Annotated[
        int,
        Meta(
            ge=1024,
            description="Octets of a message it is given, the rest is not looked at; at most its StreamMaxLength.",
        ),
    ] = 25_000_000
    seconds: Annotated[float, Meta(gt=0, le=300, description="How long a message may wait for its answer.")] = 60.0
    on_failure: Annotated[
        OnFailure, Meta(description="Mail it could not look at: accept it unchecked, or defer it.")
    ] = OnFailure.ACCEPT


class Quarantine(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Mail that the spam filter keeps apart (filter.quarantine, filter.hold_sent). It counts to nobody's quota."""

    days: Annotated[float, Meta(gt=0, description="Days it is kept, then it is gone.")] = 30
    account_messages: Annotated[
        int, Meta(ge=0, description="Messages of one account that are kept apart; more go to Junk. 0 is any.")
    ] = 10_000
    account_size: Annotated[int, Meta(ge=0, description="Octets of one account; more go to Junk. 0 is any.")] = 1 << 30
    digest: Annotated[
        str,
        Meta(
            pattern="^(off|([01][0-9]|2[0-3]):[0-5][0-9])$",
            description="Time of day (HH:MM, this machine's zone) at which people are told what is new there, or off.",
        ),
    ] = "07:00"
    url: Annotated[
        str,
        Meta(
            pattern='^(https?://[^\\s<>"]{1,200})?$',
            description="Where links in the digest lead, such as https://mail.example.org; empty: it has none.",
        ),
    ] = ""
    link_days: Annotated[
        float, Meta(gt=0, description="Days for which links and addresses in the digest are good.")
    ] = 14
    by_mail: Annotated[
        bool,
        Meta(description="People release their messages by a mail to an address in the digest, or by answering it."),
    ] = True
