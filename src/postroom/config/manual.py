"""The manual and the sample file, read from the model's own declarations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, get_args, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from postroom.config.listeners import ClientCertificate, Listener
from postroom.config.model import Blocklist, Config, Route, Source, Webhook

_WIDTH = 100
#: tables that may stand several times in the file
_LISTS: Final[dict[str, type[Struct]]] = {
    "listener": Listener,
    "client_certificate": ClientCertificate,
    "route": Route,
    "source": Source,
    "blocklist": Blocklist,
    "webhook": Webhook,
}


@dataclass(frozen=True, slots=True)
class Described:
    """One option. key: "limits.recipients"; default: as TOML, "" when it must be given."""

    key: str
    name: str
    description: str
    type: str
    default: str


def section_of(key: str) -> type[Struct] | None:
    """The struct that a top-level key ("limits", "listener[0]") names; Config itself for ""."""
    name = key.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
    if not name:
        return Config
    for field in fields(Config):
        if field.name == name:
            return _LISTS.get(name) or field.type
    return None


def field_names(section: type[Any]) -> list[str]:
    """Names of a section's options."""
    return [field.name for field in fields(section)]


def describe_section(section: type[Any], prefix: str = "") -> list[Described]:
    """All options of a section."""
    hints = get_type_hints(section, include_extras=True)
    found = []
    for field in fields(section):
        meta = next((one for one in get_args(hints[field.name])[1:] if isinstance(one, msgspec.Meta)), None)
        kind = get_args(hints[field.name])[0] if meta else hints[field.name]
        default = "" if field.default is NODEFAULT else toml(field.default)
        words = (meta.description or "") if meta else ""
        found.append(Described(prefix + field.name, field.name, words + _bounds(meta), _type_name(kind), default))
    return found


def describe(key: str = "") -> list[Described]:
    """What the manual says about a key, a section, or everything. Raises KeyError for an unknown one."""
    everything = [
        one for field in fields(Config) for one in describe_section(section_of(field.name) or Config, field.name + ".")
    ]
    if not key:
        return everything
    found = [one for one in everything if one.key == key or one.key.startswith(key + ".")]
    if not found:
        raise KeyError(key)
    return found


def _bounds(meta: msgspec.Meta | None) -> str:
    if meta is None:
        return ""
    words = []
    if meta.ge is not None:
        words.append(f"at least {meta.ge}")
    if meta.gt is not None:
        words.append(f"more than {meta.gt}")
    if meta.le is not None:
        words.append(f"at most {meta.le}")
    return f" ({', '.join(words)})" if words else ""


def _type_name(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(str(one.value) for one in kind)
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names.get(kind, "list of texts")


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def sample(config: Config | None = None) -> str:
    """A commented file: every option with its explanation; what differs from the default is set, the rest is shown."""
    config = config or Config()
    lines = [
        "# Postroom's configuration. Every option is here; those behind a # are shown with their default.",
        "# `postroom config check` looks it over, `postroom config describe KEY` explains one.",
    ]
    for field in fields(Config):
        value = getattr(config, field.name)
        if field.name in _LISTS:
            continue
        lines += ["", f"[{field.name}]"]
        if field.type.__doc__:
            lines += _comment(field.type.__doc__.strip().splitlines()[0])
        lines += _options(type(value), value)
    for name, section in _LISTS.items():
        for value in getattr(config, name):
            lines += ["", f"[[{name}]]", *_options(section, value, brief=True)]
        if not getattr(config, name):
            lines += ["", f"#[[{name}]]", *_comment((section.__doc__ or "").strip().splitlines()[0])]
            lines += [f"#{one.name} = {one.default or '...'}" for one in describe_section(section)]
    return "\n".join(lines) + "\n"


def _options(section: type[Any], value: Any, *, brief: bool = False) -> Iterator[str]:
    for one in describe_section(section):
        current = toml(getattr(value, one.name))
        if brief:
            if current != one.default:
                yield f"{one.name} = {current}"
            continue
        yield ""
        yield from _comment(one.description)
        yield f"{one.name} = {current}" if current != one.default else f"#{one.name} = {one.default}"


def _comment(text: str) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + len(word) >= _WIDTH:
            yield line
            line = "#"
        line += " " + word
    yield line
