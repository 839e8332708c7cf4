"""Settings of the command line; an error names the environment variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cli.errors import WRONG_INPUT, CliError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from controller.models.settings import Settings


def settings() -> Settings:
    """The settings of the environment.

    Raises:
        CliError: A setting is wrong.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - help and completion of words need no settings

    from controller.models.settings import Settings  # noqa: PLC0415

    try:
        return Settings()
    except ValidationError as error:
        message = "; ".join(_wrong(one, Settings) for one in error.errors())
        raise CliError(message, WRONG_INPUT, {"detail": message, "type": "settings"}) from error


def _wrong(error: ErrorDetails, kind: type[Settings]) -> str:
    """What is wrong with a setting: the variable, its value unless it may contain a password, and what is expected."""
    from controller.inventory.explain import explain  # noqa: PLC0415
    from controller.inventory.source import show  # noqa: PLC0415

    name = "".join(f"MINKA_{part}".upper() for part in error["loc"])
    field = kind.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    pattern = str(error.get("ctx", {}).get("pattern", ""))
    what, expected = explain(error, {pattern: field.description or pattern} if field else {})
    value = show(error["input"]) if name else ""
    found = f"{name} = {value!r}: " if value else f"{name}: " if name else ""
    return f"{found}{what}; {expected}" if expected else f"{found}{what}"
