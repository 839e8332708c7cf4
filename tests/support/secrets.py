"""Secrets for devices on this machine, as a controller has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from controller.models.credentials import LOOPBACK_ONLY, Credentials, DeviceCredential
from controller.ports.secrets import EnvironmentSecrets, NamedSecrets

_NETWORKS = LOOPBACK_ONLY.named("device").networks
_SERVERS: dict[str, DeviceCredential] = {}


@contextmanager
def known(name: str, reference: str) -> Iterator[None]:
    """Have one more name meanwhile, for a server that has a key of its own."""
    _SERVERS[name] = DeviceCredential(reference=reference, networks=_NETWORKS)
    try:
        yield
    finally:
        del _SERVERS[name]


class LocalSecrets:
    """The controller's ``device``, more by name, and those of the servers that run; see ``Secrets``."""

    def __init__(self, **references: str) -> None:
        self._more = {
            name: DeviceCredential(reference=reference, networks=_NETWORKS) for name, reference in references.items()
        }

    def check(self, name: str, address: str) -> None:
        """See ``Secrets.check``."""
        self._now().check(name, address)

    def resolve(self, name: str, address: str) -> SecretStr:
        """See ``Secrets.resolve``."""
        return self._now().resolve(name, address)

    def to_mask(self, name: str) -> SecretStr | None:
        """See ``Secrets.to_mask``."""
        return self._now().to_mask(name)

    def _now(self) -> NamedSecrets:
        named = {**LOOPBACK_ONLY.credentials, **self._more, **_SERVERS}
        return NamedSecrets(Credentials(credentials=named), EnvironmentSecrets(Path("/nowhere")))
