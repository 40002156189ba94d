"""`Cache`: what the decorators stand on, for those who want the verbs themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _native
from ._flight import _LINEAGE
from .stores import _named, as_cache, entry_async

if TYPE_CHECKING:
    from typing_extensions import Self


class Cache:
    """A chain of stores, the flights over it, and a default policy.

    A read that ends in a value: `begin` answers with a hit, a stale value (perhaps with a lease), or a miss with a
    lease. Who holds the lease loads the value and calls `fulfil`, or `fail`. The verbs that may wait have a twin that
    ends in `_async` and returns an awaitable.

    Args:
        stores: Stores, nearest first; memory in front is the near tier.
        ttl: For how many seconds a value is fresh; `None` for ever.
        **policy: `stale`, `stale_if_error`, `jitter`, `refresh_ahead`, `soft_timeout`, `hard_timeout`, `lock_timeout`.

    Example:
        >>> from undercroft import Cache, InMemCache
        >>> cache = Cache(InMemCache(), ttl=60)
        >>> found = cache.begin("answer")
        >>> found.state
        'miss'
        >>> cache.fulfil(found.lease, 42)
        >>> cache.begin("answer").value
        42
    """

    def __init__(self, *stores: Any, ttl: Any = None, **policy: Any) -> None:
        tiers = [tier for store in stores for tier in as_cache(store).tiers]
        self._core: _native.Cache = _native.Cache(_named(tiers), _native.Policy(ttl, **policy))

    @classmethod
    def from_config(
        cls,
        config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        clock: _native.ManualClock | None = None,
        faults: bool = False,
    ) -> Self:
        """Open a configuration: a mapping, a text in JSON, or the path of a `.json`, `.yaml` or `.toml` file.

        Raises:
            ConfigInvalid: It is not valid; the message names what and where.
        """
        import json
        import pathlib

        if isinstance(config, Mapping):
            text, form = json.dumps(config), "json"
        elif isinstance(config, str) and config.lstrip().startswith("{"):
            text, form = config, "json"
        else:
            path = pathlib.Path(config)
            text, form = path.read_text(encoding="utf-8"), path.suffix.lstrip(".")
        made = cls.__new__(cls)
        made._core = _native.Cache.open(text, form, clock=clock, faults=faults)
        return made

    def _ask(self, policy: _native.Policy | None, skip: Sequence[str]) -> _native.Ask:
        return _native.Ask(policy or self._core.policy, skip=list(skip))

    def begin(self, key: str, *, skip: Sequence[str] = (), policy: _native.Policy | None = None) -> _native.Found:
        """Start a read that ends in a value: from the chain, from another caller, or from this one."""
        return self._core.begin(key, self._ask(policy, skip), _LINEAGE.get())

    async def begin_async(
        self, key: str, *, skip: Sequence[str] = (), policy: _native.Policy | None = None
    ) -> _native.Found:
        """Like `begin`; the event loop is never blocked."""
        return await self._core.begin_async(key, self._ask(policy, skip), _LINEAGE.get())

    def claim(self, key: str) -> _native.Lease | None:
        """Take the lease on a key whatever the chain holds, unless another caller has it."""
        return self._core.claim(key)

    def fulfil(
        self, lease: _native.Lease, value: Any, *, policy: _native.Policy | None = None, skip: Sequence[str] = ()
    ) -> None:
        """Put the value a lease stands for, and give it to all who wait."""
        self._core.fulfil(lease, value, self._ask(policy, skip))

    async def fulfil_async(
        self, lease: _native.Lease, value: Any, *, policy: _native.Policy | None = None, skip: Sequence[str] = ()
    ) -> None:
        """Like `fulfil`; the event loop is never blocked."""
        await self._core.fulfil_async(lease, value, self._ask(policy, skip))

    def fail(self, lease: _native.Lease) -> _native.Found | None:
        """End a lease whose load failed, and return what to serve instead, if there is something."""
        return self._core.fail(lease)

    def get(self, key: str, default: Any = None, *, skip: Sequence[str] = ()) -> Any:
        """Return the value under a key if it may be served at all, or `default`. Never waits for a loader."""
        found = self._core.entry(key, list(skip))
        return default if found is None else found.value

    async def get_async(self, key: str, default: Any = None, *, skip: Sequence[str] = ()) -> Any:
        """Like `get`; the event loop is never blocked."""
        found = await entry_async(self._core, key, skip)
        return default if found is None else found.value

    def entry(self, key: str, *, skip: Sequence[str] = ()) -> _native.Found | None:
        """Return the value under a key with its deadlines and the tier that answered."""
        return self._core.entry(key, list(skip))

    def put(self, key: str, value: Any, *, policy: _native.Policy | None = None) -> None:
        """Put a value into every tier, the furthest first."""
        self._core.put(key, value, policy)

    async def put_async(self, key: str, value: Any, *, policy: _native.Policy | None = None) -> None:
        """Like `put`; the event loop is never blocked."""
        await self._core.put_async(key, value, policy)

    def put_if_absent(self, key: str, value: Any, *, policy: _native.Policy | None = None) -> bool:
        """Put a value only if the key is absent; the furthest tier decides."""
        return self._core.put_if_absent(key, value, policy or self._core.policy)

    def exists(self, key: str) -> bool:
        """Say whether a key holds something fresh, without fetching it."""
        return self._core.exists(key)

    def expire(self, key: str) -> None:
        """Mark a key as stale: it is served on until it ends, and the next caller refreshes it."""
        self._core.expire(key)

    async def expire_async(self, key: str) -> None:
        """Like `expire`; the event loop is never blocked."""
        await self._core.expire_async(key)

    def delete(self, key: str) -> None:
        """Delete a key from every tier, far first, and revoke the lease that is out on it."""
        self._core.delete(key)

    async def delete_async(self, key: str) -> None:
        """Like `delete`; the event loop is never blocked."""
        await self._core.delete_async(key)

    def clear(self, prefix: str = "") -> int:
        """Delete every key that begins with `prefix`, and say how many there were."""
        return self._core.clear(prefix)

    async def clear_async(self, prefix: str = "") -> int:
        """Like `clear`; the event loop is never blocked."""
        return await self._core.clear_async(prefix)

    def sweep(self) -> int:
        """Remove what can never be served again, and say how many there were."""
        return self._core.sweep()

    def stats(self) -> dict[str, Any]:
        """Say how often each thing happened, and how often each tier answered."""
        return self._core.stats()

    def listen(self, sink: Any) -> None:
        """Call `sink(kind, key, tier, message)` for every event that is not a hit."""
        self._core.listen(sink)

    @property
    def tier_names(self) -> list[str]:
        """The names of the tiers, nearest first."""
        return self._core.tier_names

    def close(self) -> None:
        """Write what is waiting, and let go of files and connections. Later calls raise `Closed`."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
