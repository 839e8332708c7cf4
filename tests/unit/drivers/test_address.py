"""Why a device was not reached: what the other side said is shown in part."""

from __future__ import annotations

import asyncssh

from controller.drivers.address import not_reached
from controller.drivers.netconf.target import NetconfTarget


def test_what_the_other_side_says_is_short_and_printable_in_an_error() -> None:
    target = NetconfTarget("S-0", ("lte-28658",), "192.0.2.1", 830, "", "", "")
    error = not_reached(target, asyncssh.DisconnectError(11, "FREE\nTEXT" * 2000))
    assert error.message == f"S-0 (192.0.2.1 port 830) can't be reached: {('FREE?TEXT' * 2000)[:200]}"
