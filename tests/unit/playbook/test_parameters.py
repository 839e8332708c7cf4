"""What people give for parameters: of its type, and nothing that no record can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.inventory.load import load_network
from controller.models.errors import InputError, PlanRefusedError
from controller.playbook.engine.plan_section import in_parameters
from controller.playbook.language.parameters import Parameter, ParameterType, parse_parameters
from controller.playbook.language.playbook import PlanSection
from tests.unit.inventory.files import write

WANTED = {
    name: Parameter.model_validate({"type": name, "description": "One.", "optional": True})
    for name in ("string", "int", "bool", "selector")
}


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("string", "Ñuñoa 5% {{ x }}", "Ñuñoa 5% {{ x }}"),
        ("int", "-12", -12),
        ("int", 10**18 - 1, 10**18 - 1),
        ("bool", "No", False),
        ("selector", "region=cusco|puno,rat=NR", "region=cusco|puno,rat=NR"),
        ("string", None, None),
    ],
)
def test_values(name: str, given: Any, value: Any) -> None:
    found = parse_parameters(WANTED, {name: given})
    assert found[name] == value
    assert orjson.loads(orjson.dumps(found)) == found


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("string", "\ud800"),
        ("string", "a\x7f"),
        ("string", "a\nb"),
        ("string", "safe\u202egnp"),
        ("string", "a\u2028b"),
        ("string", "x" * 2001),
        ("string", 5),
        ("string", ["x"]),
        ("int", 10**18),
        ("int", -(10**30)),
        ("int", "1" * 19),
        ("int", 1.5),
        ("int", True),
        ("int", "٣"),
        ("bool", 1),
        ("bool", "maybe"),
        ("selector", "region=\ud800"),
        ("selector", "nope=1"),
        ("other", "x"),
    ],
)
def test_what_is_refused(name: str, given: Any) -> None:
    with pytest.raises(InputError):
        parse_parameters(WANTED, {name: given})


def test_a_refusal_names_the_parameter_that_allows_it() -> None:
    numbers = {name: Parameter(type=ParameterType.INT, description="d") for name in ("stations", "nodes")}
    known = {**numbers, "tenant": Parameter(type=ParameterType.TENANT, description="d")}
    section = PlanSection(expect_stations="{{ stations }}", remove="{{ tenant }}={{ nodes | default('?') }}")
    touches = PlanRefusedError("in whatever words", expect_stations=44)
    removes = PlanRefusedError("name bitel=9; expect 7 devices", remove={"bitel": 3})
    of_two = PlanRefusedError(remove={"bitel": 3, "entel": 3})
    assert in_parameters(section, known, touches) == " (stations=44)"
    assert in_parameters(section, known, removes) == " (nodes=3)"
    assert in_parameters(section, known, of_two) == ""
    assert in_parameters(section, known, PlanRefusedError("name bitel=3; expect 4 devices")) == ""
    assert in_parameters(PlanSection(), known, touches) == ""


def test_a_router_that_is_not_managed_yet(tmp_path: Path) -> None:
    wanted = {"router": Parameter.model_validate({"type": "router", "description": "One."})}
    with pytest.raises(InputError, match="no such router; it is in the network files, but not managed"):
        parse_parameters(wanted, {"router": "RT-1"}, load_network(write(tmp_path)))
