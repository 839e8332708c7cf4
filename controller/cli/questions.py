"""``minka questions``, ``answer``: questions that runs ask people."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli import completion
from controller.cli.completion import RunId
from controller.cli.output import Json, Limit, Reason, client, print_result, when
from controller.cli.tables import Column, records


def questions(
    run_id: Annotated[
        str, typer.Argument(help="Only questions of this run, whatever its state.", autocompletion=completion.runs)
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Also questions that were answered.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List questions of runs that wait for an answer."""
    found = client().all("/v1/questions", limit, run=run_id or None, every=every or None)
    records(
        found,
        (
            Column("question"),
            Column("text", prose=True),
            Column("choices", prose=True),
            Column("until", 1, tells=True),
            Column("answer", 2, prose=True, tells=True),
            Column("by", 3, tells=True),
        ),
        (
            (
                one["id"],
                one["text"],
                ", ".join(f"{choice}{' (default)' if choice == one['default'] else ''}" for choice in one["choices"]),
                when(one["until"]),
                one["answer"] or "-",
                one["by"] or "-",
            )
            for one in found
        ),
        as_json=as_json,
    )


def answer(
    run_id: RunId,
    text: Annotated[str, typer.Argument(help="The answer, one of the choices if there are any.")],
    question: Annotated[str, typer.Option(help="Id of the question, where the run has several.")] = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Answer a question of a run; the first answer counts, and the run continues."""
    given = {"run": run_id, "answer": text, "question": question, "reason": reason}
    said = client().post("/v1/questions", given)
    print_result(said, f"{said['id']}: {said['answer']}", as_json=as_json)
