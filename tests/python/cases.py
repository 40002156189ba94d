"""Runs the cases of `tests/cases` through the Python package. A case is data; this says what its verbs do."""

from __future__ import annotations

import asyncio
import json
import pathlib
from typing import Any

from undercroft import Cache, CacheError
from undercroft._native import Ask
from undercroft.testing import ManualClock, faults, forget_near, open_cache, put_far

FOLDER = pathlib.Path(__file__).parents[1] / "cases"


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def expand(cache: Any, folder: pathlib.Path) -> Any:
    """Replace the shorthands of a case's cache: `near` and `far` are memory, `{tmp}` is a fresh folder."""
    cache = json.loads(json.dumps(cache).replace("{tmp}", str(folder)))
    if isinstance(cache, dict) and isinstance(cache.get("tiers"), list):
        short = {name: {"url": "memory://", "name": name} for name in ("near", "far", "deep")}
        cache["tiers"] = [short.get(tier, tier) if isinstance(tier, str) else tier for tier in cache["tiers"]]
    return cache


def seconds(text: str) -> float:
    sign = -1 if text.startswith("-") else 1
    for unit, factor in (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)):
        if text.endswith(unit):
            return sign * float(text.lstrip("-").removesuffix(unit)) * factor
    raise ValueError(text)


class Runner:
    """One case under way."""

    def __init__(self, cache: Any, folder: pathlib.Path) -> None:
        self.clock = ManualClock()
        self.cache: Cache = open_cache(expand(cache, folder), self.clock)
        self.core = self.cache._core
        self.leases: dict[str, Any] = {}
        self.flights: dict[str, int] = {}
        self.begins: dict[str, asyncio.Future[Any]] = {}
        self.fulfils: dict[str, asyncio.Future[Any]] = {}

    async def step(self, step: dict[str, Any]) -> None:
        await getattr(self, "do_" + step["do"])(step)

    def ask(self, step: dict[str, Any]) -> Ask:
        return Ask(self.core.policy, skip=step.get("skip", []))

    async def do_advance(self, step: dict[str, Any]) -> None:
        self.clock.advance(seconds(step["by"]))
        # What the clock woke runs on other threads: let those that can end do so.
        for future in self.begins.values():
            await asyncio.wait({future}, timeout=0.05)

    async def do_step_wall(self, step: dict[str, Any]) -> None:
        self.clock.step_wall(seconds(step["by"]))

    async def do_put(self, step: dict[str, Any]) -> None:
        await self.cache.put_async(step["key"], step["value"])

    async def do_put_if_absent(self, step: dict[str, Any]) -> None:
        assert self.cache.put_if_absent(step["key"], step["value"]) is step["expect"]

    async def do_put_far(self, step: dict[str, Any]) -> None:
        put_far(self.cache, step["tier"], step["key"], step["value"])

    async def do_forget_near(self, step: dict[str, Any]) -> None:
        assert forget_near(self.cache, step["key"])

    async def do_get(self, step: dict[str, Any]) -> None:
        missing = object()
        found = await self.cache.get_async(step["key"], missing, skip=step.get("skip", ()))
        expected = step["expect"]
        assert found is missing if expected.get("miss") else found == expected["value"], found

    async def do_exists(self, step: dict[str, Any]) -> None:
        assert self.cache.exists(step["key"]) is step["expect"]

    async def do_begin(self, step: dict[str, Any]) -> None:
        lineage = [self.flights[name] for name in step.get("inside", ())]
        expected = step["expect"]
        future = self.core.begin_async(step["key"], self.ask(step), lineage)
        if expected.get("waits"):
            assert isinstance(future, asyncio.Future), "it waits"
            self.begins[step["as"]] = future
            return
        await self.check(future, step.get("as"), expected)

    async def do_join(self, step: dict[str, Any]) -> None:
        await self.check(self.begins.pop(step["begin"]), step["begin"], step["expect"])

    async def do_settle(self, step: dict[str, Any]) -> None:
        await self.begins.pop(step["begin"])

    async def do_cancel(self, step: dict[str, Any]) -> None:
        future = self.begins.pop(step["begin"])
        future.cancel()
        await asyncio.wait({future})
        await asyncio.sleep(0)

    async def check(self, future: Any, name: str | None, expected: dict[str, Any]) -> None:
        if "error" in expected:
            try:
                await future
            except CacheError as error:
                assert error.code == expected["error"]  # noqa: PT017
                return
            raise AssertionError("an error was expected")
        found = await future
        assert found.state in expected, found
        if found.has_value:
            assert found.value == expected[found.state]
        if "tier" in expected:
            assert found.tier == expected["tier"]
        if "lease" in expected:
            assert (found.lease is not None) is expected["lease"], "the lease"
        if found.lease is not None:
            if name is None:
                found.lease.drop()
            else:
                self.leases[name] = found.lease
                self.flights[name] = found.lease.flight

    async def do_claim(self, step: dict[str, Any]) -> None:
        lease = self.cache.claim(step["key"])
        assert (lease is not None) is step["expect"]
        if lease is not None and "as" in step:
            self.leases[step["as"]] = lease

    async def do_fulfil(self, step: dict[str, Any]) -> None:
        found = await self.core.fulfil_async(self.leases.pop(step["lease"]), step["value"], self.ask(step))
        assert found.value == step["value"], "who fulfils gets its value back"

    async def do_start_fulfil(self, step: dict[str, Any]) -> None:
        future = self.core.fulfil_async(self.leases.pop(step["lease"]), step["value"], self.ask(step))
        assert isinstance(future, asyncio.Future), "it waits"
        self.fulfils[step["as"]] = future

    async def do_join_fulfil(self, step: dict[str, Any]) -> None:
        await self.fulfils.pop(step["fulfil"])

    async def do_fail(self, step: dict[str, Any]) -> None:
        served = self.cache.fail(self.leases.pop(step["lease"]))
        if step["expect"].get("nothing"):
            assert served is None
        else:
            assert served is not None
            assert served.value == step["expect"]["stale"]

    async def do_drop(self, step: dict[str, Any]) -> None:
        self.leases.pop(step["lease"]).drop()

    async def do_resume(self, step: dict[str, Any]) -> None:
        found = await self.core.resume_async(self.leases.pop(step["lease"]), self.ask(step))
        if "hit" in step["expect"]:
            assert found.value == step["expect"]["hit"]
        else:
            self.leases[step["as"]] = found.lease

    async def do_delete(self, step: dict[str, Any]) -> None:
        expected = step.get("expect", {}).get("error")
        try:
            await self.cache.delete_async(step["key"])
        except CacheError as error:
            assert error.code == expected  # noqa: PT017
        else:
            assert expected is None

    async def do_expire(self, step: dict[str, Any]) -> None:
        await self.cache.expire_async(step["key"])

    async def do_clear(self, step: dict[str, Any]) -> None:
        assert await self.cache.clear_async(step["prefix"]) == step["expect"]

    async def do_fault(self, step: dict[str, Any]) -> None:
        faults(self.cache, step["tier"]).plan(step["fault"], step["on"], step.get("times"))

    async def do_heal(self, step: dict[str, Any]) -> None:
        faults(self.cache, step["tier"]).heal()

    async def do_release(self, step: dict[str, Any]) -> None:
        faults(self.cache, step["tier"]).release()

    async def do_stats(self, step: dict[str, Any]) -> None:
        stats = self.cache.stats()
        assert {name: stats[name] for name in step["expect"]} == step["expect"]
