"""The JSON of a run: bars and tables, with what is needed to judge them later."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

from .contender import Scope
from .place import RESULTS
from .report import Section

PACKAGES = (
    "undercroft",
    "advanced-caching",
    "boto3",
    "cachebox",
    "cachetools",
    "diskcache",
    "lru-dict",
    "minio",
    "moka-py",
    "obstore",
    "theine",
    "warp-cache",
)


def write(scope: Scope, sections: Mapping[str, Section], crashed: Mapping[str, str]) -> None:
    """Writes the results file; the last run wins."""
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "scope": scope.value,
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {package: installed(package) for package in PACKAGES},
        "benches": {name: asdict(section) for name, section in sections.items()},
        "crashed": dict(crashed),
    }
    RESULTS.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def absent() -> list[str]:
    """Names the packages that are not installed, so that no table hides it."""
    return [package for package in PACKAGES if installed(package) is None]


def installed(package: str) -> str | None:
    """Returns the installed version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
