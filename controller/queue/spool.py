"""kombu's filesystem transport, made safe: a message appears whole or not at all.

kombu writes a message file in place, and a reader that finds it empty stops its worker. Ours is
written beside the spool and renamed into it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):  # type: ignore[misc]
    """A filesystem channel whose put is atomic."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        spool = Path(self.data_folder_out)
        handle, name = tempfile.mkstemp(dir=spool, prefix=".", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dumps(payload))
        # Names sort by age, as the reader takes the first; the random part comes from mkstemp.
        part = Path(name)
        part.rename(spool / f"{part.stat().st_mtime_ns:020d}_{part.name.strip('.').removesuffix('.part')}.{queue}.msg")


class Transport(filesystem.Transport):  # type: ignore[misc]
    """The spool transport, ``minka-spool://``."""

    Channel = Channel


TRANSPORT_ALIASES["minka-spool"] = "controller.queue.spool:Transport"
