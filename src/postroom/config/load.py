"""Reading the configuration file, and saying what is wrong with it in words that help.

Paths in the file are relative to the file. Unknown keys are refused with the nearest known one.
On failure: ConfigError: file, key, what is wrong, what is allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from postroom.config.manual import field_names, section_of
from postroom.config.model import Config, TlsMode

_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key, the fault and the way out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `postroom config check` found. fatal: the server would not start."""

    key: str
    cause: str
    fix: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.key}: {self.cause}. {self.fix}"


def load(path: str | Path) -> Config:
    """The configuration in a TOML file. Raises ConfigError."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault
    return _with_paths(parse(text, str(path)), path.resolve().parent)


def parse(text: str, name: str = "configuration") -> Config:
    """The configuration in TOML text; paths stay as they are written. Raises ConfigError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{name}: not TOML: {fault}") from fault
    try:
        return msgspec.convert(raw, Config, strict=True)
    except msgspec.ValidationError as fault:
        raise ConfigError(f"{name}: {_explain(str(fault))}") from fault


def _explain(fault: str) -> str:
    """msgspec's words turned into ours: the key first, then what is wrong and what is allowed."""
    where = _WHERE.search(fault)
    key = where[1] if where else ""
    what = _WHERE.sub("", fault)
    unknown = _UNKNOWN.search(what)
    if unknown:
        section = section_of(key)
        near = difflib.get_close_matches(unknown[1], field_names(section), n=1) if section else []
        place = f"[{key.split('[')[0]}]" if key else "the file"
        hint = f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(field_names(section or Config))}"
        return f"{place} has no key `{unknown[1]}`; {hint}"
    allowed = _allowed(key)
    return f"{key}: {what[0].lower()}{what[1:]}" + (f"; {allowed}" if allowed else "")


def _allowed(key: str) -> str:
    """What the manual says about a key."""
    parts = re.sub(r"\[[^\]]*\]", "", key).split(".")
    section = section_of(parts[0])
    if section is None or len(parts) < 2:
        return ""
    fields = {field.name: field for field in _fields(section)}
    found = fields.get(parts[1])
    return str(found.description) if found else ""


def _fields(section: type[Any]) -> list[Any]:
    from postroom.config.manual import describe_section

    return describe_section(section)


def _with_paths(config: Config, folder: Path) -> Config:
    """Paths in the file are relative to the file."""

    def under(text: str) -> str:
        return str(folder / text) if text else ""

    return replace(
        config,
        server=replace(config.server, data=under(config.server.data)),
        tls=replace(config.tls, certificate=under(config.tls.certificate), key=under(config.tls.key)),
        relay=replace(config.relay, password_file=under(config.relay.password_file)),
        log=replace(config.log, file=under(config.log.file)),
    )


def check(config: Config) -> list[Problem]:
    """What is wrong with a configuration that could be read: files, listeners, contradictions."""
    problems = [*_check_listeners(config), *_check_files(config)]
    networks = {
        "limits.trusted_networks": config.limits.trusted_networks,
        "limits.relay_networks": config.limits.relay_networks,
        **{f"listener[{n}].proxy_networks": one.proxy_networks for n, one in enumerate(config.listener)},
    }
    for key, texts in networks.items():
        problems += [
            Problem(key, f"{text!r} is no network", "Write one like 192.0.2.0/24")
            for text in texts
            if not _is_network(text)
        ]
    return problems


def _is_network(text: str) -> bool:
    from ipaddress import ip_network

    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _check_listeners(config: Config) -> list[Problem]:
    problems = []
    if not config.listener:
        problems.append(
            Problem("listener", "none is configured, so nobody can connect", "`postroom init` writes the usual ones")
        )
    seen: dict[tuple[str, int], str] = {}
    for number, one in enumerate(config.listener):
        key = f"listener[{number}]"
        if one.tls is not TlsMode.NONE and not (config.tls.certificate and config.tls.key):
            problems.append(
                Problem(key, f"{one.protocol} wants TLS, but [tls] names no certificate", "Set tls.certificate and key")
            )
        place = (one.address, one.port)
        if one.port and place in seen:
            problems.append(Problem(key, f"port {one.port} is {seen[place]}'s already", "Give it a port of its own"))
        seen[place] = key
    return problems


def _check_files(config: Config) -> list[Problem]:
    problems = []
    for key, text in (
        ("tls.certificate", config.tls.certificate),
        ("tls.key", config.tls.key),
        ("relay.password_file", config.relay.password_file),
    ):
        if text and not _readable(text):
            problems.append(Problem(key, f"{text} cannot be read", "Check the path and its permissions"))
    data = Path(config.server.data)
    if not data.is_dir():
        problems.append(Problem("server.data", f"there is no folder {data}", "Make it, or run `postroom init`"))
    if config.relay.user and not config.relay.password_file:
        problems.append(Problem("relay.user", "a login without a password", "Set relay.password_file"))
    if not problems and config.tls.certificate:
        problems += _check_pair(config)
    return problems


def _readable(path: str) -> bool:
    try:
        with Path(path).open("rb"):
            return True
    except OSError:
        return False


def _check_pair(config: Config) -> list[Problem]:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls.certificate, config.tls.key)
    except (ssl.SSLError, OSError) as fault:
        reason = getattr(fault, "reason", None) or str(fault)
        return [
            Problem("tls", f"certificate and key do not go together ({reason})", "Both must be PEM files of one pair")
        ]
    return []
