"""Settings of the command line; an error names the environment variable."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from controller.cli.errors import WRONG_INPUT, CliError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from controller.models.settings import Settings


#: Ends of names of settings whose value may be a secret, also where it should refer to one.
_SECRETS = ("_TOKEN", "_SECRET", "_CREDENTIAL", "_KEYS")


def settings() -> Settings:
    """The settings of the environment.

    Raises:
        CliError: A setting is wrong.
        InputError: A variable ``MINKA_…`` is no setting, nor anything else that Minka knows.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - help and completion of words need no settings

    from controller.models.settings import Settings  # noqa: PLC0415

    try:
        made = Settings()
    except ValidationError as error:
        message = "; ".join(_wrong(one, Settings) for one in error.errors())
        raise CliError(message, WRONG_INPUT, {"detail": message, "type": "settings"}) from error
    _check_names(made)
    return made


def _check_names(made: Settings) -> None:
    """Check that no variable is misspelt. Raises InputError."""
    from controller.models.credentials import LOOPBACK_ONLY  # noqa: PLC0415
    from controller.models.environment import check_environment  # noqa: PLC0415
    from controller.models.errors import InputError  # noqa: PLC0415

    references = {*made.references, *LOOPBACK_ONLY.references}
    try:
        check_environment(os.environ, references)
    except InputError:
        if made.credentials is None:
            raise
        from controller.inventory.credentials import read_credentials  # noqa: PLC0415 - it takes long to load

        named = read_credentials(made.credentials, lambda _: None)
        check_environment(os.environ, references | set(named.references))


def _wrong(error: ErrorDetails, kind: type[Settings]) -> str:
    """What is wrong with a setting: the variable, its value unless it may be a secret, and what is expected."""
    from controller.inventory.explain import explain  # noqa: PLC0415
    from controller.inventory.source import show  # noqa: PLC0415

    name = "".join(f"MINKA_{part}".upper() for part in error["loc"])
    field = kind.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    pattern = str(error.get("ctx", {}).get("pattern", ""))
    what, expected = explain(error, {pattern: field.description or pattern} if field else {})
    value = show(error["input"]) if name and not name.endswith(_SECRETS) else ""
    found = f"{name} = {value!r}: " if value else f"{name}: " if name else ""
    return f"{found}{what}; {expected}" if expected else f"{found}{what}"
