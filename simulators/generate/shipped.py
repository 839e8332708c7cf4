"""How the networks under ``deploy/networks`` were made: ``python -m simulators.generate.shipped deploy/networks``."""

from __future__ import annotations

import sys
from pathlib import Path

from simulators.generate.contracts import ADD_ENTEL
from simulators.generate.network import generate, to_yaml, write

_SCHEMA = "playbooks/schemas/network.schema.json"

#: Tracking areas of peru-mini: the city of Cusco, and the road into the jungle of Ucayali.
MINI_AREAS = ("cusco-13", "ucayali-01")
#: Tracking areas of peru-virtual, 100 sites in the cities of Lima and Arequipa, and those with an edge in their middle.
VIRTUAL_AREAS = (
    *(f"lima-{number:02}" for number in (1, 2, 3, 4, 5, 17)),
    *(f"arequipa-{number}" for number in (10, 11, 12, 13)),
)
EDGES = ("lima-01", "lima-03", "lima-05", "lima-17", "arequipa-10", "arequipa-11", "arequipa-12", "arequipa-13")


def peru(localities: Path) -> dict[str, str]:
    """Files of ``deploy/networks/peru``."""
    return generate(localities, schema=f"../../../{_SCHEMA}")


def peru_mini(localities: Path) -> dict[str, str]:
    """Files of ``deploy/networks/peru-mini``: whole tracking areas of ``peru``."""
    return generate(
        localities, network="peru-mini", name="Peru, in small", areas=MINI_AREAS, schema=f"../../../{_SCHEMA}"
    )


def peru_virtual(localities: Path) -> dict[str, str]:
    """Files of ``deploy/networks/peru-virtual``: whole tracking areas of ``peru``, their stations made of functions."""
    return generate(
        localities,
        network="peru-virtual",
        name="Peru, virtualised",
        areas=VIRTUAL_AREAS,
        edges=EDGES,
        schema=f"../../../{_SCHEMA}",
    )


def add_entel() -> str:
    """The agreement that brings the fourth tenant onto all stations of Cusco in ``peru-mini``."""
    return to_yaml({"agreements": [ADD_ENTEL.as_file({"cusco"})]}, f"../../{_SCHEMA}")


def main(directory: Path) -> None:
    """Write all shipped networks into a directory that holds peru-localities.csv."""
    localities = directory / "peru-localities.csv"
    write(peru(localities), directory / "peru")
    write(peru_mini(localities), directory / "peru-mini")
    write(peru_virtual(localities), directory / "peru-virtual")
    write({"peru-mini-add-entel.yaml": add_entel()}, directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
