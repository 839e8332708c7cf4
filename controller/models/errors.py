"""The one error tree of the controller.

    MinkaError
    ├── InputError              what a person or file gave is wrong            never
    │   ├── NetworkFilesError   problems of network files, all at once         never
    │   ├── NotFoundError       no such object, or hidden from who asks        never
    │   │   └── AbsentError     who asks may see it, and there is none         never
    │   ├── ConflictError       the object's state forbids it                  never
    │   └── PlanRefusedError    a plan that may not be made or applied         never
    ├── DeviceError             a device or the way to it                      (see below)
    │   ├── UnreachableError    no session could be opened                     safe
    │   ├── HostKeyError        the device showed another host key             never
    │   ├── HostKeyUnreadableError  the pinned host key is none            never
    │   ├── AuthenticationError the device refused our credentials             never
    │   ├── DeviceBusyError     lock-denied or in-use                          safe
    │   │   └── UncommittedEditsError  its candidate holds edits of somebody   safe
    │   ├── DeviceRefusedError  the device answered with rpc-errors            never
    │   │   ├── FileGoneError   a file is not there (any more)                 never
    │   │   └── NotPermittedError  our account lacks the permission            never
    │   ├── OversizedError      it has more for us than we take                never
    │   └── SessionLostError    the session ended or an answer is missing      after_readback
    ├── NotTakenError           a receiver of messages to people is away       safe
    │   └── MessageRefusedError it answers, and refuses this message           never
    ├── RepairStoppedError      an automatic repair that may not begin         never
    ├── NotClearedError         a job that may not begin now                   safe
    ├── SignInError             the identity provider's token does not let in  never
    ├── ProviderError           the identity provider can't be asked           safe
    ├── StoreError              the database refused or is unreachable         safe
    │   └── StoreAwayError      there is none to speak to, whatever is asked   safe
    └── LeaseLostError          another worker owns the device now             never

Each class says whether the failed step may be repeated: ``never``, always (``safe``), or
``after_readback`` of the device. A class's docstring is its default message.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Retry(StrEnum):
    """Whether the step that raised may be repeated."""

    NEVER = "never"
    SAFE = "safe"
    AFTER_READBACK = "after_readback"


class MinkaError(Exception):
    """Minka could not do what was asked."""

    retry: ClassVar[Retry] = Retry.NEVER
    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])

    @property
    def message(self) -> str:
        """What went wrong, for people."""
        return str(self.args[0])


class InputError(MinkaError):
    """The input is not valid."""

    code = "invalid-input"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in the input: where, what, and what would be right.

    Attributes:
        file: File name relative to the network directory, or the name of the request part.
        line: Line number from 1; 0 if the input has no lines.
        field: Path of the field, as in ``agreements[bitel-cusco].scope.regions[0]``.
        value: The offending value as written, shortened; never a secret.
        message: What is wrong.
        expected: What would be right; empty if the message says it.
    """

    file: str
    line: int
    field: str
    value: str
    message: str
    expected: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        if not self.field:
            return f"{where}: {self.message}{f'; {self.expected}' if self.expected else ''}"
        value = f" = {self.value!r}" if self.value else ""
        expected = f"; {self.expected}" if self.expected else ""
        return f"{where}: {self.field}{value}: {self.message}{expected}"


class NetworkFilesError(InputError):
    """The network files are not valid."""

    code = "invalid-network-files"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


#: The command that lists what can be named, by the noun of messages.
LISTS = {
    "alarm": "minka alarms list",
    "freeze": "minka freeze list",
    "hold": "minka hold list",
    "incident": "minka incidents list",
    "plan": "minka plans list",
    "proposal": "minka remediation list",
    "public warning": "minka freeze list",
    "question": "minka questions --all",
    "run": "minka runs",
    "token": "minka token list",
    "user": "minka user list",
}


class NotFoundError(InputError):
    """There is no such object."""

    code = "not-found"

    @classmethod
    def of(cls, noun: str, name: str, hint: str = "") -> NotFoundError:
        """The error for an object that is unknown, or hidden from who asks, with the command that lists those known.

        Args:
            noun: What it would be, one of ``LISTS``.
            name: Its id.
            hint: Which one may be meant.
        """
        return cls("; ".join(filter(None, (f"there is no {noun} {name}", hint, f"see {LISTS[noun]}"))))


class AbsentError(NotFoundError):
    """There is none, now or at all, of something that who asks may see: nobody is denied anything.

    Only where it can't be meant to hide what somebody else has: what is named is the asker's own, or everybody's.
    """

    code = "absent"


class ConflictError(InputError):
    """The object's state forbids this."""

    code = "conflict"


class PlanRefusedError(InputError):
    """The plan may not be made or applied.

    Attributes:
        remove: Nodes by owner that would have to be named to allow it; empty if naming none of them is enough.
        expect_stations: Number of devices that would have to be expected; None if that is not enough.
    """

    code = "plan-refused"

    def __init__(
        self, message: str | None = None, *, remove: Mapping[str, int] | None = None, expect_stations: int | None = None
    ) -> None:
        super().__init__(message)
        self.remove = dict(remove or {})
        self.expect_stations = expect_stations


class DeviceError(MinkaError):
    """The device could not be worked on."""

    code = "device-error"


class UnreachableError(DeviceError):
    """No session to the device could be opened.

    Attributes:
        refusal: Why we refused it when it called home, as a code (``controller.models.health.Refusal``); empty if we
            refused nobody who may have been it.
    """

    code = "unreachable"
    retry = Retry.SAFE

    def __init__(self, message: str | None = None, refusal: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal


class HostKeyError(DeviceError):
    """The device showed another host key than the inventory pins; nothing was sent to it."""

    code = "host-key-changed"


class HostKeyUnreadableError(DeviceError):
    """The host key that the network files pin can't be read; nothing was sent to the device."""

    code = "host-key-unreadable"


class AuthenticationError(DeviceError):
    """The device refused our credentials."""

    code = "authentication-failed"


class DeviceBusyError(DeviceError):
    """Another session holds the device's lock.

    Attributes:
        holder: NETCONF session id of the holder; 0 for a holder that is not a NETCONF session.
    """

    code = "device-busy"
    retry = Retry.SAFE

    def __init__(self, message: str | None = None, holder: str = "0") -> None:
        super().__init__(message)
        self.holder = holder


class UncommittedEditsError(DeviceBusyError):
    """The device's candidate holds edits that nobody committed, so it can't be locked."""

    code = "uncommitted-edits"


class DeviceRefusedError(DeviceError):
    """The device refused the request.

    Attributes:
        tag: Error-tag of the answer (RFC 6241 appendix A); empty if the device gives none.
        node: Name of the last node in its error-path; empty if the device names none.
    """

    code = "device-refused"

    def __init__(self, message: str | None = None, tag: str = "", node: str = "") -> None:
        super().__init__(message)
        self.tag = tag
        self.node = node


class FileGoneError(DeviceRefusedError):
    """The device has no such file, or has it no more."""

    code = "file-gone"


class NotPermittedError(DeviceRefusedError):
    """The device knows our account, and does not let it do this."""

    code = "not-permitted"


class NothingToldError(DeviceError):
    """The device answers, and tells nothing of itself: neither what it carried, nor that it carries it no more."""

    code = "nothing-told"


class OversizedError(DeviceError):
    """The device has more for us than we take."""

    code = "oversized"


class SessionLostError(DeviceError):
    """The session ended or an answer is missing; the request may or may not have been carried out."""

    code = "session-lost"
    retry = Retry.AFTER_READBACK


class NotClearedError(MinkaError):
    """The job may not begin now: it waits for an approval, a window, or the end of a freeze or hold."""

    code = "not-cleared"
    retry = Retry.SAFE


class RepairStoppedError(MinkaError):
    """An automatic repair may not begin on its device any more: it is stopped, or a guard says no.

    Attributes:
        sent: Whether an operation was sent before, with unknown effect.
    """

    code = "repair-stopped"

    def __init__(self, message: str | None = None, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class OutOfTurnError(NotClearedError):
    """The device turned out not to revert by itself: it goes after all others of its group."""

    code = "out-of-turn"


class NotTakenError(MinkaError):
    """The receiver did not take the message: it is away, not set up, or lets nobody in."""

    code = "not-taken"
    retry = Retry.SAFE


class MessageRefusedError(NotTakenError):
    """The receiver answered, and refuses this very message for its content or size."""

    code = "message-refused"
    retry = Retry.NEVER


class SignInError(MinkaError):
    """The identity provider's token does not let anybody in."""

    code = "sign-in-refused"


class ProviderError(MinkaError):
    """The identity provider can't be asked, so nobody of its people is let in."""

    code = "provider-unavailable"
    retry = Retry.SAFE


class StoreError(MinkaError):
    """The database is unreachable or refused the transaction."""

    code = "store-unavailable"
    retry = Retry.SAFE


class StoreAwayError(StoreError):
    """The database is unreachable or does not answer: whatever else is asked now would fare no better."""


class LeaseLostError(MinkaError):
    """Another worker owns the device now; this one must not touch it any more."""

    code = "lease-lost"


# ---------------------------------------------------------------- errors of libraries, for people

#: Where a word ends in the name of a class, as in ``SMTPServerDisconnected`` and ``ReadTimeout``.
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Why something failed because of an error in Minka itself; its text may hold anything, and is in the log only.
BUG = "an error in Minka itself: its log says more"


def in_words(error: BaseException) -> str:
    """What went wrong, in plain words: those of the first error of the chain of causes that has words of its own.

    Errors are named by what they mean, never by the name of a Python class. Texts of libraries are not repeated: they
    may hold addresses with passwords, and parts of secret files.
    """
    at: BaseException | None = error
    while at is not None:
        if words := _words_of(at):
            return words
        if isinstance(at, BaseExceptionGroup):
            at = at.exceptions[0]
        else:
            at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    if isinstance(error, LookupError | TypeError | ValueError | AttributeError):
        return "it is not of the expected form"
    spelt = _WORD_ENDS.sub(" ", type(error).__name__.strip("_")).split()
    return " ".join(word if word.isupper() else word.lower() for word in spelt).replace(" exception", " error")


def _words_of(error: BaseException) -> str:
    """What an error of the standard library, or one of ours, means; empty for others."""
    match error:
        case MinkaError():
            return error.message
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {getattr(error, 'verify_message', '') or 'it is not valid'}"
        case ssl.SSLError():
            return f"no TLS: {(getattr(error, 'reason', None) or 'it was refused').replace('_', ' ').lower()}"
        case UnicodeError():
            return "it is not UTF-8"
        case EOFError():
            return "the connection ended"
        case OSError():
            return _reason_of(error)
    return ""


def _reason_of(error: OSError) -> str:
    """What the operating system says, without paths and addresses; empty if it says nothing."""
    if error.errno is None:
        return ""
    # Names that have no address have numbers of their own, below 0.
    said = os.strerror(error.errno) if error.errno > 0 else error.strerror
    return f"{said[:1].lower()}{said[1:]}" if said and not said[1:2].isupper() else said or ""
