"""The same messages to our stations and to Debian's netconfd: each difference is explained, each explanation differs.

An explanation says why ours is right by the RFCs, or in what netconfd is known to be wrong:
``tests/conformance/netconf/differences.yaml``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree

from tests.conformance.netconf.sequences import SEQUENCES, Sequence, play
from tests.integration.simulators.oracle import NetconfdPlayer, asked_elsewhere, differences, explained
from tests.support.netconfd import Netconfd, netconfd

pytestmark = pytest.mark.needs("netconfd", "sshd")

ASKED = [sequence for sequence in SEQUENCES if asked_elsewhere(sequence)]


@pytest.fixture(scope="module")
def server() -> Iterator[Netconfd]:
    with netconfd() as running:
        yield running


@pytest.mark.parametrize("sequence", ASKED, ids=lambda sequence: sequence.name)
async def test_netconfd_answers_alike(sequence: Sequence, server: Netconfd) -> None:
    ours = etree.parse(sequence.folder / "output.xml").getroot()
    async with NetconfdPlayer(server) as player:
        theirs = await play(sequence, player)
    assert differences(ours, theirs) == explained().get(sequence.name, {})


def test_explanations_are_about_sequences_that_are_asked() -> None:
    assert set(explained()) <= {sequence.name for sequence in ASKED}
    assert len(ASKED) >= 35
