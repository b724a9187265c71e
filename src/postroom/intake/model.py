"""What intake is told about a peer and its mail, and what it answers.

Owns: nothing; values only, but for `Envelope`, which belongs to one mail transaction and grows with each RCPT.
Trusts: addresses are parsed (`values.address`), parameters were checked for syntax by `wire.smtp`.
Standards: RFC 5321 4.1.1.2 and 4.1.1.3, RFC 1870, RFC 3461, RFC 6152, RFC 6531.
On failure: nothing here raises.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from postroom.filter.scoring import Act, Reason
from postroom.policy.outgoing import Draft
from postroom.policy.strangers import Standing
from postroom.store.api import AccountRow, NewRecipient, Once
from postroom.values.address import Address
from postroom.values.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who talks to us. Build it again after STARTTLS, AUTH and EHLO: it never changes.

    service: "smtp", "submission" or "lmtp" (config.Protocol fits); ip, port: its end of the connection, without
    brackets; helo: the name it gave, as it came; extended: it said EHLO (or LHLO), not HELO;
    tls: version and cipher for people ("TLSv1.3 TLS_AES_256_GCM_SHA384"), None in the clear;
    account: who logged in, None for strangers; over: what it speaks when that is not the service's own ("http").
    """

    service: str
    ip: str
    port: int
    helo: str = ""
    extended: bool = True
    tls: str | None = None
    account: AccountRow | None = None
    over: str = ""

    @property
    def submitting(self) -> bool:
        """True on the submission service: the mail is our own user's."""
        return self.service == "submission"


class MailOptions(Struct, frozen=True, kw_only=True):
    """MAIL FROM. sender None is the null sender <>; size: octets announced (RFC 1870), 0 when none;
    body: 7BIT, 8BITMIME or BINARYMIME; ret: FULL, HDRS or ""; envid: as RFC 3461 4.4 decodes it.
    requiretls: RFC 8689; hold_for: seconds, hold_until: Unix seconds until it is sent, 0 is at once (RFC 4865).
    """

    sender: Address | None
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    requiretls: bool = False
    hold_for: int = 0
    hold_until: float = 0.0


class RcptOptions(Struct, frozen=True, kw_only=True):
    """RCPT TO. address None is `<postmaster>` without a domain (RFC 5321 4.5.1).

    orcpt: RFC 3461 4.2, as given ("rfc822;a@b"); notify: RFC 3461 4.1 in upper case with commas, "" when absent.
    """

    address: Address | None
    orcpt: str = ""
    notify: str = ""


class Given(Struct, frozen=True):
    """One RCPT that was answered 250. targets: where that mail goes, after aliases; empty for a repeated RCPT."""

    address: str
    targets: tuple[NewRecipient, ...]
    twin: int = -1  # index of the RCPT this one repeats, -1 for the first


@dataclass(frozen=True, slots=True)
class Returned:
    """What follows for a report that comes back: reasons for its score, and what becomes of it at least."""

    findings: tuple[Reason, ...] = ()
    at_least: Act = Act.ACCEPT


class Envelope(Struct):
    """A mail transaction in progress (RFC 5321 3.3): made by `Intake.sender`, filled by `Intake.recipient`.

    draft: of mail whose sending is limited.
    id: in every event of the transaction, and of the queue entry that comes of it.
    once: what keeps the request it came with from being done twice.
    standing: what was found out about the peer, from the first RCPT on; None when strangers are not examined.
    copies: log-ins of accounts that keep what others send as them.
    named: how people know the message, from its header (header.named), also when it is refused for what is in it.
    tagged: recipients (Address.key) it was sent to by a tag that only we can have made (intake.returns).
    returned: what was found out about a report; None for other mail.
    """

    mail: MailOptions
    given: list[Given] = []
    index: dict[str, int] = {}  # Address.key -> place in `given`
    draft: Draft | None = None
    id: str = ""
    standing: Standing | None = None
    once: Once | None = None
    named: dict[str, str] = {}
    copies: tuple[str, ...] = ()
    tagged: tuple[str, ...] = ()
    returned: Returned | None = None

    @property
    def sender(self) -> Address | None:
        """The reverse-path; None is the null sender."""
        return self.mail.sender


class RcptResult(Struct, frozen=True):
    """What became of one RCPT after the content arrived; LMTP prints one each (RFC 2033 4.2)."""

    address: str
    refusal: Refusal | None = None


class Accepted(Struct, frozen=True):
    """The mail is ours. id: of the queue entry, for the reply; results: one for each RCPT answered 250, in order."""

    id: str
    results: tuple[RcptResult, ...]
