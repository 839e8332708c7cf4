"""Evidence outside of the database, which reveals changes and restores of it.

It consists of the keys that sign audit rows, the keys that sign what others keep, and the newest audit row that was
ever committed.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import orjson
import structlog

from controller.inventory.source import read_regular
from controller.models.audit import AuditAnchor
from controller.models.errors import ConflictError, InputError, in_words
from controller.models.signed_note import SigningKey

log = structlog.get_logger()
K = TypeVar("K")
#: Name of the file with the newest audit row, beside the embedded database or elsewhere.
HEAD_FILE = "record-head"
#: Size of that file in bytes. It is constant, so that the file needs no more room when the disk is full.
_LONGEST = 1024
#: Most bytes of a file of keys.
_LARGEST = 1 << 20
#: Bytes at the end of a file of anchors that are read.
_TAIL = 1 << 16
_KEY = re.compile(r"(?P<id>[0-9a-f]{8}) (?P<since>[0-9]{1,18}) (?P<secret>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key that audit rows are signed with.

    Attributes:
        id: Name of the key in audit rows; it reveals nothing of the secret.
        since: Number of the first row that this key can have signed.
    """

    id: str
    since: int
    secret: bytes = field(repr=False)

    @classmethod
    def parsed(cls, line: str) -> AuditKey:
        """Read the line of a key. Raises InputError if it is malformed, without its content."""
        if not (match := _KEY.fullmatch(line.strip())):
            raise InputError("not a key of the audit trail; a line is ID SINCE SECRET")
        return cls(match["id"], int(match["since"]), bytes.fromhex(match["secret"]))

    @classmethod
    def new(cls, since: int) -> AuditKey:
        """Make a random key."""
        return cls(secrets.token_hex(4), since, secrets.token_bytes(32))

    @property
    def line(self) -> str:
        """The line of this key in a key file."""
        return f"{self.id} {self.since} {self.secret.hex()}"


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """Keys from the oldest to the newest; the newest signs. Without keys, rows have plain hashes."""

    keys: tuple[AuditKey, ...] = ()

    @classmethod
    def parsed(cls, text: str, name: str) -> AuditKeys:
        """Read keys from the lines of a file, ``ID SINCE SECRET`` each.

        Raises:
            InputError: There is no line, or one is malformed; the message names the line, never its content.
        """
        return cls(_keys_in(text, name, AuditKey.parsed, "key of the audit trail"))

    @classmethod
    def kept_in(cls, file: Path, since: int, signed: bool) -> AuditKeys:
        """Read the keys of a file that only its owner can read. Makes the file if no audit row is signed yet.

        Args:
            file: The file.
            since: Number of the next audit row.
            signed: Whether the newest audit row is signed, so that there must be keys.

        Raises:
            InputError: The file is missing although rows are signed, can't be read, or holds something else.
        """
        text = _kept(file, "the keys of the audit trail", None if signed else lambda: add_key(file, since))
        if text is None:
            raise InputError(
                f"{file} is missing, and the audit trail is signed with a key from there: on a further machine copy it "
                "from the first one; else bring it back from its backup; only if it is lost everywhere, make a new key "
                "with `minka audit new-key`"
            )
        return cls.parsed(text, str(file))

    @property
    def newest(self) -> AuditKey | None:
        """The key that signs."""
        return self.keys[-1] if self.keys else None

    def secret(self, key: str) -> bytes | None:
        """The secret of a key by id; None if the key is not known here."""
        return next((one.secret for one in self.keys if one.id == key), None)

    def sign(self, number: int) -> bool:
        """Whether a row of this number must be signed."""
        return bool(self.keys) and number >= min(key.since for key in self.keys)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys that sign statements and heads of the trail for others to keep; the last one signs.

    Attributes:
        keys: From the oldest to the newest.
        missing: Why there is none, for people; empty if nothing is to be signed.
    """

    keys: tuple[SigningKey, ...] = ()
    missing: str = ""

    @classmethod
    def parsed(cls, text: str, name: str) -> SigningKeys:
        """Read keys from the lines of a file.

        Raises:
            InputError: There is no line, or one is malformed; the message names the line, never its content.
        """
        return cls(_keys_in(text, name, SigningKey.parsed, "key that signs"))

    @classmethod
    def kept_in(cls, file: Path, name: str, used: bool) -> SigningKeys:
        """Read the keys of a file that only its owner can read. Makes the file if nothing was signed yet.

        Args:
            file: The file.
            name: Whose key a new one is.
            used: Whether something was signed, so that there must be a key.

        Raises:
            InputError: The file can't be read, or holds something else.
        """
        text = _kept(file, "the keys that sign", None if used else lambda: add_signing_key(file, name))
        if text is None:
            new = "bring it back from its backup; if it is lost, make a new key with `minka evidence new-key`"
            return cls(missing=f"{file} is missing, and what was issued was signed with a key from there: {new}")
        return cls.parsed(text, str(file))

    @property
    def newest(self) -> SigningKey | None:
        """The key that signs; None if nothing is to be signed.

        Raises:
            ConflictError: There should be one, and it is missing.
        """
        if self.missing:
            raise ConflictError(self.missing)
        return self.keys[-1] if self.keys else None


def _keys_in(text: str, name: str, parse: Callable[[str], K], kind: str) -> tuple[K, ...]:
    """The keys in the lines of a file.

    Args:
        text: Its content.
        name: Its name.
        parse: Reads a line; raises InputError.
        kind: Kind of the keys, for people.

    Raises:
        InputError: There is no line, or one is malformed; the message names the line, never its content.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.append(parse(line))
        except InputError as error:
            raise InputError(f"{name}:{number}: {error.message}") from error
    if not found:
        raise InputError(f"{name}: no {kind} in it")
    return tuple(found)


def _kept(file: Path, kind: str, make: Callable[[], object] | None) -> str | None:
    """The content of a file of keys that only its owner can read; None if it is missing.

    Args:
        file: The file.
        kind: Kind of the keys, for people.
        make: Makes the file where it is missing; None if it must be there.

    Raises:
        InputError: The file can't be made or read.
    """
    try:
        if not file.exists():
            if make is None:
                return None
            make()
        return read_regular(file, _LARGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{kind} in {file} can't be read: {in_words(error)}") from error


def add_signing_key(file: Path, name: str) -> SigningKey:
    """Add a new key that signs to a file that only its owner can read.

    Raises:
        OSError: The file can't be written.
    """
    key = SigningKey(name, secrets.token_bytes(32))
    _add_line(file, key.line)
    return key


def add_key(file: Path, since: int) -> AuditKey:
    """Add a new key to a file that only its owner can read. If several processes make the file, one succeeds.

    Raises:
        OSError: The file can't be written.
    """
    key = AuditKey.new(since)
    _add_line(file, key.line)
    return key


def _add_line(file: Path, line: str) -> None:
    handle = os.open(file, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "a+", encoding="utf-8") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        lines.write(line + "\n")


@dataclass(frozen=True, slots=True)
class Head:
    """A row of the audit trail that was the newest one.

    Attributes:
        epoch: Number of the last decision which of two records is right (``controller.store.audit.integrity``); 0 if
            none.
        number: Number of the row; 0 if the trail is empty.
        hash: Hash of the row.
        doubt: Why the database is an older record than this, empty while it is not.
    """

    epoch: int = 0
    number: int = 0
    hash: str = ""
    doubt: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Sort key: newer heads have a greater one."""
        return self.epoch, self.number


class Evidence:
    """Keys, and the newest audit row that any process with the same folder saw committed.

    The file is read and written under a lock of its own. Its head only becomes newer, except by a person's decision.
    A process remembers the head that it saw itself, even if the file was removed or restored.

    Args:
        keys: Keys that sign audit rows.
        folder: Folder of the file; None to keep no head.
        anchors: Heads that were anchored elsewhere.
        signing: Keys that sign what others keep.
        read_keys: Reads the keys as they are kept by now; raises InputError.
    """

    def __init__(
        self,
        keys: AuditKeys = AuditKeys(),
        folder: Path | None = None,
        anchors: Sequence[Head] = (),
        signing: SigningKeys = SigningKeys(),
        read_keys: Callable[[], AuditKeys] | None = None,
    ) -> None:
        self.keys = keys
        self._read_keys = read_keys
        self.signing = signing
        self._file = None if folder is None else folder / HEAD_FILE
        self._known = max((Head(), *anchors), key=lambda head: head.order)
        self._lock = threading.Lock()

    def keys_for(self, key: str) -> AuditKeys:
        """Keys to prove a row with that was signed with ``key``, maybe by a process that began after this one.

        Such a process signs with a key that was added since. This one goes on signing with its own.
        """
        if self._read_keys is None or not key or self.keys.secret(key) is not None:
            return self.keys
        try:
            return self._read_keys()
        except InputError:
            return self.keys  # none of which proves the row

    def newest(self) -> Head:
        """The newest head."""
        if self._file is None:
            return Head()
        with self._lock, self._opened() as handle:
            self._known = _newer(self._known, _read(handle))
            return self._known

    def saw(self, head: Head) -> None:
        """Note that a head was committed. While the database is in doubt, only a head of a later epoch counts."""
        self._keep(lambda known: known if known.doubt and head.epoch <= known.epoch else _newer(known, head))

    def doubt(self, reason: str) -> None:
        """Note that the database is older than the newest head. The doubt stays until a person has decided."""
        self._keep(lambda known: known if known.doubt else replace(known, doubt=reason))

    def _keep(self, change: Callable[[Head], Head]) -> None:
        if self._file is None:
            return
        with self._lock, self._opened() as handle:
            kept = _read(handle)
            self._known = change(_newer(self._known, kept))
            if handle is not None and kept != self._known:
                _write(handle, self._known)

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """The file, locked; None if it can't be opened: then only this process's memory counts."""
        assert self._file is not None
        try:
            handle = os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("record.head_not_kept", file=str(self._file), reason=error.strerror)
            yield None
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)


def _newer(one: Head, other: Head) -> Head:
    """The newer head; it is in doubt if either of them is since the same decision."""
    newest = max(one, other, key=lambda head: head.order)
    return replace(newest, doubt=one.doubt or other.doubt) if one.epoch == other.epoch else newest


def _read(handle: int | None) -> Head:
    """The head in the file; a file that a power failure left incomplete says nothing."""
    if handle is None:
        return Head()
    try:
        return Head(**orjson.loads(os.pread(handle, _LONGEST, 0) or b"{}"))
    except (orjson.JSONDecodeError, TypeError):
        return Head()


def _write(handle: int, head: Head) -> None:
    content = orjson.dumps(head).ljust(_LONGEST)
    try:
        os.pwrite(handle, content, 0)
    except OSError as error:
        log.warning("record.head_not_kept", reason=error.strerror)


def last_anchors(file: Path) -> tuple[Head, ...]:
    """The last anchors in a file; empty if there is no file.

    Raises:
        InputError: The file exists and can't be read.
    """
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, file.stat().st_size - _TAIL))
            text = lines.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"the anchors of the audit trail in {file} can't be read: {error.strerror}") from error
    return tuple(Head(one.epoch, one.number, one.hash) for one in AuditAnchor.found_in(text))
