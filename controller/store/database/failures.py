"""Failures of databases: which are transient, and which mean that the database can't be reached."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

#: SQLSTATEs that promise that the transaction was rolled back and may be tried again (PostgreSQL, appendix A):
#: serialization failure, deadlock, server shutting down or starting, connections exhausted, idle
#: too long in a transaction; and unique violation: another transaction put the same row on record since this one read
#: that there is none, and the next attempt reads it (PostgreSQL, serialization failure handling).
_PASSING = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "53300", "25P03", "23505"})
#: Lock not available: the same promise, but somebody was waited for already.
_LOCKED = "55P03"


class SilenceError(Exception):
    """The server said nothing for too long: it hangs, or the network to it does."""


def is_passing(error: DBAPIError) -> bool:
    """Whether the transaction was rolled back and may succeed if it is tried again at once."""
    if is_silent(error):
        return False
    return is_away(error) or is_locked(error) or getattr(error.orig, "sqlstate", None) in _PASSING


def is_locked(error: DBAPIError) -> bool:
    """Whether somebody else kept a lock."""
    code = getattr(error.orig, "sqlite_errorname", "") or ""
    return getattr(error.orig, "sqlstate", None) == _LOCKED or code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_away(error: DBAPIError) -> bool:
    """Whether the database can't be reached, so that no other transaction would succeed either."""
    # psycopg gives no SQLSTATE when it could not connect.
    return error.connection_invalidated or is_silent(error) or "connection failed" in str(error.orig)


def is_silent(error: DBAPIError) -> bool:
    """Whether the database did not answer in time: another attempt would take as long again."""
    return isinstance(error.orig, SilenceError)
