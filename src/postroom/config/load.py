"""Reading the configuration file, and saying what is wrong with it in words that help.

Paths in the file are relative to the file. Unknown keys are refused with the nearest known one.
On failure: ConfigError: file, key, what is wrong, what is allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from postroom.config.manual import field_names, section_of
from postroom.config.model import Config

_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")
#: tls of listeners that do not say it
_TLS_OF: Final = {"http": "implicit", "metrics": "none"}
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key, the fault and the way out."""


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
        return msgspec.convert(_with_defaults(raw), Config, strict=True)
    except msgspec.ValidationError as fault:
        raise ConfigError(f"{name}: {_explain(str(fault))}") from fault


def _with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """What a listener has by default depends on its protocol: HTTP knows no STARTTLS."""
    listeners = raw.get("listener")
    for one in listeners if isinstance(listeners, list) else ():
        if isinstance(one, dict) and isinstance(one.get("protocol"), str) and one["protocol"] in _TLS_OF:
            one.setdefault("tls", _TLS_OF[one["protocol"]])
    return raw


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
        listener=tuple(replace(one, client_authorities=under(one.client_authorities)) for one in config.listener),
        relay=replace(config.relay, password_file=under(config.relay.password_file)),
        sending=replace(config.sending, country_file=under(config.sending.country_file)),
        route=tuple(replace(one, password_file=under(one.password_file)) for one in config.route),
        webhook=tuple(replace(one, secret_file=under(one.secret_file)) for one in config.webhook),
        log=replace(config.log, file=under(config.log.file)),
    )
