"""The README's quick start of the component in Python runs; those of other hosts run where their tests are."""

from __future__ import annotations

import os
import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[2] / "README.md"
(QUICK_START,) = re.findall(r"```py\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_component_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.environ["UNDERCROFT_COMPONENTS"])
    exec(compile(QUICK_START, "README.md", "exec"), {"__name__": "readme"})
