"""Commands outside configuration mode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from simulators.netconf.datastores import Origin
from simulators.routers import show
from simulators.routers.addresses import dotted
from simulators.routers.grammar import CommandError, Grammar
from simulators.routers.router import Router

_PING_TRIES = 5
_PING_SECONDS = 2


class Desk(Protocol):
    """What commands need of the session that carries them out."""

    router: Router
    origin: Origin
    privileged: bool
    page_length: int

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Print a question and return the line typed in answer."""

    async def ask_key(self, question: str) -> str:
        """Print a question and return the key pressed in answer."""

    def print(self, text: str) -> None:
        """Print at once, before the command is done."""

    def configure(self) -> None:
        """Enter configuration mode."""

    def leave(self) -> None:
        """End the session in good order."""


Command = Callable[..., Awaitable[str]]
_C = TypeVar("_C", bound=Command)
#: Commands before and after ``enable``.
UNPRIVILEGED: Grammar[Command] = Grammar()
PRIVILEGED: Grammar[Command] = Grammar()


def _everywhere(*syntaxes: str) -> Callable[[_C], _C]:
    def register(action: _C) -> _C:
        UNPRIVILEGED.command(*syntaxes)(action)
        PRIVILEGED.command(*syntaxes)(action)
        return action

    return register


# ------------------------------------------------------------------- the session


@_everywhere("enable")
async def _enable(desk: Desk) -> str:
    expected = desk.router.quirks.enable_password
    if desk.privileged or expected is None:
        desk.privileged = True
        return ""
    for _ in range(3):
        if await desk.ask("Password: ", secret=True) == expected:
            desk.privileged = True
            return ""
    return "% Bad secrets\n"


@PRIVILEGED.command("disable")
async def _disable(desk: Desk) -> str:
    desk.privileged = False
    return ""


@_everywhere("exit", "logout", "quit")
async def _exit(desk: Desk) -> str:
    desk.leave()
    return ""


@_everywhere("terminal length NUMBER")
async def _terminal_length(desk: Desk, lines: int) -> str:
    desk.page_length = lines
    return ""


@_everywhere("terminal width NUMBER", "terminal monitor", "terminal no monitor")
async def _terminal(_desk: Desk, _width: int = 0) -> str:
    return ""


@PRIVILEGED.command("configure terminal")
async def _configure(desk: Desk) -> str:
    desk.configure()
    return "Enter configuration commands, one per line.  End with CNTL/Z.\n"


# ---------------------------------------------------------------------- showing


@_everywhere("show version")
async def _show_version(desk: Desk) -> str:
    return show.version(desk.router)


@_everywhere("show clock")
async def _show_clock(desk: Desk) -> str:
    return f"*{show.clock(desk.router.clock.now())}\n"


@_everywhere("show users")
async def _show_users(desk: Desk) -> str:
    names = ((number, session.origin.user) for number, session in sorted(desk.router.sessions.items()))
    return "    Line       User\n" + "".join(f"    vty {number:<6} {user}\n" for number, user in names)


@PRIVILEGED.command("show running-config")
async def _show_running(desk: Desk) -> str:
    return show.running(desk.router.running)


@PRIVILEGED.command("show running-config interface INTERFACE")
async def _show_running_interface(desk: Desk, name: str) -> str:
    return show.running_of_interface(desk.router.running, name)


@PRIVILEGED.command("show startup-config")
async def _show_startup(desk: Desk) -> str:
    return show.startup(desk.router.startup)


@_everywhere("show interfaces [INTERFACE]")
async def _show_interfaces(desk: Desk, name: str = "") -> str:
    return show.interfaces(desk.router.running, name)


@_everywhere("show interfaces description")
async def _show_descriptions(desk: Desk) -> str:
    return show.interface_descriptions(desk.router.running)


@_everywhere("show ip interface brief")
async def _show_brief(desk: Desk) -> str:
    return show.ip_interface_brief(desk.router.running)


@_everywhere("show ip route")
async def _show_route(desk: Desk) -> str:
    return show.ip_route(desk.router.running)


@_everywhere("show ip route vrf NAME")
async def _show_route_vrf(desk: Desk, vrf: str) -> str:
    return show.ip_route(desk.router.running, vrf)


@_everywhere("show vrf")
async def _show_vrf(desk: Desk) -> str:
    return show.vrfs(desk.router.running)


@_everywhere("show vlans")
async def _show_vlans(desk: Desk) -> str:
    return show.vlans(desk.router.running)


@_everywhere("show access-lists")
async def _show_access_lists(desk: Desk) -> str:
    return show.access_lists(desk.router.running)


@_everywhere("show privilege")
async def _show_privilege(desk: Desk) -> str:
    return f"Current privilege level is {15 if desk.privileged else 1}\n"


@_everywhere("show reload")
async def _show_reload(desk: Desk) -> str:
    return show.reload(desk.router)


# ------------------------------------------------------------------------- ping


@_everywhere("ping [ip] ADDRESS", "ping [ip] ADDRESS repeat COUNT", "ping [ip] ADDRESS repeat COUNT timeout SECONDS")
async def _ping(desk: Desk, address: int, tries: int = _PING_TRIES, seconds: int = _PING_SECONDS) -> str:
    return await _send_pings(desk, "", address, tries, seconds)


@_everywhere(
    *("ping vrf NAME [ip] ADDRESS", "ping vrf NAME [ip] ADDRESS repeat COUNT"),
    "ping vrf NAME [ip] ADDRESS repeat COUNT timeout SECONDS",
)
async def _ping_vrf(desk: Desk, vrf: str, address: int, tries: int = _PING_TRIES, seconds: int = _PING_SECONDS) -> str:
    if vrf not in desk.router.running.vrfs:
        raise CommandError(f"% VRF {vrf} does not exist")
    return await _send_pings(desk, vrf, address, tries, seconds)


async def _send_pings(desk: Desk, vrf: str, address: int, tries: int, seconds: int) -> str:
    desk.print(
        "Type escape sequence to abort.\n"
        f"Sending {tries}, 100-byte ICMP Echos to {dotted(address)}, timeout is {seconds} seconds:\n"
    )
    answered = 0
    for _ in range(tries):
        success = desk.router.pings(vrf, address)
        if not success:
            await desk.router.clock.sleep(seconds)
        answered += success
        desk.print("!" if success else ".")
    times = ", round-trip min/avg/max = 7/9/12 ms" if answered else ""
    return f"\nSuccess rate is {100 * answered // tries} percent ({answered}/{tries}){times}\n"


# -------------------------------------------------------------- saving, reloading


@PRIVILEGED.command("write", "write memory")
async def _write(desk: Desk) -> str:
    return "Building configuration...\n" + ("[OK]\n" if desk.router.save(desk.origin) else "")


@PRIVILEGED.command("copy running-config startup-config")
async def _copy(desk: Desk) -> str:
    await desk.ask("Destination filename [startup-config]? ")
    return await _write(desk)


@PRIVILEGED.command("reload")
async def _reload(desk: Desk) -> str:
    await _offer_to_save(desk)
    if not _agreed(await desk.ask_key("Proceed with reload? [confirm]")):
        return ""
    desk.router.restart()
    return ""


@PRIVILEGED.command("reload in MINUTES")
async def _reload_in(desk: Desk, delay: str) -> str:
    return await _plan_reload(desk, delay, "Reload Command")


@PRIVILEGED.command("reload in MINUTES LINE")
async def _reload_in_because(desk: Desk, delay: str, reason: str) -> str:
    return await _plan_reload(desk, delay, reason)


async def _plan_reload(desk: Desk, delay: str, reason: str) -> str:
    first, _, second = delay.partition(":")
    minutes = int(first) * 60 + int(second) if second else int(first)
    if not minutes:
        raise CommandError("% Invalid time: a reload is at least a minute away")
    await _offer_to_save(desk)
    planned = desk.router.plan_reload(minutes, reason, desk.origin)
    desk.print(
        f"Reload scheduled for {show.clock(planned.due)} (in {minutes} minutes) by {desk.origin.user} on vty\n"
        f"Reload reason: {reason}\n"
    )
    if not _agreed(await desk.ask_key("Proceed with reload? [confirm]")):
        desk.router.cancel_reload(desk.origin)
    return ""


async def _offer_to_save(desk: Desk) -> None:
    """A router with unsaved changes asks before it forgets them."""
    if desk.router.running == desk.router.startup:
        return
    desk.print("\n")
    answer = await desk.ask("System configuration has been modified. Save? [yes/no]: ")
    while answer.strip().lower() not in ("y", "yes", "n", "no"):
        desk.print("% Please answer 'yes' or 'no'.\n")
        answer = await desk.ask("System configuration has been modified. Save? [yes/no]: ")
    if answer.strip().lower().startswith("y"):
        desk.print(await _write(desk))


def _agreed(key: str) -> bool:
    return key in ("y", "Y", "\r", "\n")


@PRIVILEGED.command("reload cancel")
async def _reload_cancel(desk: Desk) -> str:
    if not desk.router.cancel_reload(desk.origin):
        return "%No reload is scheduled.\n"
    return "***\n*** --- SHUTDOWN ABORTED ---\n***\n"
