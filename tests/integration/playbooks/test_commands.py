"""Playbooks from the command line, against the processes of a controller."""

from __future__ import annotations

from pathlib import Path

from tests.integration.alarms.system import ROOT, TINY
from tests.support.minka import minka
from tests.support.process_system import process_system, temporary_folder


def test_from_check_to_steps() -> None:
    with temporary_folder() as folder, process_system(folder, "embedded", TINY) as system:
        up = system.command_line()
        up("network", "load", str(TINY), "--endpoints", str(system.endpoints))
        up("device", "adopt", "*")
        up("apply", up("plan", "--expect", "4", "--json").json["id"], "--canary", "0")
        assert {one["name"] for one in up("playbook", "list", "--json").json} >= {"lock-cell", "audit-drift"}
        assert "must be given" in up("playbook", "show", "lock-cell").out
        words = ("lock-cell", "station=T-LTE-1", "cell=2")
        assert "UNLOCKED → LOCKED" in up("playbook", "dry-run", *words).out
        run = up("playbook", "run", *words, "--reason", "CHG-1", "--json").json
        assert (run["state"], run["procedure"], run["reason"]) == ("succeeded", "lock-cell", "CHG-1")
        assert "off the air" in up("playbook", "steps", run["id"], "T-LTE-1").out
        software = ("where=*", "url=sftp://10.0.0.1/images/station-24.3.0.zip", "version=24.3.0")
        for verb, status in (("dry-run", 0), ("run", 2)):
            said = up("playbook", verb, "download-software", *software, status=status)
            assert "expect 4 devices (--expect 4)" in " ".join(f"{said.out} {said.err}".split())
        assert "refused" not in up("playbook", "dry-run", "download-software", *software, "--expect", "4").out
        assert up("device", "show", "T-LTE-1", "--json").status == 0
        up("hold", "put", "T-LTE-1", "--reason", "on the mast")
        seen = up("playbook", "dry-run", "unlock-cell", *words[1:], "--exit-code", status=10)
        assert "would be refused: T-LTE-1: hold on T-LTE-1" in seen.out
        assert "on the mast" in up("playbook", "run", "unlock-cell", *words[1:], status=2).err
        actions = {row["action"] for row in up("audit", "--limit", "200", "--json").json}
        assert {"run.created", "step.finished", "playbook.rehearsed"} <= actions
        up("playbook", "run", "lock-cell", "station", status=2)


def test_check_names_every_problem(tmp_path: Path) -> None:
    said = minka("playbook", "check", str(ROOT / "playbooks"))
    assert (said.status, "valid, with 3 warnings" in said.out) == (0, True), said
    assert "warning: lock-cell.yaml:12: playbook.steps[0].action: its cells stay locked at the end" in said.err
    said = minka("playbook", "check", str(ROOT / "playbooks" / "cycle-cell.yaml"), "--json")
    assert said.json == {"valid": True, "playbooks": ["cycle-cell"], "problems": [], "warnings": []}
    (tmp_path / "bad.yaml").write_text("name: bad\ndescription: x\ntargets: '*'\nsteps:\n  - {name: a, action: b}\n")
    said = minka("playbook", "check", str(tmp_path / "bad.yaml"))
    assert said.status == 2
    assert "bad.yaml:5: playbook.steps[0].action = 'b': no such action" in said.err
    for verb in ("show", "dry-run", "run"):
        said = minka("playbook", verb, str(tmp_path / "bad.yaml"), *(("--reason", "x") if verb == "run" else ()))
        words = " ".join(said.err.replace("│", "").split())
        assert (said.status, "its name, here 'bad', once the files" in words) == (2, True), said
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.yml").write_text("")
    for path, why in (
        ("empty", "there is no playbook in"),
        ("other.yml", "is not a playbook: a playbook is a file NAME.yaml"),
    ):
        said = minka("playbook", "check", str(tmp_path / path))
        assert (said.status, why in said.err) == (2, True), said
