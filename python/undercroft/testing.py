"""For tests: time that passes only when told to, and tiers that fail on purpose.

Example:
    >>> clock = ManualClock()
    >>> cache = open_cache({"tiers": ["memory://"], "policy": {"ttl": "60s"}}, clock)
    >>> cache.put("k", 1)
    >>> clock.advance(61)
    >>> cache.get("k") is None
    True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _native
from ._native import Faults, ManualClock
from .cache import Cache

__all__ = ["Faults", "ManualClock", "faults", "forget_near", "open_cache", "put_far"]


def open_cache(config: Mapping[str, Any] | str, clock: ManualClock) -> Cache:
    """Open a configuration on a manual clock, with every far tier ready to fail."""
    return Cache.from_config(config, clock=clock, faults=True)


def faults(cache: Cache, tier: str) -> Faults:
    """Return the faults of a far tier of a cache that `open_cache` opened.

    Raises:
        KeyError: There is no such far tier.
    """
    found = cache._core.faults(tier)
    if found is None:
        raise KeyError(tier)
    return found


def forget_near(cache: Cache, key: str) -> bool:
    """Remove a key from the near tier alone, as eviction does, and say whether it was there."""
    return _native.forget_near(cache._core, key)


def put_far(cache: Cache, tier: str, key: str, value: Any) -> None:
    """Put a value into one far tier alone, as another process may."""
    _native.put_far(cache._core, tier, key, value)
