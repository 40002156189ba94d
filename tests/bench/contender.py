"""Who takes part in a bench."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from importlib.util import find_spec
from typing import Protocol, TypeVar

UNDERCROFT = "undercroft"


class Scope(Enum):
    """Who is measured: everyone, or the peers alone (Undercroft need not be installed)."""

    EVERYONE = "everyone"
    PEERS = "peers"


class Contender(Protocol):
    """One cache, or one way of using it."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def package(self) -> str:
        """The module to import; empty for the standard library."""
        ...


C = TypeVar("C", bound=Contender)


def entrants(scope: Scope, contenders: Sequence[C]) -> list[C]:
    """Keeps the contenders that are in scope and installed."""
    invited = [one for one in contenders if scope is Scope.EVERYONE or one.package != UNDERCROFT]
    return [one for one in invited if is_installed(one.package)]


def is_installed(package: str) -> bool:
    """Whether `package` can be imported here; the standard library always can."""
    return not package or find_spec(package) is not None
