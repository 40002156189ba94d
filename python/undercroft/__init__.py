"""Undercroft: one cache, from memory to object storage.

Example:
    >>> from undercroft import TTLCache
    >>> @TTLCache.cached("user:{}", ttl=60)
    ... def get_user(user_id: int) -> dict[str, int]:
    ...     return {"id": user_id}
    >>> get_user(7)
    {'id': 7}
"""

from __future__ import annotations

import atexit as _atexit
import os as _os

from . import _native, errors, serializers
from ._function import CacheInfo
from ._native import Found, Lease, Policy
from .background import BGCache, bg
from .cache import Cache
from .decorators import SWRCache, TTLCache, cache
from .errors import CacheError
from .metrics import InMemoryMetrics, MetricsCollector
from .object_storage import GCSCache, S3Cache
from .serializers import JsonSerializer, MsgpackSerializer, PickleSerializer, Serializer
from .stores import (
    CacheEntry,
    CacheStorage,
    ChainCache,
    HybridCache,
    InMemCache,
    LocalFileCache,
    Store,
    validate_cache_storage,
)

__all__ = [
    "BGCache",
    "Cache",
    "CacheEntry",
    "CacheError",
    "CacheInfo",
    "CacheStorage",
    "ChainCache",
    "Found",
    "GCSCache",
    "HybridCache",
    "InMemCache",
    "InMemoryMetrics",
    "JsonSerializer",
    "Lease",
    "LocalFileCache",
    "MetricsCollector",
    "MsgpackSerializer",
    "PickleSerializer",
    "Policy",
    "S3Cache",
    "SWRCache",
    "Serializer",
    "Store",
    "TTLCache",
    "bg",
    "cache",
    "errors",
    "serializers",
    "validate_cache_storage",
]

if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(
        before=_native.before_fork,
        after_in_parent=_native.after_in_parent,
        after_in_child=_native.after_in_child,
    )
_atexit.register(_native.flush_all)
