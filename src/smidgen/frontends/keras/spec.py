"""Keras configurations (the JSON of any version) → one plain tree of layers and calls.

Nothing here knows what a layer means. A configuration is data: no class of it is imported, no
function of it is executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError

MAX_NESTING = 16
SEQUENTIAL = ("Sequential",)
FUNCTIONAL = ("Functional", "Model")

# Tensors that layers may be given by name, in the order in which they follow the others.
_OPERANDS = ("value", "key", "initial_state")

# What malformed configurations raise when read as if they were well formed.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


@dataclass(frozen=True)
class TensorRef:
    """Output `tensor` of call number `call` of the layer called `layer` in the same model."""

    layer: str
    call: int = 0
    tensor: int = 0


@dataclass(frozen=True)
class Call:
    """One call of a layer: its tensors and plain values in order, and its keyword arguments."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> list[TensorRef]:
        """The tensors among the positional arguments."""
        return [a for a in self.args if isinstance(a, TensorRef)]


@dataclass(eq=False)
class LayerSpec:
    """A layer: what it is, where it is called, and (once assigned) its weights by role."""

    name: str
    class_name: str
    config: dict[str, Any]
    module: str
    calls: list[Call]
    trainable: bool = True
    model: ModelSpec | None = None
    weights: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How messages name this layer."""
        return f"layer {self.name!r} ({self.class_name})"

    @property
    def is_operation(self) -> bool:
        """Whether this is a function of `keras.ops` (or x + y), not a layer."""
        return self.module.startswith(("keras.src.ops", "keras.ops"))

    @property
    def is_custom(self) -> bool:
        """Whether the class is defined by somebody's own code, whatever its name."""
        known = ("", "keras", "tf_keras", "tensorflow", "keras_core", "builtins")
        return self.module.split(".")[0] not in known or ">" in self.class_name


@dataclass(eq=False)
class ModelSpec:
    """A functional model, or a Sequential one written as such."""

    name: str
    class_name: str
    layers: list[LayerSpec]
    inputs: list[TensorRef]
    outputs: list[TensorRef]

    def leaves(self) -> Iterator[LayerSpec]:
        """Every layer that is not itself a model, nested ones included, in file order."""
        for layer in self.layers:
            if layer.model is None:
                yield layer
            else:
                yield from layer.model.leaves()


def parse_config(text: str) -> ModelSpec:
    """Read the configuration of a whole model.

    Args:
        text: JSON as Keras writes it (`model_config` of an `.h5`, `config.json` of a `.keras`).

    Returns:
        The model, without weights.

    Raises:
        ModelFileError: if the text is not what Keras writes.
        UnsupportedModelError: if the model is of a class that only its own code defines.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"its model configuration is not JSON ({str(error)[:100]})",
            hint="the file is probably damaged: save or download it again",
        ) from error
    return parse_model(data)


def parse_model(data: Any, depth: int = 0, trainable: bool = True) -> ModelSpec:
    """Read the configuration of a model, as `parse_config` does, from parsed JSON."""
    try:
        class_name, config = data["class_name"], data["config"]
        if class_name in SEQUENTIAL:
            return _sequential(config, data, depth, trainable)
        if class_name in FUNCTIONAL:
            return _functional(config, depth, trainable)
    except RecursionError:
        raise _malformed("models nest too deep") from None
    except MALFORMED as error:
        raise _malformed(f"{type(error).__name__}: {error}") from error
    raise UnsupportedModelError(
        f"the model is a {class_name!r}, whose code the file does not hold",
        hint="rebuild it as a functional or Sequential model and save that",
    )


def _malformed(why: str) -> ModelFileError:
    return ModelFileError(
        f"its model configuration is not what Keras writes ({why[:200]})",
        hint="the file is probably damaged: save or download it again",
    )


def _layer(data: Any, depth: int, trainable: bool) -> LayerSpec:
    config = data["config"]
    class_name = data["class_name"]
    if not isinstance(class_name, str) or not class_name.isprintable():
        raise TypeError(f"class_name is {class_name!r}")
    nested = class_name in (*SEQUENTIAL, *FUNCTIONAL)
    named = config if isinstance(config, dict) else {}
    registered = str(data.get("registered_name") or "")
    name = str(data.get("name") or named.get("name") or class_name.lower())
    name.encode("utf-8")  # half a surrogate pair would fail later, when it is written or printed
    spec = LayerSpec(
        name=name,
        class_name=class_name,
        config=named,
        # A custom class that calls itself "keras.layers" still carries the name it registered.
        module=str(data.get("module") or "") if ">" not in registered else registered,
        calls=[],
        trainable=trainable and named.get("trainable") is not False,
    )
    if nested:
        if depth >= MAX_NESTING:
            raise ValueError(f"models nest over {MAX_NESTING} deep")
        spec.model = parse_model(data, depth + 1, spec.trainable)
    return spec


def inner_layer(spec: LayerSpec, key: str) -> LayerSpec | None:
    """The layer that another one holds in its configuration, without weights; None if none."""
    try:
        return _layer(spec.config[key], MAX_NESTING, spec.trainable)
    except MALFORMED:
        return None


def _unique(layers: list[LayerSpec]) -> dict[str, LayerSpec]:
    by_name = {layer.name: layer for layer in layers}
    if len(by_name) != len(layers):
        raise ValueError("two layers of one model have the same name")
    return by_name


def _sequential(config: Any, data: Any, depth: int, trainable: bool) -> ModelSpec:
    # Keras 1 and early Keras 2 wrote the bare list of layers.
    items = config if isinstance(config, list) else config["layers"]
    name = "sequential" if isinstance(config, list) else str(config.get("name", "sequential"))
    layers = [_layer(item, depth, trainable) for item in items]
    if not layers:
        raise ValueError("a Sequential model without layers")
    if layers[0].class_name != "InputLayer":
        layers.insert(0, _implied_input(config, data, layers[0], items[0]))
    _unique(layers)
    for before, layer in pairwise(layers):
        layer.calls.append(Call((TensorRef(before.name),)))
    layers[0].calls.append(Call(()))
    return ModelSpec(
        name, "Sequential", layers, [TensorRef(layers[0].name)], [TensorRef(layers[-1].name)]
    )


def _implied_input(config: Any, data: Any, first: LayerSpec, item: Any) -> LayerSpec:
    """The InputLayer that a Sequential model leaves out when its first layer says the shape."""
    places = (
        (first.config, "batch_input_shape"),
        (first.config, "batch_shape"),
        (config, "build_input_shape"),
        (data.get("build_config"), "input_shape"),
        (item.get("build_config"), "input_shape"),
    )
    found = [place[key] for place, key in places if isinstance(place, dict) and place.get(key)]
    shape = found[0] if found else None
    return LayerSpec(f"{first.name}_input", "InputLayer", {"batch_shape": shape}, "", [])


def _functional(config: Any, depth: int, trainable: bool) -> ModelSpec:
    layers = []
    for item in config["layers"]:
        layer = _layer(item, depth, trainable)
        try:
            layer.calls = [_call(node) for node in item["inbound_nodes"]]
        except MALFORMED as error:
            raise ValueError(f"the calls of {layer.label} cannot be read: {error}") from error
        if layer.class_name == "InputLayer" and not layer.calls:
            layer.calls.append(Call(()))
        layers.append(layer)
    by_name = _unique(layers)
    model = ModelSpec(
        name=str(config.get("name") or "model"),
        class_name="Functional",
        layers=layers,
        inputs=list(_leaves(config["input_layers"])),
        outputs=list(_leaves(config["output_layers"])),
    )
    if not model.inputs or not model.outputs:
        raise ValueError("a model without inputs or outputs")
    _renumber(model, by_name, config)
    return model


def _renumber(model: ModelSpec, by_name: dict[str, LayerSpec], config: Any) -> None:
    """Make every reference to a nested model count its calls from 0.

    A functional model counts its own definition as call 0, so that references to its calls start
    at 1: everywhere in files of Keras 2, in `output_layers` alone in those of Keras 3.
    """
    nodes = [node for item in config["layers"] for node in item["inbound_nodes"]]
    legacy = any(isinstance(node, list) for node in nodes)
    outputs = model.outputs
    inner = [ref for layer in model.layers for call in layer.calls for ref in call.tensors]
    shifted: set[str] = set()
    for name, layer in by_name.items():
        if layer.model is None:
            continue
        refs = [ref for ref in (*outputs, *(inner if legacy else ())) if ref.layer == name]
        highest = max((ref.call for ref in refs), default=0)
        if (legacy and highest == len(layer.calls)) or (
            not legacy and layer.class_name in FUNCTIONAL
        ):
            shifted.add(name)

    def renumbered(ref: Any) -> Any:
        if isinstance(ref, TensorRef) and ref.layer in shifted:
            return TensorRef(ref.layer, ref.call - 1, ref.tensor)
        return ref

    model.outputs = [renumbered(ref) for ref in outputs]
    if legacy:
        for layer in model.layers:
            layer.calls = [
                Call(tuple(renumbered(a) for a in call.args), call.kwargs) for call in layer.calls
            ]


def _leaves(struct: Any) -> Iterator[TensorRef]:
    """References in a (nested) list or dict of [layer, call, tensor], in the order of Keras."""
    if isinstance(struct, dict):
        struct = [struct[key] for key in sorted(struct)]
    if len(struct) == 3 and isinstance(struct[0], str):
        yield _ref(struct)
    else:
        for item in struct:
            yield from _leaves(item)


def _ref(history: Any) -> TensorRef:
    layer, call, tensor = history[:3]
    ref = TensorRef(str(layer), int(call), int(tensor))
    if ref.call < 0 or ref.tensor < 0:
        raise ValueError(f"reference {history}")
    return ref


def _call(node: Any) -> Call:
    if isinstance(node, list):  # Keras 2: [[layer, call, tensor, {keyword arguments}], ...]
        if len(node) in (3, 4) and isinstance(node[0], str):
            node = [node]  # a lone tensor may stand without its list
        kwargs: dict[str, Any] = {}
        for item in node:
            kwargs.update(item[3] if len(item) > 3 else {})
        return Call(tuple(_ref(item) for item in node), kwargs)
    args, kwargs = list(_arguments(node["args"])), dict(node["kwargs"])
    for key in _OPERANDS:
        if kwargs.get(key) is not None:
            args += _arguments(kwargs.pop(key))
    return Call(tuple(args), kwargs)


def _arguments(value: Any) -> Iterator[Any]:
    """Tensors and plain values of Keras 3's serialized arguments, flattened in order."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _arguments(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield _ref(value["config"]["keras_history"])
    elif isinstance(value, dict) and value.get("class_name") == "__tuple__":
        yield from _arguments(value["items"] if "items" in value else value["config"])
    elif isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        yield np.asarray(value["config"]["value"], dtype=np.float64)
    elif isinstance(value, dict) and value.get("class_name") == "__slice__":
        ends = value["config"]
        yield slice(ends["start"], ends["stop"], ends["step"])
    elif isinstance(value, dict) and value.get("class_name") == "__ellipsis__":
        yield Ellipsis
    elif isinstance(value, (int, float)) or value is None:
        yield value
    else:
        raise ValueError(f"{value!r} among the arguments of a call")
