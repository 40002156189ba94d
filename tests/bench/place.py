"""Where the bench keeps what it writes: `.bench/` at the root of the repository, which git ignores."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
BENCH = TESTS.parent / ".bench"
RESULTS = BENCH / "results.json"
