"""Statements: what a tenant got in a month, issued in versions whose digests are on the audit trail."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from controller.models.enums import StatementForm as StatementForm  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import StatementKind as StatementKind  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.scalars import Noun

#: A month of the network's time zone.
Month = Annotated[
    str,
    StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$"),
    Field(description="A month, as in 2026-10."),
]

Value = str | int | float | None

#: How many months before its own a settlement corrects.
CORRECTED_MONTHS = 3
#: For how long counters are kept at least, as they came: a settlement reads those of its month and of the months
#: that it corrects, and may be issued a month later.
LONGEST_PROOF = timedelta(days=31) * (1 + CORRECTED_MONTHS + 1)


class Column(Noun):
    """A column of a sheet: its name, and the unit and meaning of its values."""

    name: str
    unit: str = ""
    meaning: str = ""


class Sheet(Noun):
    """A table of a statement."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]


class Statement(Noun):
    """What a tenant got in a month.

    Attributes:
        tenant_name: Name in the network files; ``network_name`` too.
        begin: Begin of the month in the network's time zone; ``end`` is its end.
        version: Version from 1; 0 for a draft, which is not on record.
        issued: When it was issued; None for a draft.
        drafted: When a draft was worked out, by what was known then; None for an issued one.
        reason: Why a further version was issued.
        rules: How the figures are calculated, in sentences.
    """

    kind: StatementKind
    tenant: str
    tenant_name: str
    network: str
    network_name: str
    month: Month
    timezone: str
    begin: AwareDatetime
    end: AwareDatetime
    version: int = 0
    issued: AwareDatetime | None = None
    drafted: AwareDatetime | None = None
    reason: str = ""
    rules: tuple[str, ...] = ()
    sheets: tuple[Sheet, ...] = ()

    @property
    def id(self) -> str:
        """Its name on the audit trail, as in ``sla-bitel-2026-10-v1``."""
        return f"{self.kind}-{self.tenant}-{self.month}-v{self.version}"

    @property
    def bare(self) -> Statement:
        """What it says, whatever its version and whenever it was made."""
        return self.model_copy(update={"version": 0, "issued": None, "drafted": None, "reason": ""})

    def says_as(self, other: Statement) -> bool:
        """Whether its content is equal, whatever its version."""
        return self.bare == other.bare


class IssuedStatement(Noun):
    """A statement on record.

    Attributes:
        by: Who issued it; tenants see ``host``.
        latest: The newest version of its month.
        digests: SHA-256 of its files, by form.
    """

    id: str
    kind: StatementKind
    tenant: str
    month: Month
    version: int
    latest: int
    issued: AwareDatetime
    by: str
    reason: str
    digests: dict[StatementForm, str]


class StatementProof(Noun):
    """The result of looking up a file among those issued.

    Attributes:
        form: Format of the file.
        row: Number of the audit row with its digest; 0 for a tenant, to which it would tell how much others did.
        hash: Hash of that row, to compare with anchors outside; empty for a tenant.
        wrong: What is wrong with that row; empty if it is intact.
    """

    statement: IssuedStatement
    form: StatementForm
    row: int = 0
    hash: str = ""
    wrong: str
