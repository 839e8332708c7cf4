"""Commands outside configuration mode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from simulators.history import Origin
from simulators.routers import show
from simulators.routers.addresses import dotted
from simulators.routers.grammar import CommandError, Grammar
from simulators.routers.router import Router

_PING_TRIES = 5
_PING_SECONDS = 2


class Caller(Protocol):
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
async def _enable(session: Caller) -> str:
    expected = session.router.settings.enable_password
    if session.privileged or expected is None:
        session.privileged = True
        return ""
    for _ in range(3):
        if await session.ask("Password: ", secret=True) == expected:
            session.privileged = True
            return ""
    return "% Bad secrets\n"


@PRIVILEGED.command("disable")
async def _disable(session: Caller) -> str:
    session.privileged = False
    return ""


@_everywhere("exit", "logout", "quit")
async def _exit(session: Caller) -> str:
    session.leave()
    return ""


@_everywhere("terminal length NUMBER")
async def _terminal_length(session: Caller, lines: int) -> str:
    session.page_length = lines
    return ""


@_everywhere("terminal width NUMBER", "terminal monitor", "terminal no monitor")
async def _terminal(_session: Caller, _width: int = 0) -> str:
    return ""


@PRIVILEGED.command("configure terminal")
async def _configure(session: Caller) -> str:
    session.configure()
    return "Enter configuration commands, one per line.  End with CNTL/Z.\n"


# ---------------------------------------------------------------------- showing


def _shows(grammars: tuple[Grammar[Command], ...], syntax: str, text: Callable[..., str]) -> None:
    """Let a command print a text, which is made of the session and the command's arguments."""

    async def print_text(session: Caller, *arguments: Any) -> str:
        return text(session, *arguments)

    for grammar in grammars:
        grammar.command(syntax)(print_text)


def _users(session: Caller) -> str:
    names = ((number, one.origin.user) for number, one in sorted(session.router.sessions.items()))
    return "    Line       User\n" + "".join(f"    vty {number:<6} {user}\n" for number, user in names)


_OF_ALL: Mapping[str, Callable[..., str]] = {
    "show version": lambda session: show.version(session.router),
    "show clock": lambda session: f"*{show.clock(session.router.clock.now())}\n",
    "show users": _users,
    "show interfaces [INTERFACE]": lambda session, *name: show.interfaces(session.router.in_effect, *name),
    "show interfaces description": lambda session: show.interface_descriptions(session.router.in_effect),
    "show ip interface brief": lambda session: show.ip_interface_brief(session.router.in_effect),
    "show ip route": lambda session: show.ip_route(session.router.in_effect),
    "show ip route vrf NAME": lambda session, vrf: show.ip_route(session.router.in_effect, vrf),
    "show vrf": lambda session: show.vrfs(session.router.in_effect),
    "show vlans": lambda session: show.vlans(session.router.in_effect),
    "show access-lists": lambda session: show.access_lists(session.router.running),
    "show privilege": lambda session: f"Current privilege level is {15 if session.privileged else 1}\n",
    "show reload": lambda session: show.reload(session.router),
}
_OF_PRIVILEGED: Mapping[str, Callable[..., str]] = {
    "show running-config": lambda session: show.running(session.router.running),
    "show running-config interface INTERFACE": lambda session, name: show.running_of_interface(
        session.router.running, name
    ),
    "show startup-config": lambda session: show.startup(session.router.startup),
}
for _syntax, _text in _OF_ALL.items():
    _shows((UNPRIVILEGED, PRIVILEGED), _syntax, _text)
for _syntax, _text in _OF_PRIVILEGED.items():
    _shows((PRIVILEGED,), _syntax, _text)


# ------------------------------------------------------------------------- ping


@_everywhere("ping [ip] ADDRESS", "ping [ip] ADDRESS repeat COUNT", "ping [ip] ADDRESS repeat COUNT timeout SECONDS")
async def _ping(session: Caller, address: int, tries: int = _PING_TRIES, seconds: int = _PING_SECONDS) -> str:
    return await _send_pings(session, "", address, tries, seconds)


@_everywhere(
    *("ping vrf NAME [ip] ADDRESS", "ping vrf NAME [ip] ADDRESS repeat COUNT"),
    "ping vrf NAME [ip] ADDRESS repeat COUNT timeout SECONDS",
)
async def _ping_vrf(
    session: Caller, vrf: str, address: int, tries: int = _PING_TRIES, seconds: int = _PING_SECONDS
) -> str:
    if vrf not in session.router.running.vrfs:
        raise CommandError(f"% VRF {vrf} does not exist")
    return await _send_pings(session, vrf, address, tries, seconds)


async def _send_pings(session: Caller, vrf: str, address: int, tries: int, seconds: int) -> str:
    session.print(
        "Type escape sequence to abort.\n"
        f"Sending {tries}, 100-byte ICMP Echos to {dotted(address)}, timeout is {seconds} seconds:\n"
    )
    answered = 0
    for _ in range(tries):
        success = session.router.pings(vrf, address)
        if not success:
            await session.router.clock.sleep(seconds)
        answered += success
        session.print("!" if success else ".")
    times = ", round-trip min/avg/max = 7/9/12 ms" if answered else ""
    return f"\nSuccess rate is {100 * answered // tries} percent ({answered}/{tries}){times}\n"


# -------------------------------------------------------------- saving, reloading


@PRIVILEGED.command("write", "write memory")
async def _write(session: Caller) -> str:
    return "Building configuration...\n" + ("[OK]\n" if session.router.save(session.origin) else "")


@PRIVILEGED.command("copy running-config startup-config")
async def _copy(session: Caller) -> str:
    await session.ask("Destination filename [startup-config]? ")
    return await _write(session)


@PRIVILEGED.command("reload")
async def _reload(session: Caller) -> str:
    await _offer_to_save(session)
    if not _agreed(await session.ask_key("Proceed with reload? [confirm]")):
        return ""
    session.router.restart()
    return ""


@PRIVILEGED.command("reload in MINUTES")
async def _reload_in(session: Caller, delay: str) -> str:
    return await _plan_reload(session, delay, "Reload Command")


@PRIVILEGED.command("reload in MINUTES LINE")
async def _reload_in_because(session: Caller, delay: str, reason: str) -> str:
    return await _plan_reload(session, delay, reason)


async def _plan_reload(session: Caller, delay: str, reason: str) -> str:
    first, _, second = delay.partition(":")
    minutes = int(first) * 60 + int(second) if second else int(first)
    if not minutes:
        raise CommandError("% Invalid time: a reload is at least a minute away")
    await _offer_to_save(session)
    planned = session.router.plan_reload(minutes, reason, session.origin)
    session.print(
        f"Reload scheduled for {show.clock(planned.due)} (in {minutes} minutes) by {session.origin.user} on vty\n"
        f"Reload reason: {reason}\n"
    )
    if not _agreed(await session.ask_key("Proceed with reload? [confirm]")):
        session.router.cancel_reload(session.origin)
    return ""


async def _offer_to_save(session: Caller) -> None:
    """Ask whether to save unsaved changes before a reload."""
    if session.router.running == session.router.startup:
        return
    session.print("\n")
    answer = await session.ask("System configuration has been modified. Save? [yes/no]: ")
    while answer.strip().lower() not in ("y", "yes", "n", "no"):
        session.print("% Please answer 'yes' or 'no'.\n")
        answer = await session.ask("System configuration has been modified. Save? [yes/no]: ")
    if answer.strip().lower().startswith("y"):
        session.print(await _write(session))


def _agreed(key: str) -> bool:
    return key in ("y", "Y", "\r", "\n")


@PRIVILEGED.command("reload cancel")
async def _reload_cancel(session: Caller) -> str:
    if not session.router.cancel_reload(session.origin):
        return "%No reload is scheduled.\n"
    return "***\n*** --- SHUTDOWN ABORTED ---\n***\n"
