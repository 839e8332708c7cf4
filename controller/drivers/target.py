"""The part of a target that all know who work with devices; the rest is known to the kind that made it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Protocol


class Addressed(Protocol):
    """A network address to which credentials are sent, and whose it is."""

    @property
    def device(self) -> str:
        """Id of the device, for messages."""
        ...

    @property
    def address(self) -> str:
        """Host name or IP address."""
        ...

    @property
    def port(self) -> int:
        """TCP port."""
        ...

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that are sent there."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceTarget(ABC):
    """How to reach a device. Targets that differ have sessions of their own.

    Attributes:
        device: Id of the device.
        profiles: Names of the profiles that describe its nodes.
        carries: Whether changes write their generation on it (``controller.nrm.generation``).
        speaks: Name of the protocol, for messages.
    """

    speaks: ClassVar[str]

    device: str
    profiles: tuple[str, ...]
    carries: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def addresses(self) -> tuple[Addressed, ...]:
        """All addresses at which it is reached."""

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that are its own, beside those of an API that it shares with others."""
        return ()

    @property
    def identity(self) -> str:
        """Digest of that by which the device is accepted; empty where nothing is remembered of its server."""
        return ""

    @property
    def serves_files(self) -> bool:
        """Whether it serves measurement files."""
        return False
