"""What a listener's sessions have in common."""

from __future__ import annotations

from msgspec import Struct

from postroom.wire.smtp.state import Profile


class ServerOptions(Struct, frozen=True, kw_only=True):
    """One per listener; every size in octets.

    hostname: our name in the greeting. recipients, transactions: announced as LIMITS (RFC 9422). line: a command
    with its CR LF; text_line: a line of the message without it. commands: commands that lead nowhere, in a row.
    errors: refused commands before 421; a refused recipient counts a fifth. future: seconds a submitted message
    may be kept before it is sent (RFC 4865).
    """

    hostname: str
    profile: Profile = Profile.MX
    size: int = 50 * 1024 * 1024
    recipients: int = 1000
    transactions: int = 10_000
    line: int = 2048
    text_line: int = 8192
    commands: int = 200
    errors: int = 20
    future: int = 60 * 86400

    @property
    def protocol(self) -> str:
        """The word in the greeting (RFC 5321 4.2, RFC 2033 4.1)."""
        return "LMTP" if self.profile is Profile.LMTP else "ESMTP"

    def keywords(
        self, *, starttls: bool, mechanisms: tuple[str, ...], secure: bool = False, latest: str = ""
    ) -> list[str]:
        """The lines of the EHLO answer after the first (RFC 5321 4.1.1.1), one for each extension offered.

        latest: the last moment a message can be given as its date, "" where it can have none.
        """
        offered = ["PIPELINING", f"SIZE {self.size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"]
        offered.append(f"LIMITS RCPTMAX={self.recipients} MAILMAX={self.transactions}")
        if starttls:
            offered.append("STARTTLS")
        if mechanisms:
            offered.append("AUTH " + " ".join(mechanisms))
        if secure:
            offered.append("REQUIRETLS")
        if latest:
            offered.append(f"FUTURERELEASE {self.future} {latest}")
        if self.profile is not Profile.LMTP:
            offered.append("HELP")
        return offered
