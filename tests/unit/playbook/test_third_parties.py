"""Actions of installed packages: found by entry points, and refused by name where a package offers something wrong."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Annotated, Any

import pytest

from controller.inventory.source import Report
from controller.models.errors import InputError
from controller.models.network import Noun
from controller.playbook.actions.shipped import SHIPPED
from controller.playbook.language.library import parse
from controller.playbook.language.registry import (
    GROUP,
    Context,
    DeviceAccess,
    Within,
    action,
    with_third_parties,
)

HERE = "tests.unit.playbook.test_third_parties"
TEXT = (
    "name: own\ndescription: x\ntargets: '*'\nsteps:\n"
    '  - {name: greet, action: greet, with: {whom: ana}, checks: ["{{ output.words | length > 0 }}"]}\n'
)


class Recipient(Noun):
    """Who is greeted."""

    whom: str


class MessageText(Noun):
    """What is said."""

    words: str


@action("greet", DeviceAccess.NONE)
async def greet(context: Context, given: Recipient) -> MessageText:
    """Greet somebody."""
    return MessageText(words=f"hello {given.whom} from {context.station}")


@action("read-state", DeviceAccess.NONE)
async def taken(context: Context, given: Recipient) -> MessageText:
    """Have a name that is taken."""
    return MessageText(words=given.whom)


def offered(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found = [EntryPoint("one", f"{HERE}:{name}" if ":" not in name else name, GROUP)]
    monkeypatch.setattr(
        "controller.playbook.language.registry.entry_points", lambda group: found if group == GROUP else []
    )


def test_an_action_of_a_package_is_known_like_the_shipped_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, "greet")
    registry, report = with_third_parties(SHIPPED), Report()
    assert registry.action("greet").description == "Greet somebody."
    assert parse(TEXT, "own.yaml", registry, report) is not None, report.problems
    parse(TEXT.replace("whom:", "who:"), "own.yaml", registry, report)
    assert "greet has no such input; did you mean 'whom'" in str(report.problems[0])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Recipient", "is not an action"),
        ("taken", "there is an action read-state already"),
        ("nobody", "can't be loaded"),
        ("no.such.package:greet", "can't be loaded: No module named"),
    ],
)
def test_what_is_wrong_names_its_package(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    offered(monkeypatch, name)
    with pytest.raises(InputError, match=said):
        with_third_parties(SHIPPED)


def test_who_changes_a_station_proposes() -> None:
    with pytest.raises(TypeError, match="an action that changes returns a Proposal"):

        @action("rogue", DeviceAccess.CHANGES)
        async def rogue(context: Context, given: Recipient) -> MessageText:
            return MessageText(words=given.whom)


class Greeted(Noun):
    """Who was greeted."""

    whom: Annotated[tuple[str, ...], Within("whom")]


def test_an_output_is_bounded_by_an_input_that_there_is() -> None:
    @action("greet-all", DeviceAccess.NONE)
    async def greet_all(context: Context, given: Recipient) -> Greeted:
        return Greeted(whom=(given.whom,))

    assert (greet_all.bounds, greet.bounds) == ({"whom": "whom"}, {})
    for given in ({"whom": "ana"}, {"whom": ["ana", "eva"]}, {"whom": "all"}):
        greet_all.check_bounds(given, {"whom": ["ana"]})
    others: tuple[Any, ...] = ("eva", [], None)
    for other in others:
        with pytest.raises(InputError, match="the action names ana as whom, which its input whom does not"):
            greet_all.check_bounds({"whom": other}, {"whom": ["ana"]})
    with pytest.raises(TypeError, match="outputs are within whom, and there is no such input"):

        @action("greet-nobody", DeviceAccess.NONE)
        async def greet_nobody(context: Context, given: MessageText) -> Greeted:
            return Greeted(whom=())
