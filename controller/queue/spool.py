"""kombu's filesystem transport, made safe: a message appears whole, goes to one reader, and can't harm it.

kombu writes a message file in place, and a reader that finds it empty stops its worker. It moves what it reads to the
system's temporary folder; if that is on another file system, two readers can both get it. A file that is no message
ends the worker. Here a message is written beside the spool and renamed into it, taken by renaming, and set aside if it
is no message.
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

from controller.models.untrusted import DEEPEST, is_deeper

log = structlog.get_logger()

#: Bytes of the largest message.
_LARGEST = 64 * 1024


class Channel(filesystem.Channel):  # type: ignore[misc]
    """A filesystem channel whose put and get are atomic."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        spool = Path(self.data_folder_out)
        handle, name = tempfile.mkstemp(dir=spool, prefix=".", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dumps(payload))
        # Names sort by age, as the reader takes the first; the random part comes from mkstemp.
        part = Path(name)
        part.rename(spool / f"{part.stat().st_mtime_ns:020d}_{part.name.strip('.').removesuffix('.part')}.{queue}.msg")

    def _get(self, queue: str) -> Any:
        for found in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            payload = self._take(found)
            if payload is not None:
                return payload
        raise Empty

    def _take(self, found: Path) -> Any:
        """The message if it is one and nobody else took it, else None."""
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
    """A message as kombu wrote it, or None. Ours carry ids: large or deep ones are somebody else's."""
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
