"""Where the bench keeps what it writes: `.bench/` at the root of the repository, which git ignores."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
BENCH = TESTS.parent / ".bench"
RESULTS = BENCH / "results.json"

DISK = "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108
"""Where caches on disk lie: a real disk, which `/tmp` often is not. Not the checkout: an ext4 without a journal looks
through all inodes deleted in the last minutes before it gives one out, and a checkout has just seen many come and go."""
