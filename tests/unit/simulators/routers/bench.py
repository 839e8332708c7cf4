"""A workbench: the ground of the tiny network in virtual time, and somebody at a router's command line."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path

from simulators.clock import VirtualClock
from simulators.fleet.transport import Transport
from simulators.history import Origin
from simulators.network import SimulatedNetwork, read_network
from simulators.routers.configure import Editor
from simulators.routers.factory import Provisioning
from simulators.routers.grammar import CommandError
from simulators.routers.router import Router, RouterSettings
from simulators.routers.shell import Shell

TINY = Path(__file__).parents[3] / "fixtures" / "networks" / "tiny"
ROUTER = "R-OLLANTA"
TECHNICIAN = Origin(0, "technician")


@lru_cache
def tiny() -> SimulatedNetwork:
    return read_network(TINY)


def make_transport(
    clock: VirtualClock, provisioning: Provisioning = Provisioning.PROVISIONED, settings: RouterSettings | None = None
) -> Transport:
    return Transport(tiny(), clock, seed="tiny", routers=provisioning, settings=settings)


def make_router(
    clock: VirtualClock | None = None,
    provisioning: Provisioning = Provisioning.PROVISIONED,
    settings: RouterSettings | None = None,
) -> Router:
    return make_transport(clock or VirtualClock(), provisioning, settings).routers[ROUTER]


def type_lines(router: Router, *lines: str) -> list[str]:
    """Type configuration lines as one session does; return what each prints, refusals included."""
    editor, printed = Editor(), []
    for number, line in enumerate(lines, 1):
        try:
            printed.append(router.apply(editor, editor.match(line), TECHNICIAN, line, number))
        except CommandError as error:
            printed.append(error.text)
    return printed


async def run_loop() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


class Screen:
    """What a session prints, and whether it hung up."""

    def __init__(self) -> None:
        self.text = ""
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.text += data.decode()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Typist:
    """Somebody at the command line of a router."""

    def __init__(self, router: Router, user: str = "minka") -> None:
        self.screen = Screen()
        self.shell = Shell(router, user, self.screen)

    async def seated(self, command: str | None = None) -> Typist:
        self.shell.open(command)
        await run_loop()
        return self

    async def press(self, keys: str) -> str:
        """Press keys; return what appears, with plain line ends."""
        before = len(self.screen.text)
        self.shell.receive(keys.encode())
        await run_loop()
        return self.screen.text[before:].replace("\r\n", "\n")

    async def type(self, *lines: str) -> str:
        """Type lines; return what appears."""
        return "".join([await self.press(f"{line}\n") for line in lines])
