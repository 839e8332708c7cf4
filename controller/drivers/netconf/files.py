"""A station's file server: SFTP (draft-ietf-secsh-filexfer-02) over SSH, with bounds on all that it may send.

Stations are not trusted: they may list without end, give wrong sizes, send for ever or not at all. As in
``controller.drivers.netconf.connect``, no error from here carries a cause or a context.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncssh

from controller.drivers.protocols import RemoteFile, plain_name
from controller.models.errors import (
    DeviceError,
    DeviceRefusedError,
    FileGoneError,
    OversizedError,
    SessionLostError,
    in_words,
)

T = TypeVar("T")

#: Bytes to ask for at once; a server may send less.
_BLOCK = 1 << 18
_GONE = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_LOST = (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.SFTPBadMessage)
_NO_FILES = (asyncssh.FILEXFER_TYPE_DIRECTORY, asyncssh.FILEXFER_TYPE_SPECIAL)


class SftpFiles:
    """One folder of a station; implements ``controller.drivers.protocols.DeviceFiles``.

    Args:
        station: Its name in errors.
        folder: The folder of its files.
        client: The SFTP client.
        patience: Seconds within which a whole list or file has to arrive.
    """

    def __init__(self, station: str, folder: str, client: asyncssh.SFTPClient, patience: float) -> None:
        self._station = station
        self._folder = folder.rstrip("/").encode()
        self._client = client
        self._patience = patience

    async def list(self, most: int) -> tuple[RemoteFile, ...]:
        """See ``DeviceFiles.list``."""
        folder = self._folder.decode() or "/"
        return await _answered(self._station, f"the list of {folder}", self._patience, self._listed(most))

    async def fetch(self, name: str, most: int) -> bytes:
        """See ``DeviceFiles.fetch``."""
        if not plain_name(name):
            raise DeviceRefusedError(f"{self._station}: {name!r} is no name of a file in its folder.")
        return await _answered(self._station, f"file {name}", self._patience, self._fetched(name, most))

    async def _listed(self, most: int) -> tuple[RemoteFile, ...]:
        found: list[RemoteFile] = []
        seen = 0
        async for entry in self._client.scandir(self._folder or b"/"):
            seen += 1
            if seen > most + 2:  # "." and ".." are among them
                raise OversizedError(f"{self._station}: its folder of files holds more than {most} of them.")
            name = _text(entry.filename)
            if plain_name(name) and entry.attrs.type not in _NO_FILES:
                found.append(RemoteFile(name, entry.attrs.size or 0, int(entry.attrs.mtime or 0)))
        return tuple(sorted(found))

    async def _fetched(self, name: str, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async with self._client.open(self._folder + b"/" + name.encode(), "rb") as file:
            while part := await file.read(min(_BLOCK, file.read_len), size):
                size += len(part)
                if size > most:
                    raise OversizedError(f"{self._station}: file {name} is larger than {most} bytes.")
                parts.append(part if isinstance(part, bytes) else part.encode())
        return b"".join(parts)


@asynccontextmanager
async def files_on(
    connection: asyncssh.SSHClientConnection, station: str, folder: str, patience: float
) -> AsyncIterator[SftpFiles]:
    """Open a station's folder on a connection, which stays open afterwards.

    Raises on entering:
        DeviceRefusedError: The station serves no files there.
        SessionLostError: The connection has ended, or no answer came in time.
    """

    async def begun() -> asyncssh.SFTPClient:
        return await connection.start_sftp_client(path_encoding=None)

    client = await _answered(station, "subsystem sftp", patience, begun())
    try:
        yield SftpFiles(station, folder, client, patience)
    finally:
        client.exit()


async def _answered(station: str, what: str, patience: float, asking: Coroutine[Any, Any, T]) -> T:
    """The answer, or the error in our own words.

    After a time-out the cancelled request ends in the background: the SSH library first closes its handles, and waits
    for the answer to that.
    """
    task = asyncio.ensure_future(asking)
    try:
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            raise TimeoutError
        return task.result()
    except DeviceError as error:
        failure: DeviceError = error
    except (OSError, asyncssh.Error) as error:
        failure = _explained(station, what, error)
    finally:
        if not task.done():
            task.add_done_callback(_forgotten)
            task.cancel()
    raise failure


def _forgotten(task: asyncio.Task[Any]) -> None:
    """Fetch the result of a task that nobody waits for, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()


def _explained(station: str, what: str, error: Exception) -> DeviceError:
    match error:
        case TimeoutError():
            return SessionLostError(f"{station} did not send {what} in time.")
        case asyncssh.ChannelOpenError():
            return DeviceRefusedError(f"{station} opened no channel for {what}: {error.reason}")
        case asyncssh.SFTPError() if isinstance(error, _GONE):
            return FileGoneError(f"{station} has no such file any more: {what}.")
        case asyncssh.SFTPPermissionDenied():
            return DeviceRefusedError(f"{station} denies access to {what}.", tag="access-denied")
        case asyncssh.SFTPError() if not isinstance(error, _LOST):
            return DeviceRefusedError(f"{station} refuses {what}: {error.reason}")
        case _:
            return SessionLostError(f"{station} ended the connection before {what}: {in_words(error)}")


def _text(name: bytes | str) -> str:
    """A name as text; one that is not UTF-8 becomes the empty name, which no file has."""
    try:
        return name if isinstance(name, str) else name.decode()
    except UnicodeDecodeError:
        return ""
