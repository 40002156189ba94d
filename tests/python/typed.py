"""What type checkers must see: decorated functions keep their parameters and results. Checked by mypy, never run."""

from __future__ import annotations

from typing_extensions import assert_type
from undercroft import SWRCache, TTLCache, cache


@TTLCache.cached("user:{}", 60)
def get_user(number: int, *, full: bool = False) -> dict[str, int]:
    return {"id": number}


@SWRCache.cached("feed:{}", 60, 30)
async def get_feed(number: int) -> list[str]:
    return []


class Service:
    @cache(60)
    def find(self, name: str) -> int:
        return len(name)


assert_type(get_user(1, full=True), dict[str, int])
assert_type(Service().find("x"), int)
assert_type(Service.find(Service(), "x"), int)


async def main() -> None:
    assert_type(await get_feed(1), list[str])


get_user.invalidate(1)
get_user("one")  # type: ignore[arg-type]
get_user(number=1, fool=True)  # type: ignore[call-arg]
Service().find(1)  # type: ignore[arg-type]
