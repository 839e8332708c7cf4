"""The command line as a client meets it: prompts, echo, pages, questions, and the timed reload."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.routers.factory import Provisioning
from simulators.routers.keyboard import READ_AHEAD
from simulators.routers.router import Router, RouterSettings
from simulators.routers.shell import CLIENT_SECONDS
from tests.unit.simulators.routers.bench import Typist, make_router, run_loop


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def router(clock: VirtualClock) -> Router:
    return make_router(clock)


@pytest.fixture
async def typist(router: Router) -> Typist:
    typist = await Typist(router).seated()
    await typist.type("terminal length 0")
    return typist


async def test_prompts_follow_the_modes(typist: Typist) -> None:
    shown = await typist.type(
        *("conf t", "interface gi0/0/2", "interface gi0/0/2.7", "vrf definition x", "address-family ipv4", "exit"),
        *("ip access-list standard web", "exit", "hostname NEW", "end", ""),
    )
    prompts = [line.partition("#")[0] for line in shown.splitlines() if "#" in line]
    levels = ["config", "config-if", "config-subif", "config-vrf", "config-vrf-af", "config-vrf", "config-std-nacl"]
    named = [f"R-OLLANTA({level})" for level in (*levels, "config")]
    assert prompts == [*named, "NEW(config)", "NEW", "NEW"]


async def test_a_line_is_echoed_and_refused_below_the_word(typist: Typist) -> None:
    assert await typist.type("show bogus") == (
        "show bogus\n               ^\n% Invalid input detected at '^' marker.\n\nR-OLLANTA#"
    )


async def test_keys_edit_the_line(typist: Typist) -> None:
    shown = await typist.press("sho bogus\x15show clox\x7fck\r\n")
    assert "Jan 01 2026" in shown
    assert shown.count("R-OLLANTA#") == 1
    await typist.type("conf t", "interface gi0/0/2")
    assert (await typist.press("\x1a")).endswith("\nR-OLLANTA#")


async def test_question_mark_helps_and_keeps_the_line(typist: Typist) -> None:
    shown = await typist.press("show ip ?")
    assert "  interface\n  route\n" in shown
    assert shown.endswith("R-OLLANTA#show ip ")


async def test_long_output_comes_in_pages(router: Router) -> None:
    typist = await Typist(router).seated()
    first = await typist.type("show running-config")
    assert first.endswith(" --More-- ")
    assert first.count("\n") == 24
    assert (await typist.press("\r")).count("\n") == 1
    assert (await typist.press("q")).endswith("R-OLLANTA#")


async def test_filters(typist: Typist) -> None:
    shown = await typist.type("show running-config | include ip route vrf")
    assert len(shown.splitlines()) == 9
    assert "rd 65000:101" in await typist.type("show running-config | section vrf definition andes")
    assert "Invalid filter" in await typist.type("show running-config | sort")


async def test_do_and_comments_in_configuration_mode(typist: Typist) -> None:
    await typist.type("conf t", "! nothing", "")
    assert "169.254.0.1" in await typist.type("do show ip route vrf andes")
    assert typist.shell.prompt == "R-OLLANTA(config)#"


async def test_a_password_opens_privileged_mode(clock: VirtualClock) -> None:
    typist = await Typist(make_router(clock, settings=RouterSettings(enable_password="s3"))).seated()
    assert "% Invalid" in await typist.type("configure terminal")
    assert "% Bad secrets" in await typist.type("enable", "a", "b", "c")
    shown = await typist.type("enable", "s3")
    assert "s3" not in shown
    assert shown.endswith("R-OLLANTA#")
    assert (await typist.type("disable")).endswith("R-OLLANTA>")


async def test_ping(clock: VirtualClock, typist: Typist) -> None:
    assert "!!!!!" in await typist.type("ping vrf andes 10.41.0.1")
    assert "!!!!!" in await typist.type("ping vrf andes 10.99.0.1")
    assert "VRF nobody does not exist" in await typist.type("ping vrf nobody 10.41.0.1")
    await typist.type("ping vrf andes 10.41.0.9 repeat 2 timeout 3")
    clock.advance(3)
    await run_loop()
    clock.advance(3)
    assert "Success rate is 0 percent (0/2)" in await typist.type("")


async def test_saving(router: Router, typist: Typist) -> None:
    await typist.type("conf t", "hostname NEW", "end")
    assert not router.summary()["saved"]
    assert "hostname R-OLLANTA" in await typist.type("show startup-config")
    assert "[OK]" in await typist.type("copy run start", "")
    assert router.summary()["saved"]
    assert router.history.counts[EventKind.SAVED] == 1


async def test_a_planned_reload_reverts_what_was_not_saved(clock: VirtualClock, router: Router, typist: Typist) -> None:
    assert "Proceed" in await typist.type("reload in 5", "")
    await typist.type("conf t", "no vrf definition andes", "end")
    clock.advance(299)
    assert "in 0 minutes and 1 seconds" in await typist.type("show reload")
    clock.advance(1)
    assert typist.screen.aborted
    assert router.reloading
    assert "andes" in router.running.vrfs
    clock.advance(router.settings.reload_seconds)
    assert not router.reloading
    assert router.history.counts[EventKind.RESTARTED] == 1


async def test_a_cancelled_reload_keeps_the_change(clock: VirtualClock, router: Router, typist: Typist) -> None:
    await typist.type("reload in 1:00 safety net", "y")
    assert "safety net" in await typist.type("show reload")
    await typist.type("conf t", "hostname NEW", "end")
    assert "SHUTDOWN ABORTED" in await typist.type("reload cancel")
    assert "%No reload" in await typist.type("reload cancel")
    clock.advance(7200)
    assert router.running.hostname == "NEW"
    assert [event.user for event in router.history.events(EventKind.RELOAD_CANCELLED)] == ["minka"]


async def test_a_reload_asks_about_unsaved_changes(router: Router, typist: Typist) -> None:
    await typist.type("conf t", "hostname NEW", "end")
    assert "Save? [yes/no]" in await typist.type("reload")
    assert "Please answer" in await typist.type("maybe")
    assert "[OK]" in await typist.type("yes")
    await typist.press("n")
    assert not router.reloading
    assert router.startup.hostname == "NEW"
    await typist.type("reload", "")
    assert router.reloading


async def test_a_silent_client_is_hung_up(clock: VirtualClock, router: Router, typist: Typist) -> None:
    clock.advance(router.settings.idle_seconds)
    assert typist.screen.closed
    assert not router.sessions


async def test_a_client_that_does_not_read_is_dropped(clock: VirtualClock, router: Router, typist: Typist) -> None:
    typist.shell.pause_writing()
    typist.shell.resume_writing()
    clock.advance(CLIENT_SECONDS)
    assert not typist.screen.aborted
    typist.shell.pause_writing()
    clock.advance(CLIENT_SECONDS)
    assert typist.screen.aborted


async def test_a_flood_is_held_back(router: Router) -> None:
    typist = Typist(router)
    typist.shell.open()
    typist.shell.receive(b"x" * (READ_AHEAD + 1))
    assert not typist.screen.reading
    await run_loop()
    assert typist.screen.reading


@pytest.mark.parametrize(
    ("filtered", "lines"),
    [
        ("include ^vrf definition|^interface Gig.*0/0/[01]$", 5),
        ("include ^ip route vrf andes", 3),
        ("include vrf_andes_", 3),
        ("include \\.101$", 2),
        ("include [xyz]{", 0),
        ("count ^interface", 1),
    ],
)
async def test_filters_take_regular_expressions(typist: Typist, filtered: str, lines: int) -> None:
    shown = (await typist.type(f"show running-config | {filtered}")).splitlines()[1:-1]
    assert len(shown) == lines, shown


@pytest.mark.parametrize("wrong", ["(", "[", "*", "a" * 201])
async def test_a_wrong_regular_expression_is_refused(typist: Typist, wrong: str) -> None:
    assert "% Failed to compile" in await typist.type(f"show version | include {wrong}")


async def test_tab_completes_a_keyword_that_is_certain(typist: Typist) -> None:
    assert (await typist.press("sh\t")).endswith("\nR-OLLANTA#show ")
    assert (await typist.press("ru\t")).endswith("\nR-OLLANTA#show running-config ")
    assert "hostname R-OLLANTA" in await typist.press("| include hostname\n")
    assert (await typist.press("show i\t")).endswith("\nR-OLLANTA#show i")  # interfaces or ip
    await typist.press("\x15conf t\n")
    assert (await typist.press("vrf def\t")).endswith("#vrf definition ")


async def test_question_mark_behind_a_begun_word_lists_how_it_goes_on(typist: Typist) -> None:
    shown = await typist.press("show r?")
    assert "  reload\n  running-config\n" in shown
    assert "version" not in shown


async def test_arrows_bring_back_lines_and_move_within_one(typist: Typist) -> None:
    await typist.type("show clock", "show privilege")
    assert (await typist.press("\x1b[A")).endswith("show privilege")
    assert "Jan 01 2026" in await typist.press("\x1b[A\n")
    assert "Current privilege level is 15" in await typist.press("\x1b[A\x1b[A\x1b[B\x10\n")
    assert "Jan 01 2026" in await typist.press("how clok" + "\x1b[D" + "c" + "\x01s\x05\n")
    assert "Jan 01 2026" in await typist.press("show clockx\x1b[D\x1b[3~\n")
    assert "Jan 01 2026" in await typist.press("show bogus\x17clock\n")


async def test_the_screen_shows_the_line_as_it_is(typist: Typist) -> None:
    shown = await typist.press("show cock\x1b[D\x1b[D\x1b[Dl")
    assert on_screen(shown) == ("show clock", 7)
    shown += await typist.press("\x1b[Cx\x7f\x7f\x01\x04")
    assert on_screen(shown) == ("how clck", 0)
    shown += await typist.press("\x05\x17\x15")
    assert on_screen(shown) == ("", 0)


def on_screen(printed: str) -> tuple[str, int]:
    """The line that a terminal shows after this, without what blanks wiped out, and where its cursor stands."""
    cells, at = [" "] * 80, 0
    for character in printed:
        if character == "\b":
            at -= 1
        else:
            cells[at] = character
            at += 1
    return "".join(cells).rstrip(), at


async def test_answers_to_questions_are_not_remembered(router: Router, typist: Typist) -> None:
    await typist.type("copy run start", "secret-name")
    assert (await typist.press("\x10")).endswith("copy run start")


async def test_pings_with_and_without_a_protocol(typist: Typist) -> None:
    for words in ("ping vrf andes ip 10.41.0.1", "ping vrf andes 10.41.0.1 repeat 5", "ping ip 10.98.0.2"):
        assert "Success rate is 100 percent (5/5)" in await typist.type(words)


async def test_a_command_that_is_none_is_named_on_the_way_out(router: Router) -> None:
    typist = await Typist(router).seated("show bogus")
    assert typist.screen.text.strip() == 'Line has invalid autocommand "show bogus"'
    assert typist.screen.closed


async def test_one_command_and_out(router: Router) -> None:
    typist = await Typist(router).seated("show ip route vrf andes")
    assert "10.41.8.0/30" in typist.screen.text
    assert typist.screen.closed
    assert not router.sessions


async def test_exit_hangs_up(router: Router, typist: Typist) -> None:
    await typist.type("exit")
    assert typist.screen.closed
    assert [event.kind for event in router.history.events()][-1] is EventKind.SESSION_CLOSED


async def test_two_sessions_change_one_configuration(router: Router, typist: Typist) -> None:
    other = await Typist(router, "other").seated()
    await typist.type("conf t", "interface gi0/0/2.7", "encapsulation dot1q 7")
    await other.type("conf t", "no interface gi0/0/2.7")
    await typist.type("description still here")
    assert router.running.interfaces["GigabitEthernet0/0/2.7"].vlan == 0
    assert {event.user for event in router.history.events(EventKind.RUNNING_CHANGED)} == {"minka", "other"}


@given(st.lists(st.text(max_size=30) | st.binary(max_size=30), max_size=20))
@settings(max_examples=100, deadline=None)
async def test_garbage_never_breaks_a_session(pieces: list[str | bytes]) -> None:
    router = make_router(provisioning=Provisioning.BARE)
    typist = await Typist(router).seated()
    await typist.type("conf t")
    for piece in pieces:
        typist.shell.receive(piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece)
        await run_loop()
    assert not typist.screen.aborted
