"""Stores on every server that the tests have, each in a bucket or a folder of its own."""

from __future__ import annotations

import itertools
from typing import Any

from servers import Server, make_bucket
from undercroft import GCSCache, S3Cache

_numbers = itertools.count()


def fresh_bucket(server: Server) -> str:
    """Make a bucket that nobody else uses."""
    name = f"bucket-{next(_numbers)}"
    make_bucket(server, name)
    return name


def open_store(server: Server, bucket: str | None = None, **options: Any) -> Any:
    """Open a store on a server; through `url` where a proxy stands before it."""
    bucket = bucket or fresh_bucket(server)
    url = options.pop("url", server.url)
    if server.name == "gcs":
        # The emulator serves one connection after the other, and hangs on a second one.
        return GCSCache(bucket, endpoint_url=url, **{"anonymous": True, "concurrency": 1, **options})
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return S3Cache(bucket, endpoint_url=url, **{"region": "us-east-1", **keys, **options})
