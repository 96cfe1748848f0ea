"""What is there: models and boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smidgen.cli._shared import Fixed, Json, Model, Shapes, exit_if, load_model, show
from smidgen.errors import SmidgenError, UnsupportedModelError

if TYPE_CHECKING:
    from smidgen.frontends import Surveyed


def inspect(
    model: Model,
    board: Annotated[
        str | None, typer.Option("--board", "-b", help="Also compare with a board's memory.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="A function of a .tflite file, by its key.")
    ] = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """What a model consists of, and what would keep it off a board, layer by layer.

    A model that cannot be read whole still gets its table of operators, and exit code 1.
    """
    import dataclasses

    from smidgen import signatures, tables
    from smidgen.facts import describe, describe_on
    from smidgen.targets.board import load_board

    try:
        graph = load_model(model, shapes, fixed, signature)
    except UnsupportedModelError as error:
        found = _surveyed(model, signature, shapes, fixed)
        if not any(one.problem for one in found):
            raise
        problem = {"message": error.message, "where": error.where, "hint": error.hint}
        bad = {"error": problem, "operators": [dataclasses.asdict(one) for one in found]}
        show(as_json, bad, tables.survey(model.name, found))
        raise typer.Exit(1) from None
    keys, described = signatures(model), describe(graph)
    facts: dict[str, Any] = {**dataclasses.asdict(described), "signatures": list(keys)}
    text = tables.inspect(described, keys)
    if board is not None:
        on = describe_on(graph, load_board(board))
        facts["board"] = {**dataclasses.asdict(on), "fits": on.fits}
        text += tables.inspect_board(on)
    show(as_json, facts, text)
    if board is not None:
        exit_if(not on.fits)


def _surveyed(
    model: Path, signature: str | None, shapes: list[str] | None, fixed: list[str] | None
) -> list[Surveyed]:
    """The operators of a file that does not load; none where that is not their fault."""
    from smidgen import tables
    from smidgen.frontends import survey

    dims, values = tables.parse_shapes(shapes), tables.parse_fixed(fixed)
    try:
        return survey(model, signature=signature, shapes=dims, fixed=values)
    except SmidgenError:
        return []


def boards(as_json: Json = False) -> None:
    """The boards that Smidgen knows."""
    import dataclasses

    from smidgen import tables
    from smidgen.targets.board import list_boards

    known = list_boards()
    show(as_json, [dataclasses.asdict(board) for board in known], tables.boards(known))
