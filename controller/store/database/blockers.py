"""Who keeps a lock of PostgreSQL: asked while a transaction waits for it, as afterwards the server no longer knows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row

from controller.models.untrusted import visible

log = structlog.get_logger()

#: Who stands in the way of a session. A prepared transaction does so under the number 0, and has no session.
_BLOCKERS = """
SELECT blocker AS pid, application_name AS application, state, xact_start AS since, left(query, 1000) AS query,
    clock_timestamp() AS now
FROM unnest(pg_blocking_pids(%s)) AS blocker LEFT JOIN pg_stat_activity ON pid = blocker
"""
#: For how long nothing more is said of a transaction that stands in the way.
_SAID_AGAIN = timedelta(seconds=30)
#: Letters of a statement that are told, and texts in it, which may be secrets.
_LETTERS, _TEXT = 100, re.compile("'[^']*('|$)")


class Blockers:
    """Says in the log who stands in the way of this process's transactions. Only there: answers are read by tenants."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[tuple[int, datetime | None], datetime] = {}

    def look(self, connect: Callable[[], psycopg.Connection[Any]], pid: int) -> None:
        """Say who stands in the way of a session, if anybody does. Nobody waits for that.

        Args:
            connect: Opens a connection for this one question.
            pid: The server's number of the session.
        """
        threading.Thread(target=self._look, args=(connect, pid), name="store-blockers", daemon=True).start()

    def _look(self, connect: Callable[[], psycopg.Connection[Any]], pid: int) -> None:
        # The session that waits tells its own end, and why.
        with suppress(psycopg.Error), connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            for row in cursor.execute(_BLOCKERS, (pid,)).fetchall():
                self._say(pid, **row)

    def _say(self, waits: int, *, pid: int, since: datetime | None, now: datetime, **texts: str | None) -> None:
        with self._lock:
            self._said = {one: at for one, at in self._said.items() if now - at < _SAID_AGAIN}
            if self._said.setdefault((pid, since), now) is not now:
                return
        texts["query"] = _TEXT.sub("'…'", texts["query"] or "")[:_LETTERS]
        told = {name: visible(text or "") for name, text in texts.items()}
        log.warning("database.locked", waits=waits, pid=pid, since=since and since.isoformat(), **told)
