"""Secrets by name. Values never enter logs, plans, errors or the database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from controller.inventory.source import read_regular
from controller.models.credentials import Credentials, DeviceCredential
from controller.models.errors import InputError, in_words
from controller.models.settings import Settings

#: Variables of Minka itself: its settings, and those that PostgreSQL's client reads.
_OWN_VARIABLES = frozenset({f"MINKA_{name.upper()}" for name in Settings.model_fields} | {"PGPASSWORD", "PGPASSFILE"})
#: Most bytes of a secret: a chain of certificates with its key has some thousands.
_MOST = 1 << 20
#: Folders where the system shows variables and open files of processes.
_SYSTEM = (Path("/proc"), Path("/sys"), Path("/dev"))


class Secrets(Protocol):
    """Secrets for devices; each may be used only for devices in its own networks."""

    def check(self, name: str, address: str) -> None:
        """Check that the device at an IP address may get the secret of this name.

        Raises:
            InputError: There is no such secret, or it is not for that address.
        """
        ...

    def resolve(self, name: str, address: str) -> SecretStr:
        """The secret of a name, for the device at an IP address.

        Raises:
            InputError: As ``check``, or the reference does not resolve; the message holds no secret.
        """
        ...

    def to_mask(self, name: str) -> SecretStr | None:
        """The secret of a name, to mask it in what is said, and never to be sent; None if it does not resolve."""
        ...


class EnvironmentSecrets:
    """Resolves references of the settings: to environment variables and files, never to Minka's own.

    Args:
        home: Folder of Minka's own state, to which references may not lead.
        own: References to secrets that Minka keeps for itself.
    """

    def __init__(self, home: Path, own: Iterable[str] = ()) -> None:
        references = [one.partition(":") for one in own]
        self._variables = _OWN_VARIABLES | {name.upper() for kind, _, name in references if kind == "env"}
        files = [Path(name).resolve() for kind, _, name in references if kind == "file"]
        self._own = (*_SYSTEM, home.resolve(), *files)

    def resolve(self, reference: str) -> SecretStr:
        """The secret behind ``env:NAME`` or ``file:PATH``.

        Raises:
            InputError: The reference is malformed, does not resolve, or leads to something of Minka's own; the message
                names only the reference.
        """
        self.check(reference)
        kind, _, name = reference.partition(":")
        if kind == "env" and name in os.environ:
            return SecretStr(os.environ[name])
        if kind == "file" and Path(name).is_file():
            return _content(reference, Path(name))
        raise InputError(f"the secret reference {reference!r} leads nowhere: set the variable or create the file")

    def check(self, reference: str) -> None:
        """Check that a reference leads to nothing of Minka's own, whether or not it resolves.

        Raises:
            InputError: It does.
        """
        kind, _, name = reference.partition(":")
        if kind == "env" and name.upper() in self._variables:
            raise InputError(f"the secret reference {reference!r} is a setting of Minka's own: use another variable")
        if kind == "file" and _lies_in(Path(name).resolve(), self._own):
            raise InputError(
                f"the secret reference {reference!r} leads into MINKA_HOME, to another file of Minka's own or into the "
                "system: use another file"
            )


class NamedSecrets:
    """Secrets by the names of the settings; implements ``Secrets``."""

    def __init__(self, credentials: Credentials, references: EnvironmentSecrets) -> None:
        self._credentials = credentials
        self._references = references

    def check(self, name: str, address: str) -> None:
        """See ``Secrets.check``."""
        self._credentials.check(name, address)

    def resolve(self, name: str, address: str) -> SecretStr:
        """See ``Secrets.resolve``."""
        self.check(name, address)
        return self._references.resolve(self._credentials.named(name).reference)

    def to_mask(self, name: str) -> SecretStr | None:
        """See ``Secrets.to_mask``."""
        try:
            return self._references.resolve(self._credentials.named(name).reference)
        except InputError:
            return None

    def missing(self, name: str) -> str:
        """Why this process does not have a secret; empty if it has."""
        try:
            self._references.resolve(self._credentials.named(name).reference)
        except InputError as error:
            return error.message
        return ""


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _content(reference: str, path: Path) -> SecretStr:
    """The text of the file, without the newline at its end."""
    try:
        content = read_regular(path, _MOST)
        if len(content) <= _MOST:
            return SecretStr(content.decode("utf-8").rstrip("\n"))
        reason = f"it is larger than {_MOST} bytes"
    except (OSError, UnicodeDecodeError) as error:
        reason = in_words(error)
    # Outside of the handler: a decoding error holds the bytes of the file, and would remain attached as context.
    raise InputError(f"the secret behind {reference!r} can't be read ({reason})")


class FakeSecrets:
    """The shipped fake: secrets by name, all for devices in the same networks; None stands for a wrong reference."""

    def __init__(self, values: Mapping[str, str | None], networks: Iterable[str] = ("127.0.0.0/8",)) -> None:
        self._values = dict(values)
        self._networks = tuple(map(ip_network, networks))

    def check(self, name: str, address: str) -> None:
        """See ``Secrets.check``."""
        served = DeviceCredential(reference="env:FAKE", networks=self._networks)
        Credentials.model_construct(credentials=dict.fromkeys(self._values, served)).check(name, address)

    def resolve(self, name: str, address: str) -> SecretStr:
        """See ``Secrets.resolve``."""
        self.check(name, address)
        value = self._values[name]
        if value is None:
            raise InputError(f"the secret reference of {name!r} leads nowhere: set the variable or create the file")
        return SecretStr(value)

    def to_mask(self, name: str) -> SecretStr | None:
        """See ``Secrets.to_mask``."""
        value = self._values.get(name)
        return None if value is None else SecretStr(value)
