"""Arrays as the two file formats lay them out → the weights of each layer, by role."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError
from smidgen.frontends.keras.spec import LayerSpec, ModelSpec

Array = np.ndarray[Any, Any]
Roles = Callable[[LayerSpec], tuple[str, ...]]

# Roles that training does not change by gradient; `.h5` files list them after all the others.
NON_TRAINABLE = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count"})


def assign_h5(
    model: ModelSpec, lists: Mapping[str, Sequence[str]], arrays: Mapping[str, Array], roles: Roles
) -> None:
    """Assign the weights of a `.h5` file: by name of the outer layer, then by position.

    A nested model is one outer layer: its file lists first the trainable weights of all its
    layers, then the others.

    Args:
        model: the model; its layers' `weights` are filled in.
        lists: names of the weights of each group of the file, by the group's path.
        arrays: every array of the file by path.
        roles: the roles of a layer's weights, in the order Keras creates them.

    Raises:
        ModelFileError: naming the layer whose weights are missing or too many.
    """
    for layer in model.layers:
        leaves = [layer] if layer.model is None else list(layer.model.leaves())
        wanted = [(leaf, role) for leaf in leaves for role in roles(leaf)]
        ordered = [w for w in wanted if _trains(*w)] + [w for w in wanted if not _trains(*w)]
        names = lists.get(layer.name, ())
        if len(names) != len(ordered):
            raise ModelFileError(
                f"the file holds {len(names)} weights, its configuration needs {len(ordered)}",
                where=layer.label,
                hint="save the model again",
            )
        for (leaf, role), name in zip(ordered, names, strict=True):
            _set(leaf, role, arrays.get(f"{layer.name}/{name}"))


def _trains(layer: LayerSpec, role: str) -> bool:
    return layer.trainable and role not in NON_TRAINABLE


def assign_keras(
    model: ModelSpec, arrays: Mapping[str, Array], roles: Roles, prefix: str = "layers"
) -> None:
    """Assign the weights of a `.keras` file, whose paths count layers by class.

    The third Conv2D of a model is `layers/conv2d_2`, whatever its name; its weights are `vars/0`,
    `vars/1`, ... A nested model's layers follow under its own path, and so do the weights of a
    layer within a layer, whose roles are paths: `cell/kernel`.

    Args:
        model: the model; its layers' `weights` are filled in.
        arrays: every array of the file by path.
        roles: the roles of a layer's weights, in the order Keras creates them.
        prefix: path of the model's layers.

    Raises:
        ModelFileError: naming the layer whose weights are missing.
    """
    used: dict[str, int] = {}
    for layer in model.layers:
        if layer.class_name == "InputLayer" or layer.is_operation:
            continue
        base = snake_case(layer.class_name)
        count = used[base] = used.get(base, -1) + 1
        path = f"{prefix}/{base}_{count}" if count else f"{prefix}/{base}"
        if layer.model is not None:
            assign_keras(layer.model, arrays, roles, f"{path}/layers")
            continue
        used_vars: dict[str, int] = {}
        for role in roles(layer):
            inner = f"{path}/{role}".rpartition("/")[0]  # of a layer within the layer, if any
            position = used_vars[inner] = used_vars.get(inner, -1) + 1
            _set(layer, role, arrays.get(f"{inner}/vars/{position}"))


def assign_lists(
    model: ModelSpec, weights: Callable[[tuple[str, ...]], Sequence[Array]], roles: Roles
) -> None:
    """Assign weights that are had layer by layer, from a live model.

    Args:
        model: the model; its layers' `weights` are filled in.
        weights: the arrays of the layer at a path of names, in the order Keras creates them.
        roles: the roles of a layer's weights, in that order.
    """

    def assign(part: ModelSpec, path: tuple[str, ...]) -> None:
        for layer in part.layers:
            here = (*path, layer.name)
            if layer.model is not None:
                assign(layer.model, here)
                continue
            wanted = roles(layer)
            found = weights(here) if wanted else ()
            for position, role in enumerate(wanted):
                _set(layer, role, found[position] if position < len(found) else None)

    assign(model, ())


def snake_case(class_name: str) -> str:
    """A class name as Keras spells it in a `.keras` file.

    Example:
        >>> snake_case("DepthwiseConv2D"), snake_case("ReLU")
        ('depthwise_conv2d', 're_lu')
    """
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _set(layer: LayerSpec, role: str, array: Array | None) -> None:
    if array is None:
        raise ModelFileError(
            f"the file does not hold its {role}", where=layer.label, hint="save the model again"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinite
        array = np.asarray(array, np.float32)
    if not np.isfinite(array).all():
        raise ModelFileError(
            f"its {role} holds values that are not finite",
            where=layer.label,
            hint="train the model again: its weights have diverged, or the file is damaged",
        )
    layer.weights[role] = array
