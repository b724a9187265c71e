"""What would go wrong with a configuration that could be read: `postroom config check`.

Looks at files, folders, addresses and contradictions; changes nothing and asks no network.
Owns: nothing. A problem that is not fatal does not keep the server from starting, but somebody will miss something.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from postroom.config.endpoints import is_here, parse_dns_server, parse_server, parse_socket, parse_url
from postroom.config.listeners import Listener, Protocol, TlsMode
from postroom.config.model import BlocklistKind, Config, OutgoingTls
from postroom.values.address import Address, BadAddress, parse_domain

#: what entries of lists are, where they are no domains
_ENTRIES: dict[BlocklistKind, Callable[[str], object]] = {
    BlocklistKind.IP: ip_address,
    BlocklistKind.EMAIL: Address.parse,
}
_EVERY = {"::", "0.0.0.0"}  # noqa: S104 - compared with, not bound
_SOON = timedelta(days=14)
#: RFC 9738 3: messages that one command should be good for
_LEAST = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `postroom config check` found. fatal: the server would not start."""

    key: str
    cause: str
    fix: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.key}: {self.cause}. {self.fix}"


def check(config: Config, now: datetime | None = None, capabilities: Collection[str] = ()) -> list[Problem]:
    """All problems, in the order of the file's sections. now: for certificates, by default the present.

    capabilities: what imap.disable may name, in upper case; without any it is not looked at.
    """
    return [
        *_server(config),
        *_listeners(config),
        *_certificate(config, now or datetime.now(UTC)),
        *_clients(config),
        *_networks(config),
        *_relay(config),
        *_blocklists(config),
        *_imap(config, capabilities),
        *_webhooks(config),
        *_scanners(config),
        *_log(config),
    ]


# [server]


def _server(config: Config) -> Iterator[Problem]:
    server = config.server
    if not _parses(parse_domain, server.hostname):
        yield Problem("server.hostname", f"{server.hostname!r} is no host name", "Write it like mail.example.com")
    if server.postmaster and not _parses(Address.parse, server.postmaster):
        yield Problem("server.postmaster", f"{server.postmaster!r} is no mail address", "Write it like ann@example.com")
    for text in server.dns:
        if not _parses(parse_dns_server, text):
            yield Problem(
                "server.dns",
                f"{text!r} is no DNS server",
                "Write an IP address, with a port as 192.0.2.1:53 or [::1]:53",
            )
    yield from _folder(server.data)
    if server.user and not _is_user(server.user):
        yield Problem("server.user", f"there is no system user {server.user!r}", f"Make it: useradd -r {server.user}")


def _folder(data: str) -> Iterator[Problem]:
    path = Path(data)
    if not path.exists():
        yield Problem("server.data", f"there is no folder {path}", "Make it, or run `postroom init`")
    elif not path.is_dir():
        yield Problem("server.data", f"{path} is no folder", "Name a folder of its own")
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Problem("server.data", f"{path} cannot be written to", "Give it to the server's user (chown)")


def _is_user(name: str) -> bool:
    import pwd

    return _parses(pwd.getpwnam, name)


# [[listener]]


def _listeners(config: Config) -> Iterator[Problem]:
    if not config.listener:
        yield Problem("listener", "none is configured, so nobody can connect", "`postroom init` writes the usual ones")
    for number, one in enumerate(config.listener):
        key = f"listener[{number}]"
        if not _parses(ip_address, one.address):
            yield Problem(key, f"{one.address!r} is no IP address", "Write one, or :: for every address")
        for earlier, other in enumerate(config.listener[:number]):
            if _overlap(one, other):
                yield Problem(key, f"port {one.port} is listener[{earlier}]'s already", "Give it a port of its own")
                break
        if one.tls is not TlsMode.NONE and not (config.tls.certificate and config.tls.key):
            yield Problem(
                key, f"{one.protocol} wants TLS, but [tls] names no certificate", "Set tls.certificate and tls.key"
            )
        if one.protocol in {Protocol.HTTP, Protocol.METRICS}:
            yield from _http(key, one)
        if one.tls is TlsMode.NONE and one.protocol in {
            Protocol.SUBMISSION,
            Protocol.IMAP,
            Protocol.POP3,
            Protocol.MANAGESIEVE,
        }:
            yield from _without_tls(key, one, config)


def _http(key: str, one: Listener) -> Iterator[Problem]:
    if one.tls is TlsMode.STARTTLS:
        yield Problem(key, f"{one.protocol} knows no STARTTLS", 'Set tls = "implicit" for HTTPS, or "none"')
    local = _parses(ip_address, one.address) and ip_address(one.address).is_loopback
    if one.protocol is Protocol.METRICS and not local:
        cause = f"whoever reaches {one.address} port {one.port} can read what the server counts"
        yield Problem(key, cause, "Listen on 127.0.0.1, or keep others out with a firewall", fatal=False)


def _without_tls(key: str, one: Listener, config: Config) -> Iterator[Problem]:
    local = _parses(ip_address, one.address) and ip_address(one.address).is_loopback
    if not (local and config.passwords.plaintext_on_loopback):
        yield Problem(
            key,
            f"nobody can log in over {one.protocol} without TLS",
            'Set tls = "starttls" or "implicit"' + ("; or passwords.plaintext_on_loopback" if local else ""),
            fatal=False,
        )


def _overlap(one: Listener, other: Listener) -> bool:
    same = one.address == other.address or bool(_EVERY & {one.address, other.address})
    return one.port == other.port != 0 and same


# [tls]


def _certificate(config: Config, now: datetime) -> Iterator[Problem]:
    tls = config.tls
    missing = [
        Problem(f"tls.{name}", f"{path} cannot be read", "Check the path and its permissions")
        for name, path in (("certificate", tls.certificate), ("key", tls.key))
        if path and not _readable(path)
    ]
    yield from missing
    if missing or not tls.certificate:
        return
    fault = _pair_fault(tls.certificate, tls.key)
    if fault is not None:
        yield fault
        return
    if tls.key and Path(tls.key).stat().st_mode & 0o004:
        yield Problem("tls.key", f"everybody on this machine can read {tls.key}", f"chmod o-r {tls.key}", fatal=False)
    yield from _dates_and_names(config, now)


#: where a client's certificate opens an account
_LOGINS = {Protocol.SUBMISSION, Protocol.IMAP, Protocol.POP3, Protocol.MANAGESIEVE}


def _clients(config: Config) -> Iterator[Problem]:
    """Certificates of clients (RFC 4422, EXTERNAL)."""
    for number, one in enumerate(config.listener):
        key = f"listener[{number}].client_authorities"
        if not one.client_authorities:
            continue
        if not _readable(one.client_authorities):
            yield Problem(key, f"{one.client_authorities} cannot be read", "Check the path and its permissions")
        elif fault := _authorities_fault(one.client_authorities):
            yield Problem(key, f"{one.client_authorities} holds no authorities ({fault})", "Write a PEM file of them")
        if one.protocol not in _LOGINS or one.tls is TlsMode.NONE:
            cause = "certificates of clients are of no use here"
            yield Problem(key, cause, "Leave it out, or name it at a listener where people log in by TLS", fatal=False)
    for number, known in enumerate(config.client_certificate):
        if not _parses(Address.parse, known.account):
            yield Problem(
                f"client_certificate[{number}]", f"{known.account!r} is no login", "Write it like ann@example.com"
            )


def _authorities_fault(path: str) -> str:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except (ssl.SSLError, OSError) as fault:
        return getattr(fault, "reason", None) or str(fault)
    return ""


def _pair_fault(certificate: str, key: str) -> Problem | None:
    import ssl  # not for every command that reads the configuration

    locked = False

    def password() -> str:  # without it OpenSSL would ask the terminal
        nonlocal locked
        locked = True
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None, password)
    except (ssl.SSLError, OSError) as fault:
        if locked:
            return Problem("tls.key", f"{key} is locked with a password", f"Write it without: openssl pkey -in {key}")
        reason = getattr(fault, "reason", None) or str(fault)
        return Problem(
            "tls", f"certificate and key do not go together ({reason})", "Both must be PEM files of one pair"
        )
    return None


def _dates_and_names(config: Config, now: datetime) -> Iterator[Problem]:
    from cryptography import x509

    key = "tls.certificate"
    try:
        certificate = x509.load_pem_x509_certificates(Path(config.tls.certificate).read_bytes())[0]
        end = certificate.not_valid_after_utc
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as fault:
        yield Problem(key, f"clients will not accept it: {fault}", "Have it made again, with the host's names", False)
        return
    if end < now:
        yield Problem(key, f"it expired on {end:%Y-%m-%d}: clients refuse it", "Renew it", fatal=False)
    elif end < now + _SOON:
        yield Problem(key, f"it expires on {end:%Y-%m-%d}", "Renew it", fatal=False)
    hosts = names.get_values_for_type(x509.DNSName)
    parent = "*." + config.server.hostname.partition(".")[2]
    if config.server.hostname.lower() not in {host.lower() for host in hosts} and parent not in hosts:
        yield Problem(
            key,
            f"it is for {', '.join(hosts) or 'no host name'}, not for {config.server.hostname}",
            "Clients that connect by that name will complain: have it added, or set server.hostname",
            fatal=False,
        )


# networks


def _networks(config: Config) -> Iterator[Problem]:
    tables = {
        "limits.trusted_networks": config.limits.trusted_networks,
        "limits.relay_networks": config.limits.relay_networks,
        "bans.exempt_networks": config.bans.exempt_networks,
        **{f"listener[{number}].proxy_networks": one.proxy_networks for number, one in enumerate(config.listener)},
    }
    for key, texts in tables.items():
        for text in texts:
            try:
                network = ip_network(text, strict=False)
            except ValueError:
                yield Problem(key, f"{text!r} is no network", "Write one like 192.0.2.0/24")
                continue
            if not network.prefixlen:
                yield _everybody(key, text)


def _everybody(key: str, text: str) -> Problem:
    if key == "limits.relay_networks":
        cause = f"{text} is everybody: an open relay, which is found and abused within hours"
        return Problem(key, cause, "Name your own networks only")
    if key == "limits.trusted_networks":
        return Problem(key, f"{text} is everybody: no limit per address holds", "Name your own networks only", False)
    if key == "bans.exempt_networks":
        return Problem(key, f"{text} is everybody: nobody is banned", "Set bans.points = 0 if that is meant", False)
    cause = f"{text} is everybody: any client may say that it has another address"
    return Problem(key, cause, "Name the load balancers only")


# [relay], [imap], [log]


def _relay(config: Config) -> Iterator[Problem]:
    relay = config.relay
    countries = config.sending.country_file
    if countries and not _readable(countries):
        cause = f"{countries} cannot be read"
        yield Problem("sending.country_file", cause, "Check the path and its permissions", False)
    yield from _login("relay", relay.user, relay.password_file, relay.tls)
    if relay.retry_first > relay.retry_longest:
        yield Problem("relay.retry_first", "it is longer than relay.retry_longest", "Make it the shorter one", False)
    if relay.warn_after >= relay.lifetime:
        yield Problem("relay.warn_after", "mail bounces before its sender hears of a delay", "Make it shorter", False)
    for number, route in enumerate(config.route):
        key = f"route[{number}]"
        if not _parses(parse_domain, route.domain.removeprefix(".")):
            yield Problem(
                key, f"{route.domain!r} is no domain", "Write it like example.org, or .example.org for all below"
            )
        yield from _login(key, route.user, route.password_file, route.tls)
    for number, source in enumerate(config.source):
        key = f"source[{number}]"
        if source.domain and not _parses(parse_domain, source.domain):
            yield Problem(key, f"{source.domain!r} is no domain", "Write the sender's domain, like example.org")
        for text in source.addresses:
            if not _parses(ip_address, text):
                yield Problem(key, f"{text!r} is no IP address", "Write addresses of this machine")


def _login(key: str, user: str, password_file: str, tls: OutgoingTls) -> Iterator[Problem]:
    """A login at another server."""
    if user and not password_file:
        yield Problem(f"{key}.user", "a login without a password", f"Set {key}.password_file")
    if password_file:
        if not _readable(password_file):
            yield Problem(
                f"{key}.password_file", f"{password_file} cannot be read", "Check the path and its permissions"
            )
        elif not Path(password_file).read_bytes().split(b"\n", 1)[0].strip():
            yield Problem(f"{key}.password_file", "its first line is empty", "Write the password there")
    if user and tls in {OutgoingTls.NONE, OutgoingTls.OPPORTUNISTIC}:
        cause = "the password would travel in the clear"
        yield Problem(f"{key}.tls", cause, 'Set it to "starttls"', fatal=False)


def _imap(config: Config, capabilities: Collection[str]) -> Iterator[Problem]:
    for name in config.imap.disable if capabilities else ():
        if name.upper() not in capabilities:
            yield Problem("imap.disable", f"there is no capability {name!r} to disable", "See docs/protocols.md", False)
    for name in ("message_limit", "save_limit"):
        if 0 < getattr(config.imap, name) < _LEAST:
            cause = f"{getattr(config.imap, name)} is less than clients can count on"
            yield Problem(f"imap.{name}", cause, f"RFC 9738 asks for {_LEAST} at least; 0 is no limit", fatal=False)


def _blocklists(config: Config) -> Iterator[Problem]:
    for number, one in enumerate(config.blocklist):
        key = f"blocklist[{number}]"
        if not _parses(parse_domain, one.zone) or "." not in one.zone:
            yield Problem(key, f"{one.zone!r} is no domain", "Write it like bl.example.net")
        for text in one.codes:
            if not _parses(lambda code: ip_network(code, strict=False), text) or not text.startswith("127."):
                yield Problem(key, f"{text!r} is no code of a list", "Write it like 127.0.0.2 or 127.0.0.8/30")
        if one.test and not _parses(_ENTRIES.get(one.kind, parse_domain), one.test):
            yield Problem(key, f"{one.test!r} cannot be an entry of the list", "Ask its operators for the test entry")
        if not one.weight:
            yield Problem(key, "its weight is 0, so it is asked for nothing", "Give it a weight, or remove it", False)


def _webhooks(config: Config) -> Iterator[Problem]:
    names = [one.name for one in config.webhook]
    for number, one in enumerate(config.webhook):
        key = f"webhook[{number}]"
        if one.name in names[:number]:
            yield Problem(key, f"another webhook is called {one.name} too", "Give each a name of its own")
        if not _parses(parse_url, one.url):
            yield Problem(
                f"{key}.url",
                f"{one.url!r} is no place to call",
                "Write https://host/path, or http://127.0.0.1:PORT/path",
            )
        if not _readable(one.secret_file):
            yield Problem(
                f"{key}.secret_file",
                f"{one.secret_file!r} cannot be read",
                "Write a random line into it: openssl rand -hex 32",
            )
        if one.login and not _parses(Address.parse, one.login):
            yield Problem(f"{key}.login", f"{one.login!r} is no mail address", "Write it like ann@example.com")


def _scanners(config: Config) -> Iterator[Problem]:
    rspamd, clamav = config.rspamd, config.clamav
    for name, url in (("url", rspamd.url), ("controller", rspamd.controller)):
        key = f"rspamd.{name}"
        if url and not _parses(parse_server, url):
            yield Problem(key, f"{url!r} is no place to ask", "Write it like http://127.0.0.1:11333")
        elif url and not parse_server(url).tls and not is_here(parse_server(url).host):
            yield Problem(key, "mail would travel in the clear", "Use https, or a rspamd on this machine", fatal=False)
    if rspamd.password_file and not _readable(rspamd.password_file):
        cause = f"{rspamd.password_file!r} cannot be read"
        yield Problem("rspamd.password_file", cause, "Check the path and its permissions")
    if clamav.socket and not _parses(parse_socket, clamav.socket):
        cause = f"{clamav.socket!r} is no place to ask"
        yield Problem("clamav.socket", cause, "Write the path of clamd's LocalSocket, or 127.0.0.1:3310")
    if rspamd.url and not config.filter.enabled:
        yield Problem("rspamd.url", "its answers count nothing without filter.enabled", "Set that to true", False)
    if not config.authentication.verify:
        for name, place in (("rspamd.url", rspamd.url), ("clamav.socket", clamav.socket)):
            if place:
                yield Problem(name, "mail is not looked at without authentication.verify", "Set that to true", False)


def _log(config: Config) -> Iterator[Problem]:
    if not config.log.file:
        return
    path = Path(config.log.file)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        yield Problem("log.file", f"{path} cannot be written to", "Check the path and its permissions")


def _readable(path: str) -> bool:
    return _parses(lambda name: open(name, "rb").close(), path)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except (ValueError, KeyError, OSError, BadAddress):
        return False
    return True
