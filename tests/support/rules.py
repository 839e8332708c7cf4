"""Rules of tests: what a person would promote first."""

from __future__ import annotations

from collections.abc import Iterable

from controller.models.rule import EVERYWHERE, RuleMode
from controller.remediation.rules import Rule
from controller.store import Store


def promote(
    store: Store,
    rules: Iterable[Rule],
    mode: RuleMode = RuleMode.AUTO,
    scope: str = EVERYWHERE,
) -> None:
    """Let rules act, or ask."""
    for rule in rules:
        store.rules.set_mode(rule.name, scope, mode, by="ana", reason="a test", digest=rule.digest)
