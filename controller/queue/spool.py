"""kombu's filesystem transport, made safe: a message appears whole, goes to one reader, and can't harm it.

kombu writes a message file in place, and a reader that finds it empty stops its worker. A reader moves the file to the
system's temporary folder; if that is on another file system, two readers can both get it. A file that is not a message
ends the worker. Here a message is written beside the spool and renamed into it, and taken by renaming. A file that is
not a message is set aside.
"""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

from controller.models.untrusted_json import DEEPEST, is_deeper

log = structlog.get_logger()

#: Largest message in bytes.
_LARGEST = 64 * 1024


class Channel(filesystem.Channel):  # type: ignore[misc]
    """A filesystem channel whose put and get are atomic."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        spool = Path(self.data_folder_out)
        handle, name = tempfile.mkstemp(dir=spool, prefix=".", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dumps(payload))
        # Names sort by age, since the reader takes the first; the random part comes from mkstemp.
        part = Path(name)
        part.rename(spool / f"{part.stat().st_mtime_ns:020d}_{part.name.strip('.').removesuffix('.part')}.{queue}.msg")

    def _get(self, queue: str) -> Any:
        for found in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            payload = self._take(found)
            if payload is not None:
                return payload
        raise Empty

    def _take(self, found: Path) -> Any:
        """The message in a file; None if the file holds none or another reader took it."""
        mine = found.with_name(f".{found.name}.taken")
        try:
            found.rename(mine)
            with mine.open("rb") as file:
                text = file.read(_LARGEST + 1)
        except OSError:
            # Another reader was first.
            return None
        payload = _message(text)
        if payload is None:
            log.warning("spool.garbage", file=found.name)
            mine.rename(found.with_suffix(".garbage"))
        else:
            mine.unlink(missing_ok=True)
        return payload


def _message(text: bytes) -> Any:
    """A message as kombu wrote it, or None. Our messages carry ids only: a large or deep one is not ours."""
    if len(text) > _LARGEST:
        return None
    try:
        payload = loads(text.decode())
        if not isinstance(payload, dict) or not isinstance(payload.get("properties"), dict):
            return None
        content = loads(base64.b64decode(payload["body"]).decode())
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return None if is_deeper([payload, content], DEEPEST) else payload


class Transport(filesystem.Transport):  # type: ignore[misc]
    """The spool transport, ``minka-spool://``."""

    Channel = Channel


TRANSPORT_ALIASES["minka-spool"] = "controller.queue.spool:Transport"
