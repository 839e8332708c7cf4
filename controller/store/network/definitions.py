"""Versions of the definitions: rules, playbooks and KPIs."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Integer, LargeBinary, Select, Table, bindparam, case, select

from controller.models.definitions import DefinitionFiles, Definitions
from controller.models.errors import AbsentError
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Database, Tx

#: Versions as they came into force, never deleted: the newest is in force.
definitions = Table(
    "definitions",
    metadata,
    Column("number", Integer, primary_key=True),
    string("digest"),
    string("by"),
    long_text("reason"),
    Column("at", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

#: The content only where it is not in memory, so that a read takes one statement whatever is there.
_NEW_CONTENT = case(
    (definitions.c.digest.in_(bindparam("known", expanding=True)), None), else_=definitions.c.content
).label("content")
_VERSIONS = select(*(definitions.c[name] for name in ("number", "digest", "by", "reason", "at")), _NEW_CONTENT)
#: Action of the audit row of a version that is put in force.
PUT_IN_FORCE = "definitions.in-force"
#: Changed files of which the audit trail has the names.
_MOST_NAMED = 50
#: Versions that each process keeps in memory: the one in force, and those of runs that began earlier.
_CACHED = 8


class DefinitionVersions(Repository[M_co]):
    """Versions of rules, playbooks and KPIs. The newest is in force: all processes act by it, and by nothing else."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: Files by digest, so equal on a restored record, too; replaced as a whole, since threads share it.
        self._known: dict[str, DefinitionFiles] = {}

    @reads
    def get(self, tx: Tx, at: datetime | None = None) -> Definitions:
        """The version in force, now or at a time; the first one for a time before it.

        Raises:
            AbsentError: None was ever put in force.
        """
        found = self._latest(tx, at) or (self._first(tx) if at is not None else None)
        if found is None:
            raise AbsentError("no rules, playbooks and KPIs are in force yet: minka definitions load")
        return found

    @writes
    def put(self, tx: Tx, files: DefinitionFiles, *, by: str, reason: str, first: bool = False) -> Definitions:
        """Put a version in force, on the audit trail with its digest; returns the version that is in force then.

        Does nothing if the same files are in force already, or, with ``first``, any version is.
        """
        tx.guard("definitions")
        before, digest = self._latest(tx), files.digest
        if before is not None and (first or before.digest == digest):
            return before
        content = zlib.compress(orjson.dumps({"texts": dict(files.texts), "unread": dict(files.unread)}), 1)
        row = {"digest": digest, "by": by, "reason": reason, "at": tx.now, "content": content}
        number = tx.execute(definitions.insert().values(row).returning(definitions.c.number)).scalar_one()
        changed = files.differences(before.files if before else DefinitionFiles({}))
        tx.note(
            by,
            PUT_IN_FORCE,
            str(number),
            digest=digest,
            before=before.digest if before else "",
            reason=reason,
            files=len(files.texts),
            changed=list(changed[:_MOST_NAMED]) if before else [],
        )
        return Definitions(number, digest, by, reason, tx.now, files)

    def _latest(self, tx: Tx, at: datetime | None = None) -> Definitions | None:
        query = _VERSIONS if at is None else _VERSIONS.where(definitions.c.at <= at)
        return self._loaded(tx, query.order_by(definitions.c.number.desc()).limit(1))

    def _first(self, tx: Tx) -> Definitions | None:
        return self._loaded(tx, _VERSIONS.order_by(definitions.c.number).limit(1))

    def _loaded(self, tx: Tx, query: Select[Any]) -> Definitions | None:
        known = self._known
        row = tx.execute(query, {"known": list(known)}).one_or_none()
        if row is None:
            return None
        if row.digest not in known:
            kept = dict(list(known.items())[1 - _CACHED :])
            stored = orjson.loads(zlib.decompress(row.content))
            unread = {path: (line, reason) for path, (line, reason) in stored["unread"].items()}
            self._known = known = {**kept, row.digest: DefinitionFiles(stored["texts"], unread)}
        return Definitions(row.number, row.digest, row.by, row.reason, row.at, known[row.digest])
