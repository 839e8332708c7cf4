"""Secrets that a step's action gets as inputs: resolved for one attempt, and kept out of all that it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from controller.models.credentials import Credentials
from controller.models.errors import InputError
from controller.models.network import Noun
from controller.playbook.language.registry import Action
from controller.ports.devices import DeviceTarget

#: The secret of a name, for a device: of those that its address may get. Raises InputError.
SecretFor = Callable[[DeviceTarget, str], Awaitable[SecretStr]]


async def nowhere(_: DeviceTarget, name: str) -> SecretStr:
    """Resolve nothing, in a process that carries out no steps."""
    raise InputError(f"no secret is resolved here: {name}")


@dataclass(frozen=True, slots=True)
class SecretInputs:
    """Values of the secrets of one attempt.

    Attributes:
        values: By input of the action.
        names: Names of their credentials, by value.
    """

    values: Mapping[str, SecretStr] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.values)

    def masked(self, said: Any) -> Any:
        """What an action said, with the names of secrets in the place of their values."""
        if isinstance(said, str):
            for value in sorted(self.names, key=len, reverse=True):
                said = said.replace(value, f"[secret {self.names[value]}]")
            return said
        if isinstance(said, Mapping):
            return {self.masked(key): self.masked(one) for key, one in said.items()}
        if isinstance(said, list | tuple | set | frozenset):
            return [self.masked(one) for one in said]
        # A secret in digits may come back as a number.
        return self.masked(str(said)) if str(said) in self.names else said

    def check(self, *intents: Noun | None) -> None:
        """Check that what is about to be put on record as a step's intent holds no secret.

        Raises:
            InputError: It does.
        """
        for one in intents:
            plain = one.model_dump(mode="json") if one is not None else {}
            if self.masked(plain) != plain:
                found = ", ".join(sorted(set(self.names.values())))
                raise InputError(f"the action would put a secret on record, and was stopped: {found}")


#: Of an action that got none.
NO_SECRETS = SecretInputs()


async def resolved(
    action: Action, inputs: Mapping[str, Any], target: DeviceTarget, credentials: Credentials, secret_for: SecretFor
) -> SecretInputs:
    """The secrets that a step's inputs name.

    Raises:
        InputError: One is not for this action or this device, does not resolve, or is empty.
    """
    values = {}
    for field_name in sorted(action.secrets):
        if (name := inputs.get(field_name)) is None:
            continue
        credentials.check_action(name, action.name)
        value = await secret_for(target, name)
        if not value.get_secret_value():
            raise InputError(f"the secret of the credential {name!r} is empty")
        values[field_name] = value
    return SecretInputs(values, {value.get_secret_value(): inputs[one] for one, value in values.items()})
