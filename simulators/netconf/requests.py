"""What sessions ask of the datastores of a station, and what happens to these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from lxml import etree

from simulators.datastore import Config, ErrorOption

#: Seconds until an unconfirmed commit reverts when the client names none (RFC 6241 §8.4.5.1).
DEFAULT_CONFIRM_TIMEOUT = 600
#: Session id of a holder that is no NETCONF session (RFC 6241 §7.5).
NO_SESSION = 0


class Cause(StrEnum):
    """Why a running configuration changed."""

    COMMIT = "commit"
    CONFIRMED_COMMIT = "confirmed-commit"
    EDIT = "edit"
    COPY = "copy"
    TIMEOUT = "timeout"
    CANCEL = "cancel"
    DISCONNECT = "disconnect"
    RESTART = "restart"
    FOREIGN = "foreign"
    STATION = "station"


class Confirmation(StrEnum):
    """What happens to a confirmed commit (RFC 6470, confirm-event)."""

    START = "start"
    EXTEND = "extend"
    COMPLETE = "complete"
    CANCEL = "cancel"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks: a session and its user."""

    session: int
    user: str


#: The station itself, as when a timer fires.
ITSELF = Origin(NO_SESSION, "station")


@dataclass(frozen=True, slots=True)
class RunningChange:
    """One accepted change of the running configuration."""

    before: Config
    after: Config
    cause: Cause
    origin: Origin
    edits: tuple[etree._Element, ...] = ()
    stages: tuple[Config, ...] = ()


TestOption = Literal["test-then-set", "set", "test-only"]


@dataclass(frozen=True, slots=True)
class EditRequest:
    """The parameters of an ``<edit-config>``; ``config`` is the element of that name."""

    target: str
    config: etree._Element
    default_operation: str = "merge"
    test: TestOption = "test-then-set"
    on_error: ErrorOption = ErrorOption.STOP


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """The parameters of a ``<commit>``; the time-out is in seconds."""

    confirmed: bool = False
    timeout: int = DEFAULT_CONFIRM_TIMEOUT
    persist: str | None = None
    persist_id: str | None = None
