"""Small disks that can be filled up: file systems in memory, if this process may mount them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Fill the disk to the last byte during the block."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
        try:
            yield
        finally:
            self._ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """A disk of its own; the test is skipped where nothing may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="minka-disk-"))
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={megabytes}m,mode=0755,uid={os.geteuid()}"
    command = [*sudo, "mount", "-t", "tmpfs", "-o", options, "minka-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no right to mount a small disk: {done.stderr.strip()}")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run([*sudo, "umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()
