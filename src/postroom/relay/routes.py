"""Where mail for a domain goes: a route of its own, the smart host, or the domain's servers by MX.

Owns: the order of the three. Trusts: the configuration. Standards: RFC 5321 5.1 (by MX), 3.6.3 (the smart host is
usually a submission server, RFC 6409).
On failure: None when there is no way: such mail waits, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from postroom.config import Config, OutgoingTls
from postroom.values.address import BadAddress, parse_domain

#: RFC 5321 4.5.4.2 and RFC 6409 3.1
SMTP, SUBMISSION, SUBMISSIONS = 25, 587, 465


class Nexthop(Struct, frozen=True, kw_only=True):
    """A way. Mail with the same key may travel in one transaction.

    host: the server to use, "" finds the servers of `domain` by MX; limit: connections at once;
    password: "" sends without AUTH; per_minute: messages, 0 is no limit.
    """

    key: str
    host: str = ""
    domain: str = ""
    port: int = SMTP
    tls: OutgoingTls = OutgoingTls.OPPORTUNISTIC
    verify: bool = True
    login: str = ""
    password: str = ""
    limit: int = 20
    per_minute: int = 0

    @property
    def place(self) -> str:
        """For people: the host, or the domain."""
        return self.host or self.domain


class Routes:
    """The configured ways, by domain."""

    def __init__(self, config: Config, passwords: Mapping[str, str]) -> None:
        """passwords: by the path of the file they are in (relay.password_file, route.password_file)."""
        self._config = config
        self._passwords = passwords
        self._rules = {_plain(rule.domain): rule for rule in config.route}
        self._known: dict[str, Nexthop | None] = {}

    def find(self, domain: str) -> Nexthop | None:
        """The way to a domain (A-labels, or an address literal); None when mail for it has to wait."""
        try:
            return self._known[domain]
        except KeyError:
            if len(self._known) >= 10_000:
                self._known.clear()
            found = self._known[domain] = self._find(domain)
            return found

    def to(self, place: str, domain: str) -> Nexthop:
        """The way an administrator named for some mail: "mx", or a host with or without ":port"."""
        if place == "mx":
            return self._direct(domain)
        host, colon, port = place.rpartition(":")
        if not colon or not port.isdigit() or "]" in port:
            host, port = place, str(SMTP)
        limit = self._config.relay.per_destination
        return Nexthop(key=f"to {place}", host=host.strip("[]"), port=int(port), limit=limit)

    def _find(self, domain: str) -> Nexthop | None:
        rule = self._rules.get(domain)
        parent = domain
        while rule is None and parent:
            _, _, parent = parent.partition(".")
            rule = self._rules.get(f".{parent}")
        relay = self._config.relay
        if rule is not None:
            port = rule.port or (_submission(rule.tls) if rule.user else SMTP)
            password = self._passwords.get(rule.password_file, "")
            limit = rule.connections or relay.per_destination
            if rule.host == "mx":
                return replace(
                    self._direct(domain, port=port, tls=rule.tls, verify=rule.verify, limit=limit),
                    per_minute=rule.per_minute,
                )
            return Nexthop(
                key=f"host {rule.host}:{port} {rule.user}",
                host=rule.host,
                port=port,
                tls=rule.tls,
                verify=rule.verify,
                login=rule.user,
                password=password,
                limit=limit,
                per_minute=rule.per_minute,
            )
        if relay.host:
            return Nexthop(
                key="smart host",
                host=relay.host,
                port=relay.port or _submission(relay.tls),
                tls=relay.tls,
                verify=relay.verify,
                login=relay.user,
                password=self._passwords.get(relay.password_file, ""),
                limit=relay.per_destination,
            )
        return self._direct(domain, port=relay.port or SMTP) if relay.direct else None

    def _direct(
        self,
        domain: str,
        *,
        port: int = SMTP,
        tls: OutgoingTls = OutgoingTls.OPPORTUNISTIC,
        verify: bool = True,
        limit: int = 0,
    ) -> Nexthop:
        limit = limit or self._config.relay.per_destination
        return Nexthop(key=f"mx {domain}:{port}", domain=domain, port=port, tls=tls, verify=verify, limit=limit)


def _submission(tls: OutgoingTls) -> int:
    return SUBMISSIONS if tls is OutgoingTls.IMPLICIT else SUBMISSION


def _plain(domain: str) -> str:
    """A domain of a rule as `find` compares it."""
    dot = "." if domain.startswith(".") else ""
    try:
        return dot + parse_domain(domain.removeprefix("."))
    except BadAddress:
        return domain.lower()
