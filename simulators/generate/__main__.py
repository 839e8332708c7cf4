"""Command line of the generator."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulators.generate.network import generate, write


def main(arguments: list[str] | None = None) -> int:
    """Generate a network into a directory; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.generate",
        description="Generate a sample network on the real places of Peru.",
        epilog="example: python -m simulators.generate --stations 31000 --seed 1 "
        "--localities deploy/networks/peru-localities.csv /tmp/large",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="directory to write into")
    parser.add_argument("--localities", type=Path, required=True, help="CSV of places, as peru-localities.csv")
    parser.add_argument("--stations", type=int, default=3100, help="base stations of the whole network (default: 3100)")
    parser.add_argument("--seed", type=int, default=716, help="equal seeds give equal networks (default: 716)")
    parser.add_argument("--id", default="peru", help="id of the network (default: peru)")
    parser.add_argument("--name", default="Peru", help="name of the network (default: Peru)")
    parser.add_argument(
        "--area", action="append", default=[], help="keep only this tracking area, as cusco-03; repeatable"
    )
    parser.add_argument("--schema", help="path of network.schema.json as seen from OUT, for editors")
    options = parser.parse_args(arguments)
    try:
        files = generate(
            options.localities,
            stations=options.stations,
            seed=options.seed,
            network=options.id,
            name=options.name,
            areas=options.area,
            schema=options.schema,
        )
    except (OSError, ValueError) as error:
        print(f"cannot generate: {error}", file=sys.stderr)
        return 1
    write(files, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
