"""Populated places and the regions they lie in."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Zone(StrEnum):
    """Natural zone of Peru; it decides transport and who shares what."""

    COSTA = "costa"
    SIERRA = "sierra"
    SELVA = "selva"


@dataclass(frozen=True)
class Region:
    """A department: ``index`` numbers it network-wide, ``code`` stands in station ids."""

    index: int
    id: str
    name: str
    code: str
    zone: Zone


@dataclass(frozen=True)
class Place:
    """A populated place; population 0 means not stated."""

    key: str
    name: str
    region: Region
    latitude: float
    longitude: float
    population: int


# Department, code of ISO 3166-2:PE, zone.
_DEPARTMENTS = (
    ("Amazonas", "AMA", Zone.SELVA),
    ("Áncash", "ANC", Zone.SIERRA),
    ("Apurímac", "APU", Zone.SIERRA),
    ("Arequipa", "ARE", Zone.SIERRA),
    ("Ayacucho", "AYA", Zone.SIERRA),
    ("Cajamarca", "CAJ", Zone.SIERRA),
    ("Callao", "CAL", Zone.COSTA),
    ("Cusco", "CUS", Zone.SIERRA),
    ("Huancavelica", "HUV", Zone.SIERRA),
    ("Huánuco", "HUC", Zone.SIERRA),
    ("Ica", "ICA", Zone.COSTA),
    ("Junín", "JUN", Zone.SIERRA),
    ("La Libertad", "LAL", Zone.COSTA),
    ("Lambayeque", "LAM", Zone.COSTA),
    ("Lima", "LIM", Zone.COSTA),
    ("Loreto", "LOR", Zone.SELVA),
    ("Madre de Dios", "MDD", Zone.SELVA),
    ("Moquegua", "MOQ", Zone.COSTA),
    ("Pasco", "PAS", Zone.SIERRA),
    ("Piura", "PIU", Zone.COSTA),
    ("Puno", "PUN", Zone.SIERRA),
    ("San Martín", "SAM", Zone.SELVA),
    ("Tacna", "TAC", Zone.COSTA),
    ("Tumbes", "TUM", Zone.COSTA),
    ("Ucayali", "UCA", Zone.SELVA),
)


def slug(name: str) -> str:
    """Lower-case ASCII words joined by hyphens: ``Madre de Dios`` → ``madre-de-dios``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join("".join(c if c.isalnum() else " " for c in plain).split())


REGIONS = tuple(Region(i, slug(name), name, code, zone) for i, (name, code, zone) in enumerate(_DEPARTMENTS, 1))


def read_places(path: Path) -> list[Place]:
    """Read a localities file (geonameid, name, department, latitude, longitude, population).

    Raises:
        ValueError: if a department is not one of Peru's.
    """
    by_name = {region.name: region for region in REGIONS}
    places = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            region = by_name.get(row["department"])
            if region is None:
                raise ValueError(f"{path}: no department of Peru: {row['department']!r}")
            places.append(
                Place(
                    key=row["geonameid"],
                    name=row["name"],
                    region=region,
                    latitude=float(row["latitude"]),
                    longitude=float(row["longitude"]),
                    population=int(row["population"]),
                )
            )
    return places


def draw(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends on the seed and the words only, whatever else is generated."""
    digest = hashlib.sha256(":".join((str(seed), *words)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
