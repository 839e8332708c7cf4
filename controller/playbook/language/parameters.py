"""Typed parameters of playbooks, and the values that people give."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from controller.inventory.selectors import hint_at, parse_selector, select
from controller.inventory.source import show, suggest
from controller.models.errors import InputError
from controller.models.network import Network, Noun

#: Names that people and expressions use.
VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$"),
    Field(description="Lower-case letters, digits and underscores, beginning with a letter."),
]
#: A plain value of a parameter.
Plain = str | int | bool | None
_LONGEST = 2000
#: Error of a secret that is given in clear text, or under an unknown name; it doesn't repeat what was given.
BY_NAME = "a secret is given by the name of a credential of the server's settings, never by its value"
_CREDENTIAL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
#: Categories of characters that no record can hold, or that make a text look like another.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class ParameterType(StrEnum):
    """Type of a parameter; the last eight refer to the network."""

    STRING = "string"
    INT = "int"
    BOOL = "bool"
    TENANT = "tenant"
    REGION = "region"
    SITE = "site"
    STATION = "station"
    ROUTER = "router"
    FUNCTION = "function"
    POOL = "pool"
    SELECTOR = "selector"


class Parameter(Noun):
    """One parameter of a playbook.

    Attributes:
        type: Type of the value.
        description: For people.
        default: Value if none is given; without a default the parameter must be given.
        optional: Whether it may be left out; it is then none.
        choices: All allowed values.
        min: Smallest number; for texts, smallest number of characters.
        max: Largest number; for texts, largest number of characters.
        secret: Whether it is a secret of the server: who asks for the run gives the name of a credential of
            `MINKA_CREDENTIALS`, never the value. Only inputs of actions that are secrets may get it.
    """

    type: ParameterType = ParameterType.STRING
    description: str
    default: str | None = None
    optional: bool = False
    choices: tuple[str, ...] = ()
    min: int | None = None
    max: int | None = None
    secret: bool = False

    @model_validator(mode="after")
    def _secret_stands_alone(self) -> Parameter:
        others = {"type": self.type is not ParameterType.STRING, "default": self.default is not None}
        others |= {"choices": bool(self.choices), "min": self.min is not None, "max": self.max is not None}
        if self.secret and (wrong := [name for name, given in others.items() if given]):
            raise ValueError(f"a secret is the name of a credential, and has no {' and no '.join(wrong)} of its own")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Parameter:
        if self.type not in (ParameterType.STRING, ParameterType.INT) and (self.min, self.max) != (None, None):
            raise ValueError(f"min and max do not belong to type {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is more than max")
        wrong = []
        for value in (*self.choices, *(() if self.default is None else (self.default,))):
            try:
                self.parse(value)
            except InputError as error:
                wrong.append(f"{value!r}: {error.message}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is None and not self.optional

    def _plain(self, given: Any) -> str | int | bool:
        parser: Callable[[Any], str | int | bool] = _PARSERS.get(self.type, _text)
        return parser(given)

    def parse(self, given: Any) -> Plain:
        """The given value, by the parameter's type; references are not looked up yet.

        Raises:
            InputError: It is of another type, or out of range.
        """
        if self.secret:
            return _credential(given)
        value = self._plain(given)
        size, unit = (len(value), " characters") if isinstance(value, str) else (value, "")
        if self.min is not None and size < self.min:
            raise InputError(f"too {'short' if unit else 'small'}: at least {self.min}{unit}")
        if self.max is not None and size > self.max:
            raise InputError(f"too {'long' if unit else 'large'}: at most {self.max}{unit}")
        if self.choices and value not in {self._plain(choice) for choice in self.choices}:
            raise InputError(suggest(str(value), self.choices) or f"choices are {', '.join(self.choices)}")
        return value

    def look_up(self, value: str, network: Network) -> None:
        """Check that the object that a value refers to is in the network files.

        Raises:
            InputError: It is not.
        """
        if self.type is ParameterType.SELECTOR:
            select(network, value)
        elif self.type in _KNOWN and value not in (known := _KNOWN[self.type](network)):
            hint = hint_at(network, self.type, value, known)
            raise InputError(f"no such {self.type}{hint and '; '}{hint}")


def parse_parameters(
    wanted: Mapping[str, Parameter],
    given: Mapping[str, Any],
    network: Network | None = None,
    credentials: Collection[str] | None = None,
) -> dict[str, Plain]:
    """Values of all parameters of a playbook.

    Args:
        wanted: Its parameters.
        given: What a person gave, as text or as plain JSON values.
        network: Where references are looked up; without it they are not.
        credentials: Names that secrets may have; without them any.

    Raises:
        InputError: All that is wrong, one a line. What was given for a secret is not repeated.
    """
    strange = [name for name in given if name not in wanted]
    wrong = [f"no such parameter: {show(name)!r}; {parameter_hint(name, wanted)}" for name in strange]
    values: dict[str, Plain] = {}
    for name, parameter in wanted.items():
        found = given.get(name, parameter.default)
        if found is None:
            values[name] = None
            if parameter.required:
                wrong.append(f"{name} is missing: {parameter.description}")
            continue
        try:
            values[name] = parameter.parse(found)
            if network is not None:
                parameter.look_up(str(values[name]), network)
            if parameter.secret and credentials is not None:
                _check_credential(values[name], credentials)
        except InputError as error:
            shown = name if parameter.secret else f"{name} = {show(found)!r}"
            wrong.append(f"{shown}: {error.message}")
    if wrong:
        raise InputError("\n".join(wrong))
    return values


def parameter_hint(name: str, wanted: Mapping[str, Parameter]) -> str:
    """A hint which parameter may be meant by an unknown name."""
    return suggest(name, wanted) or (f"parameters are {', '.join(wanted)}" if wanted else "there are none")


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise InputError("must be text")
    if len(given) > _LONGEST:
        raise InputError(f"longer than {_LONGEST} characters")
    if any(unicodedata.category(character) in _UNSEEN for character in given):
        raise InputError("has control characters, or other invisible ones")
    return given


def _credential(given: Any) -> str:
    if not isinstance(given, str) or not _CREDENTIAL.fullmatch(given):
        raise InputError(f"{BY_NAME}: lower-case letters, digits and inner hyphens")
    return given


def _check_credential(name: Plain, known: Collection[str]) -> None:
    if name not in known:
        raise InputError(f"{BY_NAME}; those of MINKA_CREDENTIALS with actions are {', '.join(sorted(known)) or 'none'}")


def _int(given: Any) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        if abs(given) >= 10**18:
            raise InputError("more than 18 digits")
        return given
    if not isinstance(given, str) or len(given) > 18 or not given.removeprefix("-").isascii():
        raise InputError("not a whole number")
    if not given.removeprefix("-").isdigit():
        raise InputError("not a whole number")
    return int(given)


def _bool(given: Any) -> bool:
    known: dict[Any, bool] = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(given, bool):
        return given
    if not isinstance(given, str) or given.lower() not in known:
        raise InputError("not true or false")
    return known[given.lower()]


def _selector(given: Any) -> str:
    text = _text(given)
    parse_selector(text)
    return text


_PARSERS: Mapping[ParameterType, Callable[[Any], str | int | bool]] = {
    ParameterType.INT: _int,
    ParameterType.BOOL: _bool,
    ParameterType.SELECTOR: _selector,
}
_KNOWN: Mapping[ParameterType, Callable[[Network], Collection[str]]] = {
    ParameterType.TENANT: lambda network: network.tenant_by_id,
    ParameterType.REGION: lambda network: [region.id for region in network.regions],
    ParameterType.SITE: lambda network: network.site_by_id,
    ParameterType.STATION: lambda network: network.station_by_id,
    ParameterType.ROUTER: lambda network: network.router_by_id,
    ParameterType.FUNCTION: lambda network: network.function_by_id,
    ParameterType.POOL: lambda network: network.pool_by_id,
}
