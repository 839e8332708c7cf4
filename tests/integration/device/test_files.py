"""Fetching files by SFTP, from servers that are well and from such as mean no good."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.models.errors import (
    AuthenticationError,
    DeviceRefusedError,
    FileGoneError,
    HostKeyError,
    OversizedError,
    SessionLostError,
    UnreachableError,
)
from tests.support.secrets import LocalSecrets

KEY = asyncssh.generate_private_key("ssh-ed25519")


def public(key: asyncssh.SSHKey) -> str:
    """Its line of a known_hosts file."""
    return " ".join(key.export_public_key().decode().split()[:2])


class Login(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("minka", "minka-sim")


class Folder(asyncssh.SFTPServer):
    """Serves a folder of this machine as its root."""

    root: Path

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel, chroot=os.fsencode(self.root))


class Endless(Folder):
    """Lists, and sends, without end."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        number = 0
        while True:
            number += 1
            yield asyncssh.SFTPName(f"A{number:09}.xml".encode(), attrs=asyncssh.SFTPAttrs(size=1))

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        return b"x" * size


class Silent(Folder):
    """Never answers to a read."""

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        await asyncio.Event().wait()
        return b""


class OddNames(Folder):
    """Names that lead elsewhere, and a size that is wrong."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        for name in (b"..", b"../../etc/passwd", b"a/b.xml", b"\xff.xml", b"bell\x07.xml", b"x" * 300, b"good.xml"):
            yield asyncssh.SFTPName(name, attrs=asyncssh.SFTPAttrs(size=1 << 60, atime=5, mtime=5))


class Denying(Folder):
    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        raise asyncssh.SFTPPermissionDenied("no")


@asynccontextmanager
async def served(folder: type[Folder] | None, root: Path) -> AsyncIterator[NetconfTarget]:
    kind = None if folder is None else type("Here", (folder,), {"root": root})
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[KEY], server_factory=Login, sftp_factory=kind, login_timeout=20
    )
    port = server.sockets[0].getsockname()[1]
    try:
        yield NetconfTarget(
            "S-1", ("lte-28658",), "127.0.0.1", 1, public(KEY), "minka", "device", file_port=port, folder="/pm"
        )
    finally:
        server.close()


@pytest.fixture
async def devices(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AllDevices]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    made = AllDevices(LocalSecrets(), rpc_timeout=20, connect_timeout=20)
    yield made
    await made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pm"
    (folder / "old").mkdir(parents=True)
    (folder / "A1.xml").write_bytes(b"one" * 300_000)
    (folder / "A2.xml").write_bytes(b"")
    return tmp_path


async def test_files_are_listed_and_fetched_whole(devices: AllDevices, root: Path) -> None:
    async with served(Folder, root) as target, devices.files(target) as files:
        assert [(one.name, one.size) for one in await files.list(10)] == [("A1.xml", 900_000), ("A2.xml", 0)]
        assert await files.fetch("A1.xml", 900_000) == b"one" * 300_000
        assert await files.fetch("A2.xml", 10) == b""
        with pytest.raises(FileGoneError, match="S-1 has no such file any more: file A3"):
            await files.fetch("A3.xml", 10)
        with pytest.raises(OversizedError, match=r"A1\.xml is larger than 899999 bytes"):
            await files.fetch("A1.xml", 899_999)
        with pytest.raises(OversizedError, match="more than 0"):
            await files.list(0)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "", "old/A.xml", "A\n.xml"])
async def test_no_name_leads_out_of_the_folder(devices: AllDevices, root: Path, name: str) -> None:
    (root / "secret").write_text("a key")
    async with served(Folder, root) as target, devices.files(target) as files:
        with pytest.raises(DeviceRefusedError, match="is no name of a file in its folder"):
            await files.fetch(name, 100)


async def test_a_folder_that_is_not_there_is_gone(devices: AllDevices, root: Path) -> None:
    async with served(Folder, root) as target, devices.files(replace(target, folder="/none")) as files:
        with pytest.raises(FileGoneError, match="the list of /none"):
            await files.list(10)


async def test_lists_and_files_without_end_are_cut_off(devices: AllDevices, root: Path) -> None:
    async with served(Endless, root) as target, devices.files(target) as files:
        with pytest.raises(OversizedError, match="more than 1000"):
            await files.list(1000)
        with pytest.raises(OversizedError, match="larger than 1000000 bytes"):
            await files.fetch("A1.xml", 1_000_000)


async def test_odd_names_are_left_out(devices: AllDevices, root: Path) -> None:
    async with served(OddNames, root) as target, devices.files(target) as files:
        assert [tuple(one) for one in await files.list(10)] == [("good.xml", 1 << 60, 5)]


async def test_a_server_that_says_no_or_nothing_is_met_in_time(devices: AllDevices, root: Path) -> None:
    async with served(Denying, root) as target, devices.files(target) as files:
        with pytest.raises(DeviceRefusedError, match=r"denies access to file A1\.xml"):
            await files.fetch("A1.xml", 10)
    impatient = AllDevices(LocalSecrets(), rpc_timeout=0.5, connect_timeout=20)
    try:
        async with served(Silent, root) as target, impatient.files(target) as files:
            with pytest.raises(SessionLostError, match=r"did not send file A1\.xml in time"):
                await files.fetch("A1.xml", 10)
    finally:
        await impatient.close()


async def test_a_station_without_a_file_server_refuses(devices: AllDevices, root: Path) -> None:
    async with served(None, root) as target:
        with pytest.raises(DeviceRefusedError, match="opened no channel for subsystem sftp"):
            async with devices.files(target):
                raise AssertionError
        with pytest.raises(DeviceRefusedError, match="name no folder"):
            async with devices.files(replace(target, folder="")):
                raise AssertionError


async def test_key_and_password_are_those_of_the_station(devices: AllDevices, root: Path) -> None:
    other = public(asyncssh.generate_private_key("ssh-ed25519"))
    async with served(Folder, root) as target:
        with pytest.raises(HostKeyError):
            async with devices.files(replace(target, host_key=other)):
                raise AssertionError
        with pytest.raises(AuthenticationError):
            async with devices.files(replace(target, username="eve")):
                raise AssertionError
        with pytest.raises(UnreachableError):
            async with (
                devices.files(replace(target, file_port=1)) as _,
                devices.files(replace(target, port=2, file_port=2)),
            ):
                raise AssertionError
