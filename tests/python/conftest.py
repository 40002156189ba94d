"""What every test shares: background jobs end with the test that started them."""

from __future__ import annotations

import pytest
from undercroft import BGCache


@pytest.fixture(autouse=True)
def _stop_background_jobs():
    yield
    BGCache.shutdown(wait=True)
