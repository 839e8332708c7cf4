"""Secrets of a playbook's run: resolved for one attempt of the step that gets them, masked in all that the run says.

A device or an action may repeat a secret in a later step, to another worker, or on another device than the one that
got it. So all secrets of the run are masked from the beginning of each job, whoever got which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from controller.drivers.target import DeviceTarget
from controller.models.credentials import Credentials
from controller.models.errors import InputError
from controller.models.network import Noun
from controller.playbook.language.registry import Action

#: The secret of a name, for a device: of those that its address may get. Raises InputError.
SecretFor = Callable[[DeviceTarget, str], Awaitable[SecretStr]]
#: The secret of a name, to be masked and nothing else; None where this process does not have it.
SecretToMask = Callable[[str], SecretStr | None]


async def nowhere(_: DeviceTarget, name: str) -> SecretStr:
    """Resolve nothing, in a process that carries out no steps."""
    raise InputError(f"no secret is resolved here: {name}")


def none_to_mask(_: str) -> None:
    """Mask nothing, in a process that carries out no steps."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Values that are put on record and told to nobody.

    Attributes:
        names: Names of their credentials, by value.
    """

    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.names)

    def with_secrets(self, secrets: Iterable[tuple[str, SecretStr | None]]) -> Mask:
        """One that also masks these, by the names of their credentials; a value that was replaced stays masked."""
        more = {value.get_secret_value(): name for name, value in secrets if value is not None}
        return Mask({**self.names, **{value: name for value, name in more.items() if value}})

    def masked(self, said: Any) -> Any:
        """What was said, with the names of secrets in the place of their values."""
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


#: Of a run that has none.
NO_SECRETS = Mask()


async def resolved(
    action: Action, inputs: Mapping[str, Any], target: DeviceTarget, credentials: Credentials, secret_for: SecretFor
) -> dict[str, SecretStr]:
    """The secrets that a step's inputs name, by input.

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
    return values
