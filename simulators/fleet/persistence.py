"""Keeps each device's configuration, as after a power cut, in its own file when the fleet stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from simulators.clock import RealClock

#: Seconds between two rounds of writing.
_ROUND = 1.0


class Device(Protocol):
    """A device whose configuration outlives it."""

    @property
    def id(self) -> str:
        """Its id in the network files."""

    @property
    def saved(self) -> object:
        """The configuration after a power cut; a new object whenever it changes."""

    def saved_text(self) -> str:
        """That configuration as text."""

    def load_saved(self, text: str) -> None:
        """Start with the configuration of an earlier run. Raises ValueError if the text does not fit."""


class SavedConfigs:
    """Keeps the configurations of devices in a folder, and gives them back.

    Args:
        folder: Created if missing; readable by its owner only.
    """

    def __init__(self, folder: Path, devices: Iterable[Device]) -> None:
        self._folder = folder
        self._devices = list(devices)
        self._written: dict[str, object] = {}
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Load the saved configurations into the devices, and save changes from now on.

        Raises:
            ValueError: A file does not fit its device.
            OSError: The folder can't be read or made.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for device in self._devices:
            file = self._file(device)
            if file.exists():
                try:
                    device.load_saved(file.read_text(encoding="utf-8"))
                except ValueError as error:
                    raise ValueError(
                        f"{file} does not fit {device.id} ({error}): remove it, or keep elsewhere"
                    ) from error
            self._written[device.id] = device.saved
        self._writing = asyncio.create_task(self._write_in_rounds())

    async def close(self) -> None:
        """Save the latest configurations."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
            self._write()

    async def _write_in_rounds(self) -> None:
        clock = RealClock()
        while True:
            await clock.sleep(_ROUND)
            self._write()

    def _write(self) -> None:
        for device in self._devices:
            if (saved := device.saved) is not self._written[device.id]:
                file = self._file(device)
                fresh = file.with_suffix(".new")
                fresh.touch(mode=0o600)
                fresh.write_text(device.saved_text(), encoding="utf-8")
                fresh.replace(file)
                self._written[device.id] = saved

    def _file(self, device: Device) -> Path:
        return self._folder / f"{quote(device.id, safe='')}.txt"
