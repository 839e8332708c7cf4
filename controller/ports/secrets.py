"""Secrets by reference; values never enter logs, plans, errors or the database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from controller.models.errors import InputError


class Secrets(Protocol):
    """Resolves references."""

    def resolve(self, reference: str) -> SecretStr:
        """The secret behind ``env:NAME`` or ``file:PATH``.

        Raises:
            InputError: The reference is malformed or leads nowhere; the message names the reference only.
        """
        ...


class EnvironmentSecrets:
    """Secrets from environment variables and files."""

    def resolve(self, reference: str) -> SecretStr:
        """See ``Secrets.resolve``."""
        kind, _, name = reference.partition(":")
        if kind == "env" and name in os.environ:
            return SecretStr(os.environ[name])
        if kind == "file" and Path(name).is_file():
            return _content(reference, Path(name))
        raise InputError(f"the secret reference {reference!r} leads nowhere: set the variable or create the file")


def _content(reference: str, path: Path) -> SecretStr:
    """The file's text without the newline at its end."""
    try:
        return SecretStr(path.read_text(encoding="utf-8").rstrip("\n"))
    except (OSError, UnicodeDecodeError) as error:
        reason = type(error).__name__
    # Outside of the handler: a decoding error holds the file's bytes, and would travel along as context.
    raise InputError(f"the secret behind {reference!r} can't be read ({reason})")


class FakeSecrets:
    """The shipped fake: a mapping."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def resolve(self, reference: str) -> SecretStr:
        """See ``Secrets.resolve``."""
        if reference not in self._values:
            raise InputError(f"the secret reference {reference!r} leads nowhere: set the variable or create the file")
        return SecretStr(self._values[reference])
