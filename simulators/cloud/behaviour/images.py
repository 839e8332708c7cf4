"""Images of functions: the registry, and the link over which a pool pulls them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from simulators.clock import Clock
from simulators.network import PackageRecord

#: Mbit/s from the registry to a pool, by the pool's place.
LINKS = {"site": 200.0, "edge": 1_000.0, "regional": 10_000.0}
#: Bounds of the size of an image in Mbit; its digest decides.
_SMALLEST, _LARGEST = 4_000.0, 10_000.0
#: Mbit/s of a link of unknown capacity.
_USUAL = 1_000.0


class PullError(Exception):
    """An image can't be pulled; the message is that of the container runtime."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image and the package that it is of; ``megabits`` is its size."""

    package: PackageRecord
    megabits: float


class Registry:
    """The images of all packages of a network."""

    def __init__(self, packages: Iterable[PackageRecord]) -> None:
        self._by_package = {package.id.lower(): Image(package, _size(package.image)) for package in packages}
        # Packages of one release that differ in size have the same image.
        self._images = {image.package.image: image for image in self._by_package.values()}

    def image(self, name: str) -> Image | None:
        """The image of this name."""
        return self._images.get(name)

    def of_package(self, name: str) -> Image | None:
        """The image of a package, by its id in any case."""
        return self._by_package.get(name.lower())


def _size(image: str) -> float:
    drawn = int.from_bytes(hashlib.sha256(image.encode()).digest()[:4], "big") / 2**32
    return _SMALLEST + drawn * (_LARGEST - _SMALLEST)


class Link:
    """A pool's link to the registry: pulls take it one after the other.

    Attributes:
        reachable: Whether the registry can be reached over it.
    """

    def __init__(self, where: str, registry: Registry, clock: Clock) -> None:
        self.registry = registry
        self.reachable = True
        self._speed = LINKS.get(where, _USUAL)
        self._clock = clock
        self._free_at = 0.0

    def pull(self, name: str) -> float:
        """Begin to pull an image; return the seconds that it takes.

        Raises:
            PullError: the registry does not have it, or can't be reached.
        """
        if not self.reachable:
            raise PullError(f'failed to pull and unpack image "{name}": registry: i/o timeout')
        image = self.registry.image(name)
        if image is None:
            raise PullError(f'failed to pull and unpack image "{name}": not found')
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now) + image.megabits / self._speed
        return self._free_at - now
