"""docs/store.md describes every table there is, file by file, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from postroom.store.embedded import schema

DOC = Path(__file__).parents[2] / "docs" / "store.md"
SCHEMAS = {
    "directory.db": schema.DIRECTORY,
    "queue/<slot>.db": schema.QUEUE,
    "mail.db": schema.ACCOUNT,
    "index.db": schema.INDEX,
    "policy.db": schema.POLICY,
    "webhooks.db": schema.WEBHOOKS,
    "training.db": schema.TRAINING,
    "reports.db": schema.REPORTS,
    "quarantine.db": schema.QUARANTINE,
    "alarms.db": schema.ALARMS,
    "events/<day>.<slot>.db": schema.EVENTS,
}


def described() -> dict[str, set[str]]:
    """The tables of each file by its section: names in the first column."""
    found: dict[str, set[str]] = {}
    file = ""
    for line in DOC.read_text().splitlines():
        if line.startswith("#"):
            heading = re.fullmatch(r"### `(.+)`", line)
            file = heading[1] if heading else file if line.startswith("####") else ""
        elif file and line.startswith("| `"):
            found.setdefault(file, set()).update(re.findall(r"`(\w+)`", line.split(" | ")[0]))
    return found


def test_the_store_s_tables_are_described() -> None:
    tables = {file: set(re.findall(r"CREATE TABLE (\w+)", text)) for file, text in SCHEMAS.items()}
    assert described() == tables


def test_every_schema_is_looked_at() -> None:
    """A file of a new kind has to be added above."""
    named = {name for name in dir(schema) if name.isupper() and isinstance(getattr(schema, name), str)}
    assert {getattr(schema, name) for name in named} == set(SCHEMAS.values())


def test_postroom_check_looks_at_every_table() -> None:
    """Each is named where the rules of `postroom check` are; tests/store/test_repair.py damages each."""
    room = Path(schema.__file__).parent
    looks = "".join(path.read_text() for path in (room / "checks").glob("*.py"))
    looks += (room / "index_file.py").read_text().partition("def faults_of(")[2].partition("class ")[0]
    tables = {table for text in SCHEMAS.values() for table in re.findall(r"CREATE TABLE (\w+)", text)}
    known = (
        set(re.findall(r"(?:FROM|JOIN) (\w+)", looks))
        | set(re.findall(r"(\w+) WHERE", looks))
        | set(re.findall(r'"(\w+)"', looks))
        | {"entry", "state"}
    )
    assert tables - known == set(), "add rules for these tables, and damage them in tests/store/test_repair.py"
