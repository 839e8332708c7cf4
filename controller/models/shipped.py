"""Files that come with Minka: playbooks, rules, schemas, sample networks, the configuration of Prometheus, OpenAPI."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    """What comes with Minka, by its path in the repository: of the installed package, or of the checkout."""
    installed = _PACKAGE / "shipped"
    return (installed if installed.is_dir() else _PACKAGE.parent) / name
