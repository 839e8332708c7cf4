"""Checking network files without a controller: the pure core on local files."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.facts import Finding
from controller.models.network import Network
from controller.ports.clock import SystemClock


def check_files(directory: Path, endpoints: Path | None) -> tuple[Network, tuple[Finding, ...]]:
    """The network and its contract findings as of today.

    Raises:
        NetworkFilesError: Every problem of every file.
    """
    network = load_network(directory, endpoints=endpoints)
    today = SystemClock().now().astimezone(ZoneInfo(network.header.timezone)).date()
    return network, compile_intent(network, today).findings
