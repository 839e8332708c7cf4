"""``make demo``, whole: it says what it did, from the devices, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(1200)  # minutes alone, as people see it, and three times that beside other tests
def test_the_demo_runs_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MINKA_")}
    environment |= {"TMPDIR": str(tmp_path), "COLUMNS": "160"}
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    said = ran.stdout
    assert ran.returncode == 0, said + ran.stderr
    assert "27 succeeded" in said
    assert "13 stations and 3 routers change for entel" in said
    assert "16 succeeded" in said
    assert "/Router[RT-CUS-0145]/Vrf[entel]/Route[10.17.128.0%2F29,169.254.0.1]" in said
    assert "before: PE-CUS-0145/B28-1 (ACTIVE) broadcasts 716-06, 716-15, 716-10\n" in said
    assert "after:  PE-CUS-0145/B28-1 (ACTIVE) broadcasts 716-06, 716-15, 716-10, 716-17\n" in said
    assert "now:    PE-CUS-0145/B28-1 (ACTIVE) broadcasts 716-06, 716-15, 716-17\n" in said
    assert "129 cells, 29 neighbours" in said
    assert "1 package, 3 functions" in said
    assert "1 of 16 devices differ" in said
    assert "1 station changes for claro, movistar; 1 stays as it is." in said
    assert "no drift on 16 devices" in said
    assert 'minka_repairs_started_total{rule="core-link-down"} 1.0' in said
    # The pictures: all four operators use the cell in the end, one agreement lost service, and the link was repaired.
    for when, plmns in (("before", ("06", "10", "15")), ("after", ("06", "10", "15", "17"))):
        assert re.findall(rf"^  {when} +716-(\d\d) ", said, re.MULTILINE) == list(plmns)
    available = dict(re.findall(r"^  ([a-z0-9-]+) +█* +(\d+\.\d{3}) %, owed ", said, re.MULTILINE))
    assert len(available) == 7
    lost = {name for name, percent in available.items() if float(percent) < 100}
    # While the technician's edit stood, claro was not on air in that cell: lost too, if a check fell into that time.
    assert lost - {"claro-sierra"} == {"bitel-sierra"}
    acts = said[said.index("The repair on the time line") :]
    places = [acts.index(act) for act in ("incident.opened", "repair.started", "incident.closed", "repair.succeeded")]
    assert places == sorted(places)
    # A node of an edge died: what ran there runs at the other edge, with all tenants.
    join, died = said.index("virtual base stations join"), said.index("A node of an edge dies")
    runs_on = re.compile(r"^(BBU-UCA-\d+) .* host +1 +(edge-pucallpa-\d)\s*$", re.MULTILINE)
    first, then = (dict(runs_on.findall(part)) for part in (said[join:died], said[died:]))
    assert sorted(first.values()) == ["edge-pucallpa-1", "edge-pucallpa-1", "edge-pucallpa-2"]
    assert first["BBU-UCA-0012"] == "edge-pucallpa-1"
    assert then == dict.fromkeys(first, "edge-pucallpa-2")
    for when, part in (("before: ", said[join:died]), ("after:  ", said[died:])):
        told = re.search(rf"^{when}PE-UCA-0012/B4-1 \(ACTIVE\) broadcasts (.*)$", part, re.MULTILINE)
        assert told is not None
        assert set(told[1].split(", ")) == {"716-06", "716-10", "716-15"}
    assert "no drift on 14 devices" in said[died:]
    assert list(tmp_path.iterdir()) == []
