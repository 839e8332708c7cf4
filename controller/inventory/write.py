"""Write a network back as network files: equal networks give equal bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import yaml

from controller.inventory.parse import BULK_KINDS, KINDS
from controller.models.network import Network, Noun


def render_network(network: Network) -> dict[str, str]:
    """File names and contents: YAML for header, regions, tenants and agreements, CSV for the rest.

    YAML leaves out values that equal the defaults. Loading the files gives an equal network.
    """
    head: dict[str, Any] = {"network": _plain(network.header)}
    if network.regions:
        head["regions"] = [_plain(region) for region in network.regions]
    files = {"network.yaml": _yaml(head)}
    for kind in ("tenants", "agreements"):
        if items := getattr(network, kind):
            files[f"{kind}.yaml"] = _yaml({kind: [_plain(item) for item in items]})
    for kind in BULK_KINDS:
        if kind != "regions" and (rows := getattr(network, kind)):
            files[f"{kind}.csv"] = render_rows(kind, rows)
    return files


def render_rows(kind: str, rows: Iterable[Noun]) -> str:
    """A CSV file of objects of one bulk kind; columns that no row needs are left out."""
    model = KINDS[kind]
    table = [row.model_dump(mode="json") for row in rows]
    needed = [
        name
        for name, info in model.model_fields.items()
        if info.is_required() or any(row[name] != info.default for row in table)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(needed)
    writer.writerows([_word(row[name]) for name in needed] for row in table)
    return text.getvalue()


def _plain(item: Noun) -> dict[str, Any]:
    return item.model_dump(mode="json", exclude_defaults=True)


def _yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
