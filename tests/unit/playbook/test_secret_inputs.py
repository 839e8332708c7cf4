"""What is masked of secrets: texts, keys, numbers, secrets inside of others; and which are resolved for whom. Pure."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from controller.drivers.target import DeviceTarget
from controller.models.credentials import Credentials
from controller.models.errors import InputError
from controller.models.network import Noun
from controller.playbook.engine.secret_inputs import NO_SECRETS, Mask, resolved
from controller.playbook.language.registry import Context, DeviceAccess, action
from tests.unit.runs.transaction_bench import TARGET


def mask(**secrets: str) -> Mask:
    return NO_SECRETS.with_secrets((name, SecretStr(value)) for name, value in secrets.items())


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("an s3cret, twice s3cret", "an [secret a], twice [secret a]"),
        ("s3cret-longer", "[secret b]"),
        ({"s3cret": ["x", ("s3cret",)]}, {"[secret a]": ["x", ["[secret a]"]]}),
        ({4711: 1}, {"[secret c]": 1}),
        (4711, "[secret c]"),
        (47110, 47110),
        ({"s3cret"}, ["[secret a]"]),
        (None, None),
        (True, True),
    ],
)
def test_a_value_is_masked_wherever_it_stands(said: object, masked: object) -> None:
    secrets = mask(a="s3cret", b="s3cret-longer", c="4711")
    assert secrets.masked(said) == masked
    assert mask(b="s3cret-longer", c="4711", a="s3cret").masked(said) == masked, "in whatever order they came"
    assert NO_SECRETS.masked(said) == (["s3cret"] if said == {"s3cret"} else _listed(said))


def _listed(said: object) -> object:
    """Tuples become lists, as on record."""
    if isinstance(said, dict):
        return {key: _listed(one) for key, one in said.items()}
    return [_listed(one) for one in said] if isinstance(said, list | tuple) else said


def test_an_empty_or_unknown_value_masks_nothing_and_a_replaced_one_stays_masked() -> None:
    assert not mask(a="")
    assert mask(a="").masked("text") == "text"
    assert not NO_SECRETS.with_secrets([("a", None)])
    both = mask(a="old").with_secrets([("a", SecretStr("new"))])
    assert both.masked("old new") == "[secret a] [secret a]"


class Opened(Noun):
    """What opens a portal."""

    token: SecretStr
    second: SecretStr | None = None


@action("open-portal", DeviceAccess.NONE)
async def open_portal(context: Context, given: Opened) -> Noun:
    """Open it."""
    return Noun()


ALLOWED = {"portal": {"reference": "env:P", "networks": ["127.0.0.0/8"], "actions": ["open-portal"]}}


@pytest.mark.parametrize(
    ("actions", "value", "wrong"),
    [(["open-portal"], "x", ""), (["other"], "x", "open-portal"), (["open-portal"], "", "is empty")],
)
async def test_a_secret_is_resolved_for_an_action_that_may_get_it(actions: list[str], value: str, wrong: str) -> None:
    credentials = Credentials.model_validate({"credentials": {"portal": ALLOWED["portal"] | {"actions": actions}}})
    asked: list[str] = []

    async def secret_for(target: DeviceTarget, name: str) -> SecretStr:
        asked.append(name)
        return SecretStr(value)

    given = {"token": "portal", "second": None}
    if wrong:
        with pytest.raises(InputError, match=wrong):
            await resolved(open_portal, given, TARGET, credentials, secret_for)
        assert asked == ([] if wrong == "open-portal" else ["portal"])
        return
    found = await resolved(open_portal, given, TARGET, credentials, secret_for)
    assert {name: one.get_secret_value() for name, one in found.items()} == {"token": "x"}
