"""The main job: analyse every module of this Python's standard library, again and again.

First cold, then from memory, then in a new process from the disk; and at last Node reads from that disk what Python has
computed. All must give the same results.
"""

from __future__ import annotations

import argparse
import ast
import json
import pathlib
import pickle
import subprocess
import sys
import sysconfig
import tempfile
import time
from typing import Any

from undercroft import ChainCache, InMemCache, LocalFileCache, TTLCache

BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.comprehension,
    ast.match_case,
)


def modules() -> list[pathlib.Path]:
    """Return the source file of every module of the standard library; its tests are no modules of it."""
    root = pathlib.Path(sysconfig.get_path("stdlib"))
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        top = parts[0].removesuffix(".py")
        if top in sys.stdlib_module_names and not {"test", "tests", "idle_test", "site-packages"} & set(parts):
            found.append(path)
    return found


def complexity(node: ast.AST) -> int:
    """Return McCabe's cyclomatic complexity of a function: one more than its decisions."""
    decisions = 0
    for inner in ast.walk(node):
        if isinstance(inner, BRANCHES):
            decisions += 1
        elif isinstance(inner, ast.BoolOp):
            decisions += len(inner.values) - 1
    return decisions + 1


def analyser(folder: str) -> Any:
    """Return the analysis of a module, cached in memory over the folder."""
    chain = ChainCache([(InMemCache(), 60), (LocalFileCache(folder, serializer="json"), 3600)])

    @TTLCache.cached("module:{}", ttl=3600, cache=chain)
    def analyse(path: str) -> dict[str, Any]:
        source = pathlib.Path(path).read_bytes()
        tree = ast.parse(source)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        grades = {f"{node.name}:{node.lineno}": complexity(node) for node in functions}
        return {
            "bytes": len(source),
            "lines": source.count(b"\n"),
            "classes": sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree)),
            "functions": len(functions),
            "complexity": sum(grades.values()),
            "hardest": list(max(grades.items(), key=lambda item: item[1], default=("", 0))),
        }

    return analyse


def bar(name: str, done: int, total: int) -> None:
    """Draw the progress of a pass."""
    if sys.stderr.isatty() or done == total:
        width = 40
        filled = width * done // total
        end = "\n" if done == total else "\r"
        print(f"{name:<22} [{'#' * filled}{'.' * (width - filled)}] {done}/{total}", end=end, file=sys.stderr)


def run(name: str, analyse: Any, paths: list[pathlib.Path]) -> dict[str, Any]:
    """Analyse every module once, and say what it took."""
    before = analyse.cache_info()
    results = {}
    seconds = 0.0
    for done, path in enumerate(paths, 1):
        started = time.perf_counter()
        results[str(path)] = analyse(str(path))
        seconds += time.perf_counter() - started
        bar(name, done, len(paths))
    after = analyse.cache_info()
    hits = {tier: counts["hits"] - before.tiers[tier]["hits"] for tier, counts in after.tiers.items()}
    return {
        "name": name,
        "calls": len(paths),
        "hits": hits,
        "loads": after.loads - before.loads,
        "seconds": seconds,
        "results": results,
    }


def in_node(folder: str, paths: list[pathlib.Path]) -> dict[str, Any]:
    """Have Node read from the folder, where everything is there already."""
    program = pathlib.Path(__file__).with_name("read.js")
    output = subprocess.run(
        ["node", program, folder],
        input=json.dumps([str(path) for path in paths]),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    bar("Node, warm disk", len(paths), len(paths))
    return {"name": "Node, warm disk", "calls": len(paths), **json.loads(output)}


def main() -> int:
    """Run the passes, print the table, and compare the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", metavar="FOLDER", help=argparse.SUPPRESS)
    again = parser.parse_args().again
    paths = modules()
    if again:
        done = run("new process, warm disk", analyser(again), paths)
        sys.stdout.buffer.write(pickle.dumps(done))
        return 0

    with tempfile.TemporaryDirectory() as folder:
        analyse = analyser(folder)
        passes = [run("cold", analyse, paths), run("warm memory", analyse, paths)]
        output = subprocess.run(
            [sys.executable, __file__, "--again", folder], stdout=subprocess.PIPE, check=True
        ).stdout
        passes.append(pickle.loads(output))
        passes.append(in_node(folder, paths))

    print(f"\n{'pass':<24}{'calls':>7}{'memory':>9}{'disk':>7}{'loaded':>8}{'time':>12}{'speed-up':>10}")
    cold = passes[0]["seconds"]
    for item in passes:
        hits = item["hits"]
        speed = f"{cold / item['seconds']:,.0f} x"
        print(
            f"{item['name']:<24}{item['calls']:>7}{hits['l1']:>9}{hits['l2']:>7}{item['loads']:>8}"
            f"{item['seconds'] * 1000:>9,.1f} ms{speed:>10}"
        )
    first = passes[0]["results"]
    same = all(item["results"] == first for item in passes)
    total = {name: sum(result[name] for result in first.values()) for name in ("lines", "functions", "complexity")}
    print(
        f"\n{len(first)} modules, {total['lines']:,} lines, {total['functions']:,} functions, complexity {total['complexity']:,}"
    )
    print("the results of all passes are equal" if same else "THE RESULTS OF THE PASSES DIFFER")
    if same:
        print(
            f"Node read from the shared tier what Python computed: {len(first)} of {len(first)} modules, none loaded anew"
        )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
