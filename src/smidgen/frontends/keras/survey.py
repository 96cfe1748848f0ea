"""Every layer of a Keras model, readable or not, and what to do about those that are not."""

from __future__ import annotations

from collections.abc import Callable

from smidgen.errors import SmidgenError
from smidgen.frontends.keras.convert import problem_of
from smidgen.frontends.keras.spec import ModelSpec
from smidgen.frontends.surveyed import Surveyed


def survey(model: ModelSpec, convert: Callable[[], object]) -> list[Surveyed]:
    """Look at every layer of a model.

    Args:
        model: its layers.
        convert: converts them all. Where each of them alone would do, the first that fails in
            there is the one with a problem.
    """
    layers = [spec for spec in model.leaves() if spec.class_name != "InputLayer"]
    problems: dict[str, SmidgenError] = {}
    for spec in layers:
        error = problem_of(spec)
        if error is not None:
            problems[spec.label] = error
    if not problems:
        try:
            convert()
        except SmidgenError as error:
            problems[error.where or ""] = error
    found = []
    for index, spec in enumerate(layers):
        why = problems.get(spec.label)
        reason = (None, None) if why is None else (why.message, why.hint)
        found.append(Surveyed(index, spec.class_name, spec.name, "", *reason))
    return found
