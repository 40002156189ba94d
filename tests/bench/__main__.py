"""Runs the benches: `python -m bench [--peers-only] [hit ways raw weight stampede ratio disk objects component node node_memory]`.

A bar that falls short is a finding, not a failure: the exit code is 0. It is 1 when a bench crashed.
"""

# ruff: noqa: T201  (printing is its work)
from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable

from . import component, disk, hit, node, node_memory, objects, ratio, raw, results, stampede, ways, weight
from .contender import UNDERCROFT, Scope, is_installed
from .report import Section, render

BENCHES: dict[str, Callable[[Scope], Section]] = {
    "hit": hit.run,
    "ways": ways.run,
    "raw": raw.run,
    "weight": weight.run,
    "stampede": stampede.run,
    "ratio": ratio.run,
    "disk": disk.run,
    "objects": objects.run,
    "component": component.run,
    "node": node.run,
    "node_memory": node_memory.run,
}


def main() -> int:
    """Runs what the command line names, prints the tables and writes the results."""
    names, scope = command_line()
    if scope is Scope.EVERYONE and not is_installed(UNDERCROFT):
        print(f"{UNDERCROFT} is not installed here; --peers-only measures the others", file=sys.stderr)
        return 2
    sections: dict[str, Section] = {}
    crashed: dict[str, str] = {}
    for name in names:
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        begun = time.monotonic()
        try:
            sections[name] = BENCHES[name](scope)
        except Exception:
            crashed[name] = traceback.format_exc()
        print(f"{'crashed' if name in crashed else 'done'} in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    results.write(scope, sections, crashed)
    print(render(list(sections.values())))
    for package in results.absent():
        print(f"\nnot measured, not installed: {package}")
    for name, trace in crashed.items():
        print(f"\nthe bench {name} crashed:\n{trace}", file=sys.stderr)
    return 1 if crashed else 0


def command_line() -> tuple[list[str], Scope]:
    """Reads which benches to run, all by default, and on whom."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Undercroft against its peers.")
    parser.add_argument("benches", nargs="*", metavar="bench", help=f"one or more of: {', '.join(BENCHES)}")
    parser.add_argument("--peers-only", action="store_true", help="leave Undercroft out")
    given = parser.parse_args()
    for name in given.benches:
        if name not in BENCHES:
            parser.error(f"no bench {name!r}; there are: {', '.join(BENCHES)}")
    return given.benches or list(BENCHES), Scope.PEERS if given.peers_only else Scope.EVERYONE


if __name__ == "__main__":
    sys.exit(main())
