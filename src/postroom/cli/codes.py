"""Exit codes; scripts may rely on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command ends with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NO_CHANGE = 4
    PARTLY = 5
    UNREACHABLE = 69
    TRY_LATER = 75
    NO_PERMISSION = 77
    BAD_CONFIG = 78
    STOPPED = 130
    UNREAD = 141


class CommandFailed(Exception):
    """A command ends here: `text` is for the person, `advice` says what to do about it."""

    def __init__(self, code: Exit, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.advice = advice
