"""What RFC 6022 counts, of a session and of a station."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Termination(StrEnum):
    """Why a session ended (RFC 6470, termination-reason)."""

    CLOSED = "closed"
    KILLED = "killed"
    DROPPED = "dropped"
    TIMEOUT = "timeout"
    BAD_HELLO = "bad-hello"
    OTHER = "other"


@dataclass(slots=True)
class Counts:
    """Messages of a session, or of all sessions of a station."""

    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0


@dataclass(slots=True)
class Statistics:
    """Sessions and messages of a station since it started."""

    started: datetime
    counts: Counts
    in_bad_hellos: int = 0
    in_sessions: int = 0
    dropped_sessions: int = 0
