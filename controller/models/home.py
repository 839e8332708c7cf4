"""The folder of everything embedded: only its owner can read what is in it."""

from __future__ import annotations

import os
from pathlib import Path

#: What group and others may do with what this process makes: nothing.
_UMASK = 0o077


def make_private(home: Path) -> None:
    """Make the folder, and see to it that what lies in it, and all that this process will make, is its owner's alone.

    Raises:
        OSError: The folder can't be made, or is somebody else's.
    """
    os.umask(_UMASK)
    home.mkdir(parents=True, exist_ok=True)
    for path in (home, *home.iterdir()):
        mode = path.lstat().st_mode
        if mode & _UMASK and not path.is_symlink():
            path.chmod(mode & 0o7777 & ~_UMASK)
