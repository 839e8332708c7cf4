"""What is for stations or for routers alone is refused on others before there is a run."""

from __future__ import annotations

from typing import Any

import pytest

from controller.models.errors import InputError
from controller.store import Page
from tests.integration.routers.system import ROUTER, STATION, RouterSystem

SOFTWARE = {"url": "sftp://10.0.0.1/images/station-24.3.0.zip", "version": "24.3.0"}
DOWNLOAD = {"name": "fetch", "action": "download-software", "with": SOFTWARE}
SWITCH = {"name": "switch", "action": "switch-router-path", "with": {"standby": True}}


@pytest.mark.parametrize("name", ["download-software", "upgrade-software"])
async def test_software_is_for_stations(system: RouterSystem, name: str) -> None:
    for act in (system.dry_run, system.run):
        with pytest.raises(InputError, match=f"download-software is for stations only, and {ROUTER} is a router"):
            await act(name, where=f"router={ROUTER}", **SOFTWARE)
    assert system.store.runs.page(Page())[0] == 0
    assert not (await system.dry_run(name, where=f"site={system.network().site_of(ROUTER)}", **SOFTWARE)).refused


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        ({"targets": STATION, "steps": [SWITCH]}, "for routers only, and the targets are stations"),
        ({"targets": f"router={ROUTER}", "steps": [SWITCH]}, ""),
        ({"targets": STATION, "routers": True, "steps": [DOWNLOAD]}, f"'fetch': .* and {ROUTER} is a router"),
        ({"targets": STATION, "routers": True, "steps": [{**DOWNLOAD, "when": "{{ not target.router }}"}]}, ""),
        # What it depends on is known on the station only.
        (
            {
                "targets": STATION,
                "routers": True,
                "steps": [
                    {"name": "look", "action": "read-state", "register": "seen"},
                    {**DOWNLOAD, "when": "{{ seen.cells_on_air > 0 }}"},
                ],
            },
            "",
        ),
    ],
)
async def test_a_step_is_refused_where_it_surely_would_be_done(
    system: RouterSystem, content: dict[str, Any], refused: str
) -> None:
    rehearsal = system.dry_run("own", system.own(**content))
    if refused:
        with pytest.raises(InputError, match=refused):
            await rehearsal
    else:
        assert (await rehearsal).playbook == "own"
