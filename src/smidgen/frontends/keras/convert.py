"""A tree of layers with their weights → Graph."""

from __future__ import annotations

import heapq
from collections import Counter

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.keras.layers import rules
from smidgen.frontends.keras.site import (
    FLOAT_POLICIES,
    Conversion,
    LayerSite,
    Rule,
    policy_name,
)
from smidgen.frontends.keras.spec import Call, LayerSpec, ModelSpec, TensorRef
from smidgen.ir import Graph, GraphBuilder, TensorType
from smidgen.transforms.rewrites.channels_last import to_channels_last

Values = dict[tuple[str, int], list[str]]

# Inputs of these dtypes are images whose bytes Keras casts to float before the first layer.
INPUT_DTYPES = ("float32", "float16", "bfloat16", "uint8")
# These are numbers of rows: what Embedding reads, whatever dtype the input says it has.
INDEX_DTYPES = ("int32", "int64")


def rule_of(spec: LayerSpec) -> Rule | None:
    """The rule for a layer, None if there is none."""
    if spec.is_custom:
        return None
    layers, operations = rules()
    if not spec.module and spec.class_name not in layers:  # .h5 files do not say which it is
        return operations.get(spec.class_name)
    return (operations if spec.is_operation else layers).get(spec.class_name)


def roles_of(spec: LayerSpec) -> tuple[str, ...]:
    """The roles of a layer's weights, in the order Keras creates them."""
    rule = rule_of(spec)
    return () if rule is None else rule.roles(spec)


def refuse_unsupported(model: ModelSpec) -> None:
    """Refuse a model with layers that have no rule, or that do not compute in floats.

    Raises:
        UnsupportedModelError: with the first layer of each class that has no rule, or the first
            of another dtype policy.
    """
    refuse_layers([spec for spec in model.leaves() if spec.class_name != "InputLayer"])


def refuse_layers(layers: list[LayerSpec]) -> None:
    """`refuse_unsupported` of some layers."""
    _refuse_unknown([spec for spec in layers if rule_of(spec) is None])
    for spec in layers:
        policy = policy_name(spec.config.get("dtype"))
        if policy is not None and policy not in FLOAT_POLICIES:
            raise UnsupportedModelError(
                f"its dtype policy is {policy!r}",
                where=spec.label,
                hint="load the float model: Smidgen quantizes it",
            )


def problem_of(spec: LayerSpec) -> UnsupportedModelError | None:
    """Why a layer alone would be refused, if it would."""
    try:
        refuse_layers([spec])
    except UnsupportedModelError as error:
        return error
    return None


def _refuse_unknown(unknown: list[LayerSpec]) -> None:
    if not unknown:
        return
    counts = Counter(spec.class_name for spec in unknown)
    first = {spec.class_name: spec.name for spec in reversed(unknown)}
    listed = ", ".join(
        f"{kind} ({first[kind]!r}{f' and {n - 1} more' if n > 1 else ''})"
        for kind, n in sorted(counts.items())
    )
    if any(spec.is_custom or _is_qkeras(spec) for spec in unknown) or "Lambda" in counts:
        hint = "code of a file is never run: rebuild these with built-in layers"
        if all(_is_qkeras(spec) for spec in unknown):
            hint = (
                "these are QKeras layers: build the same model of Keras layers, give it the "
                "weights with set_weights, and let Smidgen quantize it"
            )
    else:
        hint = f"supported are {', '.join(sorted(rules()[0]))}"
    raise UnsupportedModelError(f"layers that Smidgen does not have: {listed}", hint=hint)


def _is_qkeras(spec: LayerSpec) -> bool:
    """Whether this is one of QKeras's quantized layers, whose files do not say the package."""
    return spec.class_name[:1] == "Q" and spec.class_name[1:2].isupper()


def to_graph(model: ModelSpec, name: str, keras2: bool) -> Graph:
    """Convert a model whose layers have their weights.

    Args:
        model: the model.
        name: name of the graph.
        keras2: whether activations mean what they did before Keras 3.

    Returns:
        The graph, batch 1, channels last, float32.

    Raises:
        SmidgenError: naming the layer that cannot be converted, and why.
    """
    conversion = Conversion(GraphBuilder(name), keras2)
    by_name = {spec.name: spec for spec in model.layers}
    inputs = [_declare(conversion, by_name, ref, _is_index(model, ref)) for ref in model.inputs]
    outputs = _run(conversion, model, inputs, "", "")
    graph = conversion.builder.build(outputs)
    return to_channels_last(graph) if conversion.channels_first else graph


def _is_index(model: ModelSpec, ref: TensorRef) -> bool:
    """Whether an input is read by Embedding layers only."""
    readers = [spec for spec in model.layers if any(ref in c.tensors for c in spec.calls)]
    return bool(readers) and all(spec.class_name == "Embedding" for spec in readers)


def _declare(
    conversion: Conversion, by_name: dict[str, LayerSpec], ref: TensorRef, only_indices: bool
) -> str:
    """Declare a graph input for an input layer."""
    spec = by_name.get(ref.layer)
    if spec is None or spec.class_name != "InputLayer":
        raise ModelFileError(
            f"its input is {ref.layer!r}, which is not an input layer", hint="save the model again"
        )
    shape = spec.config.get("batch_shape") or spec.config.get("batch_input_shape")
    if not isinstance(shape, (list, tuple)) or len(shape) < 2:
        raise UnsupportedModelError(
            "the model does not say the shape of its input",
            where=spec.label,
            hint="call model.build(shape), or start it with keras.Input(shape), and save it again",
        )
    sizes = tuple(shape[1:])
    if not all(isinstance(d, int) and not isinstance(d, bool) and d > 0 for d in sizes):
        raise UnsupportedModelError(
            f"its shape is {tuple(shape)}, and only the batch may be open",
            where=spec.label,
            hint="build the model with keras.Input of a fixed shape and copy the weights over",
        )
    dtype = policy_name(spec.config.get("dtype")) or "float32"
    if dtype not in INPUT_DTYPES and not (dtype in INDEX_DTYPES and only_indices):
        raise UnsupportedModelError(
            f"its dtype is {dtype!r}",
            where=spec.label,
            hint="use a float32 input; integers are for Embedding layers alone",
        )
    taken = "int32" if only_indices else "float32"
    return conversion.builder.input(spec.name, TensorType((1, *sizes), taken))


def _run(
    conversion: Conversion, model: ModelSpec, args: list[str], path: str, name: str
) -> list[str]:
    """Convert one call of a model; `path` and `name` are prefixes for layers and values."""
    if len(args) != len(model.inputs):
        raise ModelFileError(
            f"model {model.name!r} is called with {len(args)} inputs, it has {len(model.inputs)}",
            hint="save the model again",
        )
    values: Values = {
        (ref.layer, ref.call): [arg] for ref, arg in zip(model.inputs, args, strict=True)
    }
    for spec, index in _in_order(model):
        if (spec.name, index) in values:
            continue
        call = spec.calls[index]
        operands = [_resolve(values, a) if isinstance(a, TensorRef) else a for a in call.args]
        here = f"{path}{spec.name}"
        suffix = f"/call_{index}" if index else ""
        if spec.model is not None:
            tensors = [a for a in operands if isinstance(a, str)]
            called = f"{name}{spec.name}{suffix}/"
            values[spec.name, index] = _run(conversion, spec.model, tensors, f"{here}/", called)
        else:
            site = LayerSite(conversion, spec, operands, here, f"{name}{spec.name}{suffix}")
            values[spec.name, index] = [_convert(site, call)]
    return [_resolve(values, ref) for ref in model.outputs]


def _resolve(values: Values, ref: TensorRef) -> str:
    tensors = values.get((ref.layer, ref.call), [])
    if ref.tensor >= len(tensors):
        raise ModelFileError(
            f"the model reads output {ref.tensor} of call {ref.call} of layer {ref.layer!r}, "
            "which there is not",
            hint="save the model again",
        )
    return tensors[ref.tensor]


def _convert(site: LayerSite, call: Call) -> str:
    """Apply a layer's rule; whatever its configuration makes it raise is a clear error."""
    spec = site.spec
    if spec.class_name == "InputLayer":
        raise ModelFileError("it is no input of its model", where=spec.label)
    rule = rule_of(spec)
    if rule is None:  # refuse_unsupported has been called before
        raise UnsupportedModelError("Smidgen does not have this layer", where=spec.label)
    if call.kwargs.get("training") is True:
        raise site.refuse(
            "it is called with training=True", hint="build the inference model without it"
        )
    for key, value in call.kwargs.items():
        if value is not None and value is not False:
            raise site.refuse(f"it is called with {key}={value!r:.60}", hint="leave it out")
    try:
        return _built(site, rule)
    except SmidgenError as error:
        if error.where is None:
            error.where = spec.label
        raise
    except ValueError as error:  # an operator refused its operands
        raise site.malformed(f"its configuration does not fit: {str(error)[:200]}") from error


def _built(site: LayerSite, rule: Rule) -> str:
    """The layer's result; one that is channels first is put between two transposes."""
    if site.get("data_format") != "channels_first" or not site.inputs:
        return rule.build(site)
    site.conversion.channels_first = True
    at = site.lowering
    last = {value: at.channels_last(value) for value in dict.fromkeys(site.inputs)}
    site.args = [last.get(a, a) if isinstance(a, str) else a for a in site.args]
    site.inputs = [last[value] for value in site.inputs]
    return at.channels_first(rule.build(site))


def _in_order(model: ModelSpec) -> list[tuple[LayerSpec, int]]:
    """Every call of a model after the calls it reads, otherwise in file order.

    Raises:
        ModelFileError: if calls depend on each other in a circle, or on what does not exist.
    """
    calls = [(spec, i) for spec in model.layers for i in range(len(spec.calls))]
    position = {(spec.name, i): n for n, (spec, i) in enumerate(calls)}
    given = {(ref.layer, ref.call) for ref in model.inputs}
    readers: dict[int, list[int]] = {}
    waiting: list[int] = []
    for n, (spec, i) in enumerate(calls):
        needed = {(ref.layer, ref.call) for ref in spec.calls[i].tensors} - given
        for key in needed:
            if key not in position:
                raise ModelFileError(
                    f"it reads call {key[1]} of layer {key[0]!r}, which there is not",
                    where=spec.label,
                    hint="save the model again",
                )
            readers.setdefault(position[key], []).append(n)
        waiting.append(len(needed))
    ready = [n for n, count in enumerate(waiting) if count == 0]
    heapq.heapify(ready)
    order: list[tuple[LayerSpec, int]] = []
    while ready:
        n = heapq.heappop(ready)
        order.append(calls[n])
        for reader in readers.get(n, ()):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) != len(calls):
        raise ModelFileError("its layers read each other in a circle", hint="save the model again")
    return order
