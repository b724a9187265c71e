"""The keys of an installation, each a file of the data folder: they belong to its backup.

srs.secret: of return addresses and of tags on senders (identity.srs, identity.batv); link.secret: of what releases mail
from quarantine (policy.release_links). Each is made when it is first asked for. The first line makes, all are accepted
where the scheme can tell.
On failure: OSError with the path.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

SRS: Final = "srs.secret"
LINKS: Final = "link.secret"


def lines(data: str | Path, name: str) -> list[bytes]:
    """The keys in a file, at least one."""
    path = Path(data) / name
    if not path.exists():
        _make(path)
    return [line.encode() for line in map(str.strip, path.read_text(encoding="ascii").splitlines()) if line]


def link_secret(data: str | Path) -> bytes:
    """The key of links and addresses that release."""
    return lines(data, LINKS)[0]


def _make(path: Path) -> None:
    """Write the file whole or not at all: several workers may find it missing at once, and one of them wins."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
