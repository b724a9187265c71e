"""Where everything lies in the data folder; nobody else in this room joins path names.

Owns: the names of files and folders below `data`. Account ids are opaque but must be safe as file names, which
`account` enforces, so that nothing from outside can climb out of the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SLOT_FILE = re.compile(r"(\d{1,6})\.db")
_EVENTS_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.([a-z0-9]{1,16})\.db")


@dataclass(frozen=True, slots=True)
class Layout:
    """The data folder. `data`: its path, absolute or relative to the working directory."""

    data: str

    @property
    def directory(self) -> str:
        return f"{self.data}/directory.db"

    @property
    def queue(self) -> str:
        return f"{self.data}/queue"

    @property
    def queue_bodies(self) -> str:
        return f"{self.data}/queue/bodies"

    @property
    def queue_tmp(self) -> str:
        return f"{self.data}/queue/tmp"

    @property
    def accounts(self) -> str:
        return f"{self.data}/accounts"

    @property
    def directory_stamp(self) -> str:
        """Changes with the directory; means nothing when no process runs."""
        return f"{self.data}/run/directory.stamp"

    @property
    def policy(self) -> str:
        """Counts of limits, bans, freezes."""
        return f"{self.data}/policy.db"

    @property
    def policy_stamp(self) -> str:
        """Changes with bans, freezes and lifts; means nothing when no process runs."""
        return f"{self.data}/run/policy.stamp"

    @property
    def reports(self) -> str:
        """Reports received, and which were sent."""
        return f"{self.data}/reports.db"

    @property
    def quarantine(self) -> str:
        """Mail that the spam filter keeps apart."""
        return f"{self.data}/quarantine.db"

    @property
    def quarantine_bodies(self) -> str:
        """Large messages in quarantine."""
        return f"{self.data}/quarantine"

    def quarantine_body(self, entry: str) -> str:
        """The file of a large message; queue ids are never used twice."""
        return f"{self.data}/quarantine/{entry}"

    @property
    def webhooks(self) -> str:
        """Calls of webhooks that are still to be made."""
        return f"{self.data}/webhooks.db"

    @property
    def training(self) -> str:
        """What the spam filter learned for everybody."""
        return f"{self.data}/training.db"

    @property
    def words(self) -> str:
        """The table that is made of it."""
        return f"{self.data}/run/words"

    @property
    def run(self) -> str:
        return f"{self.data}/run"

    @property
    def events(self) -> str:
        return f"{self.data}/events"

    @property
    def alarms(self) -> str:
        return f"{self.data}/alarms.db"

    @property
    def audit(self) -> str:
        return f"{self.data}/audit"

    @property
    def audit_records(self) -> str:
        return f"{self.data}/audit/records"

    @property
    def audit_head(self) -> str:
        """The number and hash of the newest record, so that a chain that was cut off is seen."""
        return f"{self.data}/audit/head"

    def events_file(self, day: str, writer: str) -> str:
        """The events that one writer (a slot, or "command") told on a day (UTC, YYYY-MM-DD)."""
        return f"{self.data}/events/{day}.{writer}.db"

    def events_days(self) -> dict[str, list[str]]:
        """The files of each day that has any, the newest day first."""
        try:
            names = sorted(os.listdir(self.events), reverse=True)
        except FileNotFoundError:
            return {}
        days: dict[str, list[str]] = {}
        for name in names:
            if match := _EVENTS_FILE.fullmatch(name):
                days.setdefault(match[1], []).append(f"{self.events}/{name}")
        return days

    def slot(self, slot: int) -> str:
        """The queue file of one worker slot."""
        return f"{self.data}/queue/{slot}.db"

    def slot_lock(self, slot: int) -> str:
        """The file whose lock says that a process owns the slot."""
        return f"{self.data}/run/slot-{slot}.lock"

    @property
    def claims(self) -> str:
        """The file whose locked octets are keys of requests under way."""
        return f"{self.data}/run/claims.lock"

    def slots(self) -> list[int]:
        """Slots that have a queue file, ascending."""
        try:
            names = os.listdir(self.queue)
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for name in names if (match := _SLOT_FILE.fullmatch(name)))

    def account(self, account: str) -> AccountLayout:
        """The folder of an account; <xx> spreads folders evenly. Raises ValueError for an id unfit as a name."""
        if not _SAFE.fullmatch(account):
            raise ValueError(f"not an account id: {account!r}")
        return AccountLayout(f"{self.accounts}/{sha256(account.encode()).hexdigest()[:2]}/{account}")

    def account_ids(self) -> Iterator[str]:
        """Ids of every account that has a folder with a database, in no order."""
        for shard in _folders(self.accounts):
            for folder in _folders(shard.path):
                if not folder.name.startswith(".") and os.path.exists(AccountLayout(folder.path).database):
                    yield folder.name

    def half_made(self) -> Iterator[str]:
        """Folders of accounts that were being made or removed."""
        for shard in _folders(self.accounts):
            for folder in _folders(shard.path):
                if folder.name.startswith("."):
                    yield folder.path

    def make(self) -> None:
        """Make the folders that hold the rest; private to the user the server runs as."""
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        for folder in (self.queue, self.queue_bodies, self.queue_tmp, self.accounts, self.events, self.audit, self.run):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        # Password hashes: not for others, also when the data folder was made by somebody else with a wider mode.
        # O_EXCL, because closing a file that SQLite has open in this process would drop its locks (fcntl(2)).
        for path in (self.directory, self.policy):
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


@dataclass(frozen=True, slots=True)
class AccountLayout:
    """The folder of one account."""

    folder: str

    @property
    def database(self) -> str:
        return f"{self.folder}/mail.db"

    @property
    def log(self) -> str:
        """SQLite's WAL of the database."""
        return f"{self.folder}/mail.db-wal"

    @property
    def index(self) -> str:
        """The full-text index; made anew when it is not there."""
        return f"{self.folder}/index.db"

    @property
    def bodies(self) -> str:
        return f"{self.folder}/bodies"

    @property
    def training(self) -> str:
        """What the spam filter learned for this account."""
        return f"{self.folder}/training.db"

    @property
    def pop3_lock(self) -> str:
        return f"{self.folder}/pop3.lock"

    @property
    def recent(self) -> str:
        return f"{self.folder}/recent"

    def body(self, guid: str) -> str:
        """The file of a large message; the GUID is new for each message, so a name is never used twice."""
        return f"{self.folder}/bodies/{guid}"


def _folders(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            yield from [entry for entry in found if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
