"""What is there: models and boards."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from smidgen.cli._shared import Fixed, Json, Model, Shapes, exit_if, load_model, show


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
    from smidgen.errors import UnsupportedModelError
    from smidgen.facts import describe, describe_on
    from smidgen.frontends import survey
    from smidgen.targets.board import load_board

    try:
        graph = load_model(model, shapes, fixed, signature)
    except UnsupportedModelError as error:
        found = survey(model, signature)
        if not found:
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


def boards(as_json: Json = False) -> None:
    """The boards that Smidgen knows."""
    import dataclasses

    from smidgen import tables
    from smidgen.targets.board import list_boards

    known = list_boards()
    show(as_json, [dataclasses.asdict(board) for board in known], tables.boards(known))
