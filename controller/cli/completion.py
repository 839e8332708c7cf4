"""Completion of ids in the shell: from the API within a second, or none, and never an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import typer

from controller.cli.output import client
from controller.models.untrusted import visible

#: Seconds that the API gets for an answer, since a person waits.
_PATIENCE = 1.0
#: Most ids to offer: of runs and plans the newest, of alarms the gravest.
_MOST = 200
#: Keys of selectors, and the kind of network objects that their values name.
_KINDS = {"region": "regions", "site": "sites", "tenant": "tenants", "owner": "tenants"}

#: Words to offer to the shell, with a description of each.
Offers = list[tuple[str, str]]
Completer = Callable[[str], Offers]


def _asked(path: str, key: str, *about: str, **params: Any) -> Offers:
    """Ids of a list of the API, each with the named fields; none if the API does not answer."""
    try:
        found = client(patience=_PATIENCE).get(path, limit=_MOST, **params)["results"]
        return [(str(one[key]), visible(" ".join(str(one.get(field) or "") for field in about))) for one in found]
    except Exception:  # noqa: BLE001 - a shell that completes is no place for messages
        return []


def _of(path: str, key: str, *about: str) -> Completer:
    def complete(incomplete: str) -> Offers:
        return [offer for offer in _asked(path, key, *about) if offer[0].startswith(incomplete)]

    return complete


runs = _of("/v1/runs", "id", "state", "procedure")
plans = _of("/v1/plans", "id", "selector")
playbooks = _of("/v1/playbooks", "name")
incidents = _of("/v1/incidents", "id", "severity", "probable_cause", "station", "object")
alarms = _of("/v1/alarms", "id", "state", "station", "probable_cause")
tenants = _of("/v1/network/tenants", "id", "name")
holds = _of("/v1/holds", "id", "target", "reason")
freezes = _of("/v1/freezes", "id", "target", "reason")
works = _of("/v1/works", "id", "tenant", "reason")
tokens = _of("/v1/tokens", "id", "owner", "label")
users = _of("/v1/users", "name", "role")
kpis = _of("/v1/kpis", "name", "title")
pools = _of("/v1/pools", "pool", "where", "region")
functions = _of("/v1/functions", "function", "kind", "package")


def stations(incomplete: str) -> Offers:
    """Ids of stations that begin so."""
    if not re.fullmatch(r"[\w.-]*", incomplete):
        return []
    return _asked("/v1/devices", "station", "site", selector=f"{incomplete}*")


def votes(incomplete: str) -> Offers:
    """Ids of runs and plans."""
    return [*runs(incomplete), *plans(incomplete)]


def selectors(incomplete: str) -> Offers:
    """Selectors with the last word completed to a station or a value of a key."""
    head, word = re.fullmatch(r"(.*[,|!=])?(.*)", incomplete, re.DOTALL).groups(default="")  # type: ignore[union-attr]
    key = re.search(r"(\w+)=[^,]*$", head)
    if key is None:
        keys = [(f"{one}=", "") for one in _KINDS if one.startswith(word)]
        offers = [*stations(word), *keys]
    elif key[1] in _KINDS:
        known = _asked(f"/v1/network/{_KINDS[key[1]]}", "id", "name")
        offers = [one for one in known if one[0].startswith(word)]
    else:
        offers = []
    return [(head + value, about) for value, about in offers]


#: An argument that selects stations.
Selector = Annotated[
    str, typer.Argument(help="Stations, as in region=cusco,rat=NR or PE-CUS-*.", autocompletion=selectors)
]
RunId = Annotated[str, typer.Argument(help="Id of a run, as in r-21748f9c95.", autocompletion=runs)]
