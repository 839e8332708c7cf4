"""One controller with four stations for LTE, NR and both, shared by three tenants, with everything applied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.minka import ROOT, CommandResult, Embedded, embedded, minka

TINY = ROOT / "tests" / "fixtures" / "networks" / "tiny"

#: A tenant of Puno has tracking areas and identities of its own.
OWN_CELLS = """\
tenant,station,cell,tac,node_id,node_id_length,local_id
vicuna,T-NR-1,n78-1,7001,9003,24,1
vicuna,T-BOTH-1,1,702,9004,20,1
vicuna,T-BOTH-1,n78-1,7002,9004,24,1
"""

#: A command of a tenant's person.
Command = Callable[..., CommandResult]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network files."""
    folder = tmp_path_factory.mktemp("files") / "network"
    shutil.copytree(TINY, folder)
    (folder / "own_cells.csv").write_text(OWN_CELLS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, network: Path) -> Iterator[Embedded]:
    """The master operator: a controller, its stations on air for all tenants."""
    with embedded(tmp_path_factory.mktemp("up"), network, 4, MINKA_DEVICE_PASSWORD="secret-of-the-stations") as up:
        up("network", "load", str(network), "--endpoints", str(up.endpoints))
        up("device", "adopt", "*")
        plan = up("plan", "--expect", "4", "--json").json
        assert up("apply", plan["id"], "--reason", "first rollout", "--json").json["state"] == "succeeded"
        yield up


@pytest.fixture(scope="module")
def participant(host: Embedded) -> Callable[[str], Command]:
    """A person of a participating operator, by tenant."""
    tokens: dict[str, str] = {}

    def person(tenant: str) -> Command:
        if tenant not in tokens:
            host("user", "add", f"noc-of-{tenant}", "--role", "tenant-viewer", "--tenant", tenant)
            words = ("token", "new", "--owner", f"noc-of-{tenant}", "--label", "conformance", "--json")
            tokens[tenant] = host(*words).json["secret"]

        def command(*words: str) -> CommandResult:
            said = minka(*words, env={**host.env, "MINKA_TOKEN": tokens[tenant]})
            assert said.status == 0, said
            return said

        return command

    return person


def nodes(up: Embedded, station: str, part: str) -> dict[str, Any]:
    """Nodes whose path holds a text, read from the station just now."""
    found: dict[str, Any] = up("device", "get", station, "--filter", part, "--json").json["tree"]
    return found
