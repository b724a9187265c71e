"""Property tests: no deadlines, because machines are shared; the same examples each time in CI, new ones elsewhere.

The store's contract lives in the package; its assertions are to tell as much as those of tests, so it is named here,
before anything imports it.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("postroom.testing.store_contract")
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
