"""Every case of `tests/cases`, from Python."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from cases import Runner, expand, read
from undercroft import Cache, _native, errors
from undercroft.errors import ConfigInvalid, KeyInvalid

BEHAVIOUR = [
    pytest.param(case, id=case["name"])
    for name in ("freshness", "flight", "chain", "faults")
    for case in read(f"{name}.json")
]


@pytest.mark.parametrize("case", BEHAVIOUR)
def test_behaviour(case, tmp_path):
    async def run():
        runner = Runner(case["cache"], tmp_path)
        for at, step in enumerate(case["steps"], 1):
            try:
                await runner.step(step)
            except Exception as error:
                raise AssertionError(f"step {at}: {json.dumps(step)}: {error}") from error

    asyncio.run(run())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read("keys.json")["keys"]])
def test_keys(case):
    cache = Cache.from_config({"tiers": ["memory://"]})
    if case["valid"]:
        cache.put(case["key"], 1)
        assert cache.get(case["key"]) == 1
    else:
        with pytest.raises(KeyInvalid):
            cache.put(case["key"], 1)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read("keys.json")["templates"]])
def test_templates(case):
    signature = case["signature"]
    check = (case["template"], "f", *(signature[name] for name in ("names", "positions", "any_position", "any_name")))
    if "error" in case:
        with pytest.raises(ConfigInvalid) as raised:
            _native.check_template(*check)
        assert case["error"] in str(raised.value)
    else:
        _native.check_template(*check)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read("config.json")])
def test_config(case, tmp_path, monkeypatch):
    for name, value in case.get("env", {}).items():
        monkeypatch.setenv(name, value)
    config = json.dumps(expand(case["config"], tmp_path))
    if "error" in case:
        with pytest.raises(ConfigInvalid) as raised:
            _native.Cache.open(config, "json")
        assert case["error"] in str(raised.value)
    else:
        core = _native.Cache.open(config, "json")
        assert core.tier_names == case.get("names", core.tier_names)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read("envelope.json")])
def test_envelope(case):
    header, payload = bytes.fromhex(case["header"]), bytes.fromhex(case["payload"])
    if "corrupt" in case:
        with pytest.raises(errors.Corrupt, match=case["corrupt"]):
            _native.read_envelope(header, payload)
    else:
        names = ("codec", "compressed", "signed", "created_at", "fresh_until", "stale_until")
        assert _native.read_envelope(header, payload) == tuple(case[name] for name in names)


def test_every_error_of_the_contract_is_a_class():
    contract = json.loads(_native.contract())
    assert {error["code"]: error["retryable"] for error in contract["errors"]} == {
        code: error.retryable for code, error in errors.BY_CODE.items()
    }


def test_the_contract_is_the_one_of_the_repository():
    path = os.path.join(os.path.dirname(__file__), "..", "contract.json")
    with open(path, encoding="utf-8") as file:
        assert json.loads(_native.contract()) == json.load(file)
