"""A network as files in a folder."""

from __future__ import annotations

from pathlib import Path

from controller.inventory.write import render_network
from controller.models.network import Network


def write_network(network: Network, folder: Path) -> None:
    """Write a network into a folder, which is made if need be; files of the same names are overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in render_network(network).items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
