"""Objects in answers of the API, which another version of Minka may have given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from controller.cli.errors import FAILED, CliError

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")


class Answer(dict[str, Any]):
    """An object as the server says it, with all its fields.

    Programs get it as it is. A table that needs a field which the server does not have ends with an error that says so:
    another version of Minka on the server is no bug of the command.
    """

    def __missing__(self, field: str) -> Any:
        raise _other_version(f"has no field {field!r}")

    def __or__(self, other: Any) -> Answer:  # type: ignore[override]
        """The same with other fields."""
        return Answer({**self, **other})


def read(model: type[M], said: Mapping[str, Any]) -> M:
    """An object of an answer as a model; fields that only a newer server has are left out.

    Raises:
        CliError: It is none, as a field is missing or of another kind.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - help reads no answers

    try:
        return model.model_validate(said, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        wrong = f"has no field {field!r}" if first["type"] == "missing" else f"has another kind of field {field!r}"
        raise _other_version(wrong) from error


def _other_version(wrong: str) -> CliError:
    return CliError(
        f"the answer of the API {wrong}: another version of Minka answers there, so take the minka of that version, "
        "or --json for the answer as it is",
        FAILED,
    )
