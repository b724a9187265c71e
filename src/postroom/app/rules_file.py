"""The rules of the filter in force: those of the program, or newer ones that were put in their place, and the
administrator's own over them.

Owns: rules.toml and rules.previous.toml in the folder `filter` of the data. A file is changed as a whole or not at all.
Trusts: nothing of the files; what cannot be used in the data folder is left out and told, a fault in the file of the
configuration is an error of the configuration.
On failure: ConfigError, OSError.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from postroom.config import Config, ConfigError
from postroom.filter.health import Event
from postroom.filter.rules import BadRules, Rules, built_in, load

#: octets of a file of rules
LARGEST: Final = 2 * 1024 * 1024
_NAME: Final = "rules.toml"
_BEFORE: Final = "rules.previous.toml"


class RulesFile:
    """What was put in the place of the built-in rules. data: the data folder."""

    def __init__(self, data: str) -> None:
        self._folder = Path(data) / "filter"

    def text(self) -> str:
        """ "" when there is none. Raises OSError, UnicodeDecodeError."""
        path = self._folder / _NAME
        return read(path) if path.exists() else ""

    def install(self, text: str) -> None:
        """Put it in place; what was there can be had back. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._write(_BEFORE, self.text())
        self._write(_NAME, text)

    def undo(self) -> bool:
        """What was there before, back; once more, and it is as it was. False: nothing was ever changed."""
        before = self._folder / _BEFORE
        if not before.exists():
            return False
        now, then = self.text(), read(before)
        self._write(_NAME, then)
        self._write(_BEFORE, now)
        return True

    def _write(self, name: str, text: str) -> None:
        new = self._folder / f"{name}.new"
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(path: Path) -> str:
    """A file of rules. Raises OSError, UnicodeDecodeError; BadRules when it is too large."""
    if path.stat().st_size > LARGEST:
        raise BadRules(f"{path} has more than {LARGEST} octets")
    return path.read_text(encoding="utf-8")


def base(config: Config, event: Event | None = None) -> tuple[str, bool]:
    """The rules that the administrator's own stand over, and are they other than the built-in ones."""
    ours = built_in()
    try:
        text = RulesFile(config.server.data).text()
        if text and load([text]).version > load([ours]).version:
            return text, True
    except (OSError, UnicodeDecodeError, BadRules) as fault:
        if event is not None:
            event("filter.fault", account="", reason=f"the newer rules cannot be used, the built-in ones are: {fault}")
    return ours, False


def own(config: Config) -> list[str]:
    """The administrator's file, if there is one. Raises ConfigError."""
    try:
        return [read(Path(config.filter.rules))] if config.filter.rules else []
    except (OSError, UnicodeDecodeError, BadRules) as fault:
        raise ConfigError(f"filter.rules: {fault}") from None


def read_rules(config: Config, event: Event | None = None) -> Rules:
    """What is in force. Raises ConfigError."""
    texts = [base(config, event)[0], *own(config)]
    try:
        return load(texts)
    except BadRules as fault:
        raise ConfigError(f"filter.rules: {fault}") from None
