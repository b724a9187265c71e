"""The fixed words of the query language and how its values are written: states, kinds of parts, sizes, dates, ages.

Pure. On failure: None, and the parser says what is wrong.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from postroom.values.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

#: after is: a system flag, and whether it must be set
FLAGS: Final[dict[str, tuple[int, bool]]] = {
    "unread": (SEEN, False),
    "read": (SEEN, True),
    "unseen": (SEEN, False),
    "seen": (SEEN, True),
    "flagged": (FLAGGED, True),
    "starred": (FLAGGED, True),
    "unflagged": (FLAGGED, False),
    "answered": (ANSWERED, True),
    "replied": (ANSWERED, True),
    "unanswered": (ANSWERED, False),
    "draft": (DRAFT, True),
    "deleted": (DELETED, True),
}

#: after is: a keyword, and whether it must be set (RFC 9051 2.3.2, RFC 8457)
KEYWORDS: Final[dict[str, tuple[str, bool]]] = {
    "forwarded": ("$Forwarded", True),
    "important": ("$Important", True),
    "junk": ("$Junk", True),
    "notjunk": ("$NotJunk", True),
    "phishing": ("$Phishing", True),
}

_DOCUMENT: Final = (
    "application/msword",
    "application/rtf",
    "text/rtf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml",
    "application/vnd.oasis.opendocument.text",
)
_SHEET: Final = (
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml",
    "application/vnd.oasis.opendocument.spreadsheet",
    "text/csv",
)
_SLIDES: Final = (
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml",
    "application/vnd.oasis.opendocument.presentation",
)
_ARCHIVE: Final = (
    "application/zip",
    "application/x-zip",
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/x-7z",
    "application/vnd.rar",
    "application/x-rar",
)

#: after has: beginnings of media types, and ends of file names that say the same
KINDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "image": (("image/",), (".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".svg", ".tif", ".tiff")),
    "pdf": (("application/pdf",), (".pdf",)),
    "document": (_DOCUMENT, (".doc", ".docx", ".odt", ".rtf")),
    "spreadsheet": (_SHEET, (".xls", ".xlsx", ".ods", ".csv")),
    "presentation": (_SLIDES, (".ppt", ".pptx", ".odp")),
    "audio": (("audio/",), (".mp3", ".wav", ".ogg", ".m4a", ".flac")),
    "video": (("video/",), (".mp4", ".mov", ".avi", ".mkv", ".webm")),
    "archive": (_ARCHIVE, (".zip", ".gz", ".tgz", ".7z", ".rar", ".tar")),
    "invitation": (("text/calendar",), (".ics",)),
    "message": (("message/rfc822", "message/global"), (".eml",)),
}

_SIZE = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?([kmg])?i?b?", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_AGE = re.compile(r"(\d{1,6})([hdwmy])", re.IGNORECASE)
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7, "m": 24 * 30, "y": 24 * 365}
_OCTETS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_octets(text: str) -> int | None:
    """Octets of "500K", "1.5M", "2G" or a number."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    return int(float(f"{match[1]}.{match[2] or 0}") * _OCTETS[(match[3] or "").lower()])


def parse_day(text: str) -> tuple[date, date] | None:
    """The first day of a day, month or year, and the first day after it."""
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    try:
        first = date(year, month, day)
        if match[3]:
            return first, first + timedelta(days=1)
        return first, date(year + 1, 1, 1) if not match[2] or month == 12 else date(year, month + 1, 1)
    except (ValueError, OverflowError):
        return None


def parse_age(text: str) -> int | None:
    """Seconds of "12h", "7d", "3w", "6m" (of 30 days) or "1y" (of 365)."""
    match = _AGE.fullmatch(text)
    return int(match[1]) * _HOURS[match[2].lower()] * 3600 if match else None
