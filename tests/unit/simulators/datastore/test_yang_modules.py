"""Our YANG modules in the hands of others: yanglint and Debian's netconfd load them and agree with our datastore."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from simulators.datastore import Config, RpcError, RpcErrors, load_schema
from simulators.datastore.compiler import BASE_MODULES, PROFILE_MODULES, YANG_PATH
from simulators.history import Origin
from simulators.netconf import messages
from simulators.netconf.notifications import REPLAY_NS, Termination, session_end, session_start
from tests.conftest import find_program
from tests.unit.simulators.datastore.documents import ENB, GNB, NETCONF

STATION_MODULES = sorted({name for names in PROFILE_MODULES.values() for name in names} | {"o-ran-fm"})
#: Deviates others; netconfd takes such a module apart from the rest.
DEVIATIONS = "minka-3gpp-deviations"

#: What netconfd demands of a cell, deviations or not: it reads ``min-elements 0`` as 1.
NPN = (
    "<nPNIdentityList><idx>1</idx><plmnid><mcc>716</mcc><mnc>10</mnc></plmnid><cAGIdList/><nIDList/></nPNIdentityList>"
)

#: The IETF's own are loaded by those that import them; libyang grumbles at the text of one that nobody does.
OURS = [path for path in YANG_PATH.glob("*.yang") if not path.name.startswith("ietf-")]

#: What is wrong with each document, and the change that makes it so.
WRONG = {
    "range": (GNB, "<nRPCI>101<", "<nRPCI>1008<"),
    "pattern": (GNB, "<mnc>06</mnc>", "<mnc>6</mnc>"),
    "length": (GNB, "<gNBCUName>cu-1<", f"<gNBCUName>{'x' * 151}<"),
    "enumeration": (ENB, ">UNLOCKED<", ">OPEN<"),
    "decimal": (ENB, "10.0</dl", "11.0</dl"),
    "address": (ENB, "10.10.2.10", "10.10.2.256"),
    "name": (GNB, "<dnPrefix>DC=", "<dnPrefix>DC "),
    "mandatory leaf": (GNB, "<nRPCI>101</nRPCI>", ""),
    "mandatory leaf of an end point": (ENB, "<remoteAddress>10.10.2.10</remoteAddress>", ""),
    "too few": (ENB, "<servedPlmnList><mcc>716</mcc><mnc>10</mnc></servedPlmnList>", ""),
    "too many": (ENB, "<pLMNId>", "<pLMNId><mcc>716</mcc><mnc>06</mnc></pLMNId><pLMNId>"),
    "must": (ENB, "<plmnIdList>", "<plmnIdList><mcc>716</mcc><mnc>15</mnc></plmnIdList><plmnIdList>"),
    "unknown node": (GNB, "<nRTAC>", "<tac>1</tac><nRTAC>"),
    "missing key": (ENB, "<vlanId>100</vlanId>", ""),
}


def wrong(name: str) -> str:
    document, old, new = WRONG[name]
    assert old in document
    return document.replace(old, new, 1)


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = find_program(program)
    assert path is not None
    return subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def accepted_by_us(document: str) -> bool:
    try:
        Config.from_xml(load_schema(), document.encode()).validate()
    except (RpcError, RpcErrors):
        return False
    return True


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not one of pytest's: their paths are too long for the name of netconfd's socket."""
    with tempfile.TemporaryDirectory(prefix="minka-yang-") as name:
        yield Path(name)


class TestYanglint:
    pytestmark = pytest.mark.needs("yanglint")

    def lint(self, folder: Path, document: str) -> bool:
        (folder / "document.xml").write_text(document)
        modules = [YANG_PATH / f"{name}.yang" for name in STATION_MODULES]
        return run("yanglint", "-p", YANG_PATH, "-t", "config", *modules, folder / "document.xml").returncode == 0

    def test_loads_all_modules_without_a_word(self) -> None:
        done = run("yanglint", "-p", YANG_PATH, *sorted(OURS))
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    def test_reads_notifications_by_the_modules_that_stations_announce(self, folder: Path) -> None:
        who = Origin(1, "minka")
        contents = {
            "start": session_start(who),
            "end": session_end(who, Termination.CLOSED, None),
            "replayed": etree.Element(f"{{{REPLAY_NS}}}replayComplete"),
        }
        paths = [folder / f"{name}.xml" for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(messages.notification(datetime(2026, 1, 1, tzinfo=UTC), content))
        announced = [info.source_path for info in load_schema().modules if "notifications" in info.name]
        assert len(announced) == 3
        for path in paths:
            done = run("yanglint", "-p", YANG_PATH, "-t", "nc-notif", *announced, path)
            assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("document", [GNB, ENB])
    def test_accepts_what_we_accept(self, document: str, folder: Path) -> None:
        assert self.lint(folder, document)
        assert accepted_by_us(document)

    @pytest.mark.parametrize("name", WRONG)
    def test_refuses_what_we_refuse(self, name: str, folder: Path) -> None:
        assert not self.lint(folder, wrong(name))
        assert not accepted_by_us(wrong(name))


class TestNetconfd:
    pytestmark = pytest.mark.needs("netconfd")

    def starts(self, folder: Path, document: str) -> bool:
        """Start netconfd with a startup configuration; it runs when it takes that, and else exits."""
        # It makes this folder itself, whatever --home says, and gives up if another one has just made it.
        Path(pwd.getpwuid(os.getuid()).pw_dir, ".yuma").mkdir(exist_ok=True)
        whole = document.replace("<nRPCI>", f"{NPN}<nRPCI>")
        (folder / "startup.xml").write_text(f'<config xmlns="{NETCONF}">{whole}</config>')
        program = find_program("netconfd")
        assert program is not None
        command = [
            program,
            *(f"--module={YANG_PATH / name}.yang" for name in STATION_MODULES if name != DEVIATIONS),
            f"--deviation={YANG_PATH / DEVIATIONS}.yang",
            f"--modpath=/usr/share/yuma/modules:{YANG_PATH}",
            f"--startup={folder / 'startup.xml'}",
            f"--ncxserver-sockname={folder / 'socket'}",
            f"--home={folder}",
            "--log-level=info",
        ]
        with (
            (folder / "log").open("w+") as log,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder) as server,
        ):
            try:
                while server.poll() is None and not self.running(folder):
                    with_patience(server)
            finally:
                server.terminate()
                server.wait(timeout=30)
        return self.running(folder)

    def running(self, folder: Path) -> bool:
        return "Running netconfd server" in log_of(folder)

    def test_loads_all_modules(self, folder: Path) -> None:
        assert self.starts(folder, GNB + ENB)
        log = log_of(folder)
        # "SIL code not found" names each module that was loaded without program code behind it.
        assert {Path(name).stem for name in re.findall(r"SIL code for module '([^']+)' not found", log)} == set(
            STATION_MODULES
        ) - {DEVIATIONS}

    @pytest.mark.parametrize("name", ["range", "pattern", "decimal", "enumeration", "unknown node"])
    def test_refuses_what_we_refuse(self, name: str, folder: Path) -> None:
        assert not self.starts(folder, wrong(name))


def log_of(folder: Path) -> str:
    """What netconfd wrote, which now and then holds bytes that are no text."""
    return (folder / "log").read_text(errors="replace")


def with_patience(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        return


def test_every_module_is_used() -> None:
    """What ships is loaded by the stations: no module lies about unused."""
    shipped = {path.stem.partition("@")[0] for path in YANG_PATH.glob("*.yang")}
    assert shipped == {module.name for module in load_schema().modules}
    assert set(BASE_MODULES) <= shipped


def test_borrowed_modules_keep_their_licence() -> None:
    for path in YANG_PATH.glob("ietf-*.yang"):
        assert re.search(r"Copyright \(c\) \d{4} IETF Trust.*?Simplified BSD", path.read_text(), re.DOTALL), path


def test_every_deviation_is_explained() -> None:
    text = re.sub(r'"\s*\+\s*"', "", (YANG_PATH / f"{DEVIATIONS}.yang").read_text())
    deviated = {re.sub(r"[a-z0-9]+:", "", path) for path in re.findall(r'deviation "([^"]+)"', text)}
    rows = re.findall(
        r"^\| (`[^|]*) \| (`[^|]*) \| [A-Z][^|]* \|$", (YANG_PATH / "README.md").read_text(), re.MULTILINE
    )
    explained = {f"{place}/{node}" for places, nodes in rows for place in names(places) for node in names(nodes)}
    classes = ("GNBDUFunction", "NRCellDU", "NRSectorCarrier", "OperatorDU", "NROperatorCellDU")
    short = {re.sub(rf".*?(({'|'.join(classes)})(/attributes)?/[A-Za-z]+)$", r"\1", path) for path in deviated}
    assert len(short) == len(deviated) > 10
    assert short == explained


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
