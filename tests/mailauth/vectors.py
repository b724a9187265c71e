"""Where public vectors come from: source archives of packages, fetched by `make test`, never copied into this project.

A test that needs one skips with the archive's name when it is not there. POSTROOM_VECTORS names the folder; without it
that is `vectors` in the virtual environment.
"""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import pytest


def archive_member(package: str, ending: str) -> bytes:
    """A file of a package's source archive; skips the test (or module) when the archive is not there."""
    folder = Path(os.environ.get("POSTROOM_VECTORS") or Path(sys.prefix, "vectors"))
    found = sorted(folder.glob(f"{package}-*.tar.gz"))
    if not found:
        pytest.skip(f"{package}-*.tar.gz is not in {folder} (make test fetches it)", allow_module_level=True)
    with tarfile.open(found[-1]) as archive:
        member = next(one for one in archive.getmembers() if one.name.endswith(ending))
        data = archive.extractfile(member)
        assert data is not None
        return data.read()
