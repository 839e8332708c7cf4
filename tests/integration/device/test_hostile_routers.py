"""Sessions to routers that mean no good: floods, drips, pages, banners, control characters, refused secrets."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import asyncssh
import paramiko
import pytest

from controller.drivers.cli.line import _Bounded
from controller.drivers.cli.target import CliTarget
from controller.drivers.devices import AllDevices
from controller.models.errors import AuthenticationError, DeviceRefusedError, SessionLostError, UnreachableError
from controller.models.plan import Edit, Op
from tests.support.secrets import LocalSecrets
from tests.support.sessions import to_router

Process = asyncssh.SSHServerProcess[str]
#: What a router says to a line; None for what routers say.
Answer = Callable[[Process, str], Awaitable[str | None]]
NAME, PASSWORD, SECRET = "R-1", "pa55-word", "s3cr3t-enable"
CONFIG = (
    "Building configuration...\n!\nvrf definition andes\n!\ninterface Gi0/0\n description {}\n"
    " ip address 10.0.0.1 255.255.255.0\n!\nend\n"
)


class Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD


async def as_routers_do(_: Process, line: str) -> str | None:
    return CONFIG.format("backhaul") if line.startswith("show") else ""


@asynccontextmanager
async def router(answer: Answer, prompt: str = f"{NAME}#", greeting: str = "") -> AsyncIterator[CliTarget]:
    """A router that answers lines so."""

    async def shell(process: Process) -> None:
        process.stdout.write(greeting.replace("\n", "\r\n") + prompt)
        now = prompt
        async for line in process.stdin:
            said = await answer(process, line.rstrip("\r\n"))
            if said is None and line.startswith(("configure", "end")):
                now = f"{NAME}(config)#" if line.startswith("configure") else prompt
            text = said if said is not None else await as_routers_do(process, line.strip())
            process.stdout.write(f"{line.rstrip()}\n{text}\n{now}".replace("\n", "\r\n"))

    def make(process: Process) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await shell(process)
            except (BrokenPipeError, asyncssh.Error, ConnectionError):
                pass
            finally:
                process.close()

        return asyncio.ensure_future(guarded())

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[key], process_factory=make, line_editor=False
    )
    try:
        host_key = " ".join(key.export_public_key().decode().split()[:2])
        yield CliTarget(NAME, ("cisco_ios",), "127.0.0.1", server.get_port(), host_key, "minka", "device")
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def devices(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AllDevices]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", PASSWORD)
    monkeypatch.setenv("ENABLE", SECRET)
    devices = AllDevices(LocalSecrets(enable="env:ENABLE"), rpc_timeout=2, connect_timeout=10)
    yield devices
    await devices.close()


async def flood(process: Process, line: str) -> str | None:
    if line.startswith("show"):
        process.stdout.write(f"{line}\r\n")
        for _ in range(2000):
            process.stdout.write("x" * 65536)
            await process.stdout.drain()
    return None


async def drip(process: Process, line: str) -> str | None:
    if line.startswith("show"):
        process.stdout.write(f"{line}\r\n")
        for _ in range(200):
            process.stdout.write("interface Gi0/1\r\n")
            await asyncio.sleep(0.05)
    return None


async def pages(process: Process, line: str) -> str | None:
    if line.startswith("show"):
        process.stdout.write(f"{line}\r\n{CONFIG[:60]}\r\n --More-- ".replace("\n", "\r\n"))
        await asyncio.sleep(5)
    return None


async def stops(_: Process, line: str) -> str | None:
    return CONFIG.partition("!")[0] if line.startswith("show") else None


@pytest.mark.parametrize("answer", [flood, drip, pages, stops])
async def test_an_answer_that_is_none_is_given_up(devices: AllDevices, answer: Answer) -> None:
    async with router(answer) as target, devices.session(target) as session:
        with pytest.raises(SessionLostError):
            await asyncio.wait_for(session.read(), 20)


async def test_a_version_of_thousands_of_digits_is_no_bug_of_ours(devices: AllDevices) -> None:
    async def boasts(_: Process, line: str) -> str | None:
        return CONFIG.replace("!", "frr version " + "9" * 5000, 1) if line == "show running-config" else None

    async with router(boasts) as target, devices.session(replace(target, profiles=("frr",))) as session:
        with pytest.raises(SessionLostError, match="zebra"):
            await session.read()


@pytest.mark.parametrize(
    "greeting", ["Welcome to\nR-9#\nR-9>\nthis one #\n", "\x1b[2J\x07 keep out\n%  rejected\n", "end\n" * 50]
)
async def test_whatever_a_banner_says(devices: AllDevices, greeting: str) -> None:
    async with router(as_routers_do, greeting=greeting) as target, devices.session(target) as session:
        assert f"/Router[{NAME}]/Vrf[andes]" in (await session.read()).tree


async def test_a_prompt_of_a_line_editor(devices: AllDevices) -> None:
    async with router(as_routers_do, prompt=f"\x1b[?2004h{NAME}# ") as target, devices.session(target) as session:
        assert f"/Router[{NAME}]/Vrf[andes]" in (await session.read()).tree


async def rude(_: Process, line: str) -> str | None:
    return "% \x1b]0;you\x07 are \u2028wrong " + "!" * 5000 if line.startswith("ip route") else None


async def test_what_is_repeated_of_an_answer_is_short_and_plain(devices: AllDevices) -> None:
    edit = Edit(op=Op.CREATE, path=f"/Router[{NAME}]/Vrf[andes]/Route[10.1.0.0%2F16,10.0.0.2]", owners=("andes",))
    async with router(rude) as target, devices.session(target) as session:
        await session.read()
        await session.edit([edit])
        with pytest.raises(DeviceRefusedError, match="refused 'ip route") as refused:
            await session.commit()
    assert len(refused.value.message) < 400
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028]", refused.value.message)


async def locked(_: Process, line: str) -> str | None:
    return "Configuration mode locked exclusively by user 'ana'" if line.startswith("configure") else None


async def test_lines_are_typed_in_configuration_mode_only(devices: AllDevices) -> None:
    typed: list[str] = []

    async def listed(process: Process, line: str) -> str | None:
        typed.append(line)
        return await locked(process, line)

    edit = Edit(op=Op.CREATE, path=f"/Router[{NAME}]/Vrf[andes]/Route[10.1.0.0%2F16,10.0.0.2]", owners=("andes",))
    async with router(listed) as target, devices.session(target) as session:
        await session.read()
        await session.edit([edit])
        with pytest.raises(DeviceRefusedError, match="locked exclusively by user 'ana'"):
            await session.commit()
    assert not any("ip route" in line for line in typed)


async def test_a_question_before_saving_is_answered_with_no(devices: AllDevices) -> None:
    pressed: list[str] = []

    async def careful(process: Process, line: str) -> str | None:
        if line == "write memory":
            process.stdout.write("write memory\r\nOverwrite the previous NVRAM configuration?[confirm]")
            pressed.append((await process.stdin.readline()).strip())
            return ""
        return None

    async with router(careful) as target, to_router(devices, target) as session:
        with pytest.raises(DeviceRefusedError, match="asks before it saves: Overwrite"):
            await session.copy_to_startup()
        assert (await session.read()).tree
    assert pressed == ["n"]


async def colourful(_: Process, line: str) -> str | None:
    return CONFIG.format("\x1b[31mred\x03 who?") if line.startswith("show") else None


async def test_a_description_that_could_not_be_typed_back_is_not_replaced(devices: AllDevices) -> None:
    typed: list[str] = []

    async def listed(process: Process, line: str) -> str | None:
        typed.append(line)
        return await colourful(process, line)

    path = f"/Router[{NAME}]/Port[Gi0%2F0]"
    async with router(listed) as target, devices.session(target) as session:
        before = (await session.read()).tree[path]["description"]
        assert before == "\ufffd[31mred\ufffd who?"
        edit = Edit(
            op=Op.MERGE, path=path, before={"description": before}, after={"description": "x"}, owners=("host",)
        )
        with pytest.raises(DeviceRefusedError, match="can't be typed"):
            await session.edit([edit])
    assert "configure terminal" not in typed


async def asks(process: Process, line: str) -> str | None:
    """Enable that takes no secret."""
    if line == "enable":
        process.stdout.write("enable\r\nPassword: ")
        for _ in range(3):
            await process.stdin.readline()
            process.stdout.write("\r\nPassword: ")
        return "% Bad secrets"
    return None


@pytest.mark.parametrize(("enable", "said"), [("enable", "refused the secret"), ("", "wants a secret")])
async def test_a_secret_of_enable_that_does_not_fit(devices: AllDevices, enable: str, said: str) -> None:
    async with router(asks, prompt=f"{NAME}>") as target:
        with pytest.raises(AuthenticationError, match=said) as caught:
            async with devices.session(replace(target, enable_credential=enable)):
                pass
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_router_that_never_prompts(devices: AllDevices) -> None:
    async with router(as_routers_do, prompt="hello, who is there? ") as target:
        with pytest.raises(UnreachableError, match="opened no session"):
            async with devices.session(target):
                pass


@pytest.mark.parametrize(
    ("once", "again"),
    [
        (b"", b"x" * 1000),
        (b"SSH-2.0-x\r\n" + (2**31 + 4).to_bytes(4), bytes(1000)),
        (b"SSH-2.0-x\r\n", bytes.fromhex("0000000c 06 02 00000000") + bytes(6)),
    ],
    ids=["a line without end", "a message of 2 GiB", "ignored messages"],
)
async def test_little_is_heard_before_the_host_key_is_proved(devices: AllDevices, once: bytes, again: bytes) -> None:
    """The hostile side stops after 8 MiB, and waits for the other one to hang up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(once)
            for _ in range(128):
                writer.write(again * (65536 // len(again)))
                await writer.drain()
            await reader.read()
        writer.close()

    host_key = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match=r"more than \d+ bytes"):
            async with devices.session(CliTarget(NAME, ("cisco_ios",), "127.0.0.1", port, host_key, "minka", "device")):
                pass


def test_a_message_of_a_session_is_no_longer_than_routers_make_them() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = _Bounded(ours)
        reader._initial_kex_done = True
        theirs.sendall(bytes.fromhex("0000001c 04") + b"\x05" * 27)
        assert len(reader.read_message()[1].asbytes()) == 22, "an ordinary one is read"
        theirs.sendall((2**31 + 4).to_bytes(4) + bytes(1000))
        with pytest.raises(paramiko.SSHException, match="a message of more than 262144 bytes"):
            reader.read_message()


async def test_a_session_that_nobody_waits_for_any_more_is_closed(devices: AllDevices) -> None:
    here, go = asyncio.Event(), asyncio.Event()
    gone = asyncio.Event()

    async def slow(process: Process, line: str) -> str | None:
        here.set()
        await go.wait()
        asyncio.create_task(told(process))  # noqa: RUF006 - it ends with the connection
        return None

    async def told(process: Process) -> None:
        await process.wait_closed()
        gone.set()

    async def opened(target: CliTarget) -> None:
        async with devices.session(target):
            raise AssertionError

    async with router(slow) as target:
        opening = asyncio.create_task(opened(target))
        await asyncio.wait_for(here.wait(), 20)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        go.set()
        await asyncio.wait_for(gone.wait(), 20)


async def test_secrets_are_neither_logged_nor_kept(
    devices: AllDevices, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    filters = len(logging.getLogger("netmiko").filters)
    async with router(as_routers_do) as target:
        for password in (PASSWORD, "wr0ng-secret"):
            monkeypatch.setenv("MINKA_DEVICE_PASSWORD", password)
            try:
                async with devices.session(replace(target, enable_credential="enable")) as session:
                    await session.read()
            except AuthenticationError:
                assert password == "wr0ng-secret"
    assert len(logging.getLogger("netmiko").filters) == filters
    for secret in (PASSWORD, SECRET, "wr0ng-secret"):
        assert secret not in caplog.text


async def test_the_address_that_we_come_by_is_known_also_by_a_name(devices: AllDevices) -> None:
    """Its interface, and the VRF of that, are not touched."""
    managed = (
        "vrf definition mgmt\n rd 1:1\n!\ninterface Gi0/1.5\n encapsulation dot1Q 5\n vrf forwarding mgmt\n"
        " ip address 127.0.0.1 255.0.0.0\n!\nip route vrf mgmt 10.0.0.0 255.0.0.0 127.0.0.2\n"
        "interface Gi0/1.6\n encapsulation dot1Q 6\n vrf forwarding mgmt\n ip address 10.6.0.1 255.255.255.0\n!\nend\n"
    )

    async def answer(_: Process, line: str) -> str | None:
        return managed if line.startswith("show") else None

    top = f"/Router[{NAME}]"
    touched = {
        f"{top}/Vrf[mgmt]": {"rd": "65000:5"},
        f"{top}/SubInterface[Gi0%2F1.5]": {"description": "mine"},
    }
    async with router(answer) as target, devices.session(replace(target, address="localhost")) as session:
        for path, after in touched.items():
            await session.discard()
            await session.read()
            await session.edit([Edit(op=Op.MERGE, path=path, after=after, owners=("mgmt",))])
            with pytest.raises(DeviceRefusedError, match=r"Gi0/1\.5 has the address that Minka connects to"):
                await session.commit()
        await session.discard()
        await session.read()
        away = [Edit(op=Op.DELETE, path=f"{top}/Vrf[mgmt]/Route[10.0.0.0%2F8,127.0.0.2]", owners=("mgmt",))]
        await session.edit(away)
        with pytest.raises(DeviceRefusedError, match="that Minka connects to"):
            await session.commit()
        await session.discard()
        await session.read()
        other = Edit(op=Op.MERGE, path=f"{top}/SubInterface[Gi0%2F1.6]", after={"description": "x"}, owners=("mgmt",))
        await session.edit([other])
        await session.commit()
