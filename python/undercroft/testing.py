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

from ._native import Faults, ManualClock
from .cache import Cache

__all__ = ["Faults", "ManualClock", "faults", "open_cache"]


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
