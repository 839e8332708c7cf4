"""The folder of measurement files over SFTP (SSH subsystem ``sftp``, version 3): ``/pm``, to be read only.

A file is made when it is opened or its size is asked for; a listing names no sizes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any, NoReturn

import asyncssh
from asyncssh.stream import SSHServerStreamSession

from simulators.equipment.files import Garbage, MeasurementFile
from simulators.netconf.server import Server

FOLDER = b"/pm"
#: Most open files of a client.
MAX_OPEN = 64
_VERSION = 3


class SftpSession(SSHServerStreamSession[bytes]):
    """An SSH channel that carries SFTP."""

    def __init__(self, server: Server) -> None:
        super().__init__(None, partial(PmFolder, server), _VERSION)


class _OpenFile:
    """A file that a client reads; asyncssh searches it for holes, of which it has none."""

    def __init__(self, content: bytes | Garbage, written: datetime) -> None:
        self.content = content
        self.written = written

    def seek(self, offset: int, whence: int) -> int:
        if offset >= len(self.content):
            raise OSError(errno.ENXIO, "behind the end")
        return offset if whence == os.SEEK_DATA else len(self.content)


def _refuse(*_request: object) -> NoReturn:
    """Refuse requests that would change something or are not about files."""
    raise asyncssh.SFTPPermissionDenied("the station's files can only be read")


class PmFolder(asyncssh.SFTPServer):
    """The view of a client of a station's files."""

    def __init__(self, server: Server, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel)
        self._server = server
        self._since = server.equipment.restarted
        self._files = server.equipment.files(server.profile.files)
        self._open = 0
        self._latest: tuple[str, _OpenFile] | None = None

    # ------------------------------------------------------------------ what is there

    def realpath(self, path: bytes) -> bytes:
        """The absolute path; a client begins at the root."""
        self._check_up()
        return os.path.normpath(b"/" + path).replace(b"//", b"/")

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Attributes of a path."""
        path = self.realpath(path)
        if path in (b"/", FOLDER):
            return asyncssh.SFTPAttrs(permissions=stat.S_IFDIR | 0o555, mtime=self._now)
        return self.fstat(self._found(path))

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Attributes of a path: there are no links."""
        return self.stat(path)

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        """Size and time of an open file."""
        assert isinstance(file_obj, _OpenFile)
        return _attributes(file_obj.written, len(file_obj.content))

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """Entries of a folder: in ``/pm`` the files, oldest first."""
        path = self.realpath(path)
        if path not in (b"/", FOLDER):
            raise asyncssh.SFTPNoSuchFile(f"there is no folder {path.decode(errors='replace')}")
        folder = asyncssh.SFTPAttrs(permissions=stat.S_IFDIR | 0o555, mtime=self._now)
        for name in (b".", b"..", *((FOLDER[1:],) if path == b"/" else ())):
            yield asyncssh.SFTPName(name, attrs=folder)
        for file in sorted(self._files, key=_when) if path == FOLDER else ():
            yield asyncssh.SFTPName(file.name.encode(), attrs=_attributes(file.written))

    # ------------------------------------------------------------------------ reading

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open a file to read it."""
        if pflags != asyncssh.FXF_READ:
            _refuse()
        if self._open >= MAX_OPEN:
            raise asyncssh.SFTPFailure(f"{MAX_OPEN} files are open, and that is all")
        found = self._found(self.realpath(path))
        self._open += 1
        return found

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """A part of an open file."""
        self._check_up()
        assert isinstance(file_obj, _OpenFile)
        return file_obj.content[offset : offset + size]

    def close(self, file_obj: object) -> None:
        """Close a file."""
        self._open -= 1

    def _found(self, path: bytes) -> _OpenFile:
        """The file at a path; the latest is cached, since clients first ask for its size and then read it."""
        folder, _, name = path.rpartition(b"/")
        text = name.decode(errors="replace")
        file = self._files.find(text) if folder == FOLDER else None
        if file is None:
            raise asyncssh.SFTPNoSuchFile(f"there is no file {path.decode(errors='replace')}")
        if self._latest is None or self._latest[0] != text:
            self._latest = text, _OpenFile(self._files.content(file), file.written)
        return self._latest[1]

    @property
    def _now(self) -> int:
        return int(self._server.clock.now().timestamp())

    def _check_up(self) -> None:
        """Disconnect if the station lost its power, even if it has it again."""
        equipment = self._server.equipment
        if equipment.down or equipment.restarted != self._since:
            self.connection.abort()
            raise asyncssh.SFTPConnectionLost("the station restarts")

    # ------------------------------------------------------------------------ refused

    open56: Any = _refuse
    write: Any = _refuse
    setstat: Any = _refuse
    lsetstat: Any = _refuse
    fsetstat: Any = _refuse
    remove: Any = _refuse
    mkdir: Any = _refuse
    rmdir: Any = _refuse
    rename: Any = _refuse
    posix_rename: Any = _refuse
    readlink: Any = _refuse
    symlink: Any = _refuse
    link: Any = _refuse
    lock: Any = _refuse
    unlock: Any = _refuse
    statvfs: Any = _refuse
    fstatvfs: Any = _refuse
    fsync: Any = _refuse


def _attributes(written: datetime, size: int | None = None) -> asyncssh.SFTPAttrs:
    moment = int(written.timestamp())
    return asyncssh.SFTPAttrs(size=size, permissions=stat.S_IFREG | 0o444, atime=moment, mtime=moment)


def _when(file: MeasurementFile) -> tuple[datetime, str]:
    return file.written, file.name
