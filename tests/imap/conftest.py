from __future__ import annotations

import pytest
from imap_house import House


@pytest.fixture
async def house() -> House:
    """A server with the account ann@example.org."""
    made = House()
    await made.add_account("ann@example.org")
    return made
