"""What every test shares: background jobs end with the test that started them."""

from __future__ import annotations

import pytest
import servers
from undercroft import BGCache


@pytest.fixture(autouse=True)
def _stop_background_jobs():
    yield
    BGCache.shutdown(wait=True)


@pytest.fixture(scope="session")
def moto():
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def s3s():
    with servers.s3s() as server:
        yield server


@pytest.fixture(scope="session")
def gcs():
    with servers.gcs() as server:
        yield server
