"""Loading: what is read, what is refused, and that it stays within bounds."""

from __future__ import annotations

import tracemalloc
from datetime import date, time
from ipaddress import ip_address
from pathlib import Path

import pytest

from controller.inventory.frame import load_frame
from controller.inventory.load import load_network
from controller.models.credentials import LOOPBACK_ONLY
from controller.models.errors import NetworkFilesError
from controller.models.network import ActionClass, Consent, Rat
from tests.unit.inventory.files import FILES, changed, problems, write


def test_a_folder_above_several_networks_is_one_problem_that_says_so(tmp_path: Path) -> None:
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    with pytest.raises(NetworkFilesError) as refused:
        load_network(tmp_path)
    (problem,) = refused.value.problems
    said = "the directory: 2 networks are in it, in north, south; name the folder of one of them"
    assert str(problem) == said


def test_reads_what_the_files_say(tmp_path: Path) -> None:
    network = load_network(write(tmp_path))

    assert [region.id for region in network.regions] == ["cusco", "puno"]
    assert [node.id for node in network.backhaul] == ["core", "hill", "peak"]
    assert network.header.management.credential == "test-password"
    station = network.station_by_id["PE-CUS-0001"]
    assert station.profiles == ("lte-28658", "nr-28541")
    assert station.transport_address == ip_address("10.64.0.1")
    assert (station.gnb_id, station.gnb_id_length) == (1, 24)
    assert network.station_by_id["PE-PUN-0001"].gnb_id is None
    assert [(c.name, c.rat) for c in network.cells][:2] == [
        ("PE-CUS-0001/B28-1", Rat.LTE),
        ("PE-CUS-0001/n78-1", Rat.NR),
    ]
    bitel, movistar = network.agreements
    assert bitel.validity.start == date(2024, 1, 1)
    assert (bitel.windows[0].start, bitel.windows[0].end) == (time(23), time(4, 30))
    assert bitel.consents == {ActionClass.RESTORE: Consent.STANDING}
    assert movistar.scope.everywhere


def test_words_mean_what_the_models_say_and_not_what_they_look_like(tmp_path: Path) -> None:
    changes = {
        "network.yaml": FILES["network.yaml"].replace("country: PE", "country: NO").replace("Test network", "12e4")
    }
    network = load_network(write(tmp_path, changes))

    assert network.header.country == "NO"
    assert network.header.name == "12e4"
    assert network.tenant_by_id["movistar"].slices[0].sd == "000601"


def test_reports_all_problems_of_all_files_in_order(tmp_path: Path) -> None:
    changes = (
        changed("tenants.yaml", "vlan: 1006", "vlan: 4095")
        | changed("agreements.yaml", "[cusco]", "[cuzco]")
        | changed("sites.csv", "-13.5", "north")
        | {"cells.csv": FILES["cells.csv"].replace("716-06", "71606")}
    )

    assert [problem.split(": ")[0] for problem in problems(tmp_path, changes)] == [
        "agreements.yaml:14",
        "cells.csv:2",
        "cells.csv:3",
        "cells.csv:4",
        "cells.csv:5",
        "sites.csv:2",
        "tenants.yaml:8",
    ]


def test_files_lie_anywhere_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    plain = load_network(write(tmp_path / "plain"))
    spread = write(tmp_path / "spread")
    (spread / "agreements").mkdir()
    first, second = FILES["agreements.yaml"].split("- id: bitel-cusco")
    (spread / "agreements.yaml").write_text(first)
    (spread / "agreements" / "bitel.yaml").write_text("agreements:\n- id: bitel-cusco" + second)
    (spread / "puno").mkdir()
    head, *rows = FILES["cells.csv"].splitlines(keepends=True)
    (spread / "cells.csv").write_text(head + rows[1])
    (spread / "puno" / "cells.csv").write_text("\ufeff" + head + rows[3] + "\r\n" + rows[0] + rows[2])
    for hidden in (".git/config.yaml", ".agreements.yaml"):
        (spread / hidden).parent.mkdir(exist_ok=True)
        (spread / hidden).write_text("nonsense: [")
    (spread / "README.md").write_text("Read by people.")
    (spread / "empty.yaml").write_text("# nothing yet\n")

    assert load_network(spread) == plain


def test_a_misspelt_site_of_an_import_is_named_with_its_line(tmp_path: Path) -> None:
    write(frame := tmp_path / "frame")
    for name in ("stations.csv", "cells.csv", "own_cells.csv", "neighbours.csv", "endpoints.csv", "agreements.yaml"):
        (frame / name).unlink()
    (endpoints := tmp_path / "endpoints.csv").write_text(FILES["endpoints.csv"])
    (places := tmp_path / "sites.csv").write_text("station,site\nPE-CUS-0001,cusco-1\nPE-PUN-0001,puno-l\n")
    with pytest.raises(NetworkFilesError) as caught:
        load_frame(frame, endpoints, places)
    said = "places.csv:3: station PE-PUN-0001 stands on no site of the files: 'puno-l'; did you mean 'puno-1'?"
    assert str(caught.value) == said


def test_another_file_of_endpoints_replaces_those_of_the_directory(tmp_path: Path) -> None:
    write(tmp_path / "network")
    field = tmp_path / "field.csv"
    field.write_text(FILES["endpoints.csv"].replace("127.0.0.1", "enb.example.net"))

    network = load_network(tmp_path / "network", endpoints=field)

    assert {endpoint.address for endpoint in network.endpoints} == {"enb.example.net"}
    field.write_text(FILES["endpoints.csv"].replace("8301", "0"))
    with pytest.raises(NetworkFilesError, match=r"^field.csv:2: endpoints\[PE-CUS-0001\].port = '0': too small"):
        load_network(tmp_path / "network", endpoints=field)
    other = tmp_path / "other.yaml"
    other.write_text(FILES["tenants.yaml"])
    with pytest.raises(NetworkFilesError, match=r"other.yaml:2: tenants in a file of endpoints"):
        load_network(tmp_path / "network", endpoints=other)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cell.csv": "x"}, ["cell.csv: no such kind of CSV file; did you mean 'cells'?"]),
        ({"more.yml": "x"}, ["more.yml: would not be read; network files end in .yaml or .csv"]),
        ({"more.yaml": "- x"}, [
            ("more.yaml:1: the top level must be a mapping; with keys of "
             "network, regions, backhaul, sites, stations, endpoints, "
             "cells, own_cells, neighbours, routers, pools, nodes, latencies, packages, functions, "
             "tenants, agreements")]),
        ({"network.yaml": FILES["network.yaml"][FILES["network.yaml"].index("regions:"):]}, [
            "network.yaml: there is no 'network' key in any file; it holds id, name, country …"]),
        ({"two.yaml": "network:\n  {id: two, name: Two, country: PE, timezone: America/Lima}"}, [
            "two.yaml:1: network: the network is described twice; first in network.yaml line 1"]),
        ({"x.yaml": "a: 'b\x07'"}, ["x.yaml:1: not YAML: control characters are not allowed"]),
        ({"x.yaml": "[" * 1000}, ["x.yaml:1: nested deeper than 32 levels"]),
    ],
)  # fmt: skip
def test_refuses_files_that_would_be_overlooked_or_misread(
    tmp_path: Path, changes: dict[str, str], expected: list[str]
) -> None:
    assert problems(tmp_path, changes) == expected


def test_refuses_other_encodings_and_missing_directories(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "sites.csv").write_bytes(FILES["sites.csv"].replace("Puno", "Puñó").encode("latin-1"))
    with pytest.raises(NetworkFilesError, match=r"^sites.csv:3: byte 0xf1 is not UTF-8; save the file as UTF-8$"):
        load_network(tmp_path)
    with pytest.raises(NetworkFilesError, match="nowhere: no such directory"):
        load_network(tmp_path / "nowhere")


def _bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (_bomb(), "bomb.yaml:1: anchors (&a0) are not supported; write the value out"),
        (
            "sites:\n" + "- x\n" * 2_700_000,
            "bomb.yaml:2621440: the file is larger than 10 MB; split it, or write bulk rows as CSV",
        ),
        (
            "sites:\n" + "- x\n" * 600_000,
            "bomb.yaml:499999: more than 500000 values in one file; write bulk rows as CSV",
        ),
    ],
    ids=["aliases", "size", "values"],
)
def test_bombs_end_in_a_line_and_not_in_memory(tmp_path: Path, content: str, first: str) -> None:
    write(tmp_path, {"bomb.yaml": content})
    tracemalloc.start()
    try:
        with pytest.raises(NetworkFilesError) as caught:
            load_network(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert str(caught.value.problems[0]) == first
    assert peak < 200 * 2**20


@pytest.mark.parametrize(
    "changes",
    [
        changed("network.yaml", "test-password", "hunter2"),
        changed("network.yaml", "credential: test-password", "password: hunter2"),
        changed("network.yaml", "credential: test-password", "credential: {password: hunter2}"),
        changed("network.yaml", "credential: test-password", "credential: [hunter2"),
        {"endpoints.csv": "station,address,port,host_key,credential\nPE-CUS-0001,10.0.0.1,830,hunter2,hunter2\n"},
        {"endpoints.csv": "station,address,port,host_key,password\nPE-CUS-0001,10.0.0.1,830,k,hunter2\n"},
        {"endpoints.csv": "station,address,port,host_key\nPE-CUS-0001,minka:hunter2@10.0.0.1,830,k,hunter2\n"},
        {"endpoints.csv": "station,address,port,host_key\nPE-CUS-0001,minka:hunter2@10.0.0.1,830,k\n"},
    ],
)
def test_secrets_never_stand_in_problems(tmp_path: Path, changes: dict[str, str]) -> None:
    assert "hunter2" not in "\n".join(problems(tmp_path, changes, LOOPBACK_ONLY))
