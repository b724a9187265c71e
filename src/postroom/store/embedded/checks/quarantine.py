"""The invariants of large messages in quarantine: each has its file, and no file is nobody's."""

from __future__ import annotations

import os
from typing import Any

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.checks.account import check_file
from postroom.store.embedded.database import OpenOptions, open_database
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.sweep import stray_files


def check_quarantine(layout: Layout, options: OpenOptions, grace: float) -> list[Finding]:
    """What is wrong with the files; the rows are looked at with the other shared files (shared.py)."""
    if not os.path.exists(layout.quarantine):
        return []
    try:
        rows = _large(layout, options)
    except apsw.Error:
        return []  # told of already
    found = []
    for entry, size, prefix, digest in rows:
        what = check_file(layout.quarantine_body(entry), size - len(prefix), digest)
        if what:
            found.append(Finding("quarantine.db", f"entry {entry}: {what}"))
    named = {row[0] for row in rows}
    strays = stray_files(layout.quarantine_bodies, named.__contains__, grace)
    return found + [
        Finding(f"quarantine/{os.path.basename(one)}", "the file belongs to no message", True) for one in strays
    ]


def _large(layout: Layout, options: OpenOptions) -> list[Any]:
    reader = open_database(layout.quarantine, options, cache_kib=options.reader_cache_kib)
    try:
        if not reader.pragma("user_version"):
            return []
        return reader.execute("SELECT entry, size, prefix, digest FROM content WHERE data IS NULL").fetchall()
    finally:
        reader.close()
