"""The file of MINKA_CREDENTIALS: secrets for devices, and where they may be sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from controller.inventory.parse import FORMS, report_error
from controller.inventory.source import YAML_LIMIT, Entry, Report, read_text
from controller.inventory.yaml_tree import read_yaml
from controller.models.credentials import Credentials
from controller.models.errors import InputError


def read_credentials(path: Path, check: Callable[[str], None]) -> Credentials:
    """Read the file.

    Args:
        path: The file, YAML.
        check: Raises InputError for a reference that may not be used.

    Raises:
        InputError: The setting and the file's path, then every problem of the file, one a line.
    """
    report = Report()
    text = read_text(path, path.name, YAML_LIMIT, report)
    node = read_yaml(text, path.name, report) if text is not None else None
    found = None
    if node is not None:
        entry = Entry("credentials", path.name, node.line, "settings", None, node)
        found = _validated(entry, report, check)
    if report.problems or found is None:
        lines = [str(problem) for problem in report.problems] or [f"{path.name}: there is no 'credentials' key"]
        raise InputError("\n".join((f"MINKA_CREDENTIALS = {str(path)!r} can't be used:", *lines)))
    return found


def _validated(entry: Entry, report: Report, check: Callable[[str], None]) -> Credentials | None:
    assert entry.node is not None
    try:
        found = Credentials.model_validate(entry.node.plain())
    except ValidationError as failure:
        for error in failure.errors(include_url=False):
            report_error(entry, error, report, Credentials, FORMS)
        return None
    for name, credential in found.credentials.items():
        try:
            check(credential.reference)
        except InputError as error:
            report.entry(entry, ("credentials", name, "reference"), error.message)
    return found
