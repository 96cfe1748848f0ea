"""The reference interpreter: runs a graph operator by operator in numpy.

Integer tensors are computed by each operator's `int_ref` (bit-exact with TFLM), float ones by its
`float_ref`. It is the slow, obvious engine that the fast ones are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import DataError, GraphError
from smidgen.ir import Graph, Node, TensorType, numpy_dtype

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

# Elements of the largest activation that one batch may have: measured, beyond it is slower again.
_BATCH_ELEMENTS = 500_000


def interpret(
    graph: Graph,
    inputs: Array | Sequence[Array],
    *,
    rounding: str = "double",
    observe: Callable[[str, Array], None] | None = None,
    stream: bool = False,
) -> list[Array]:
    """Run n samples through a graph.

    Args:
        graph: any graph whose inputs have batch 1.
        inputs: one array (n, ...), or one for each graph input, in the inputs' dtypes.
        rounding: "double" (as TFLM) or "single" rounding of requantization.
        observe: called with the name and array (n, ...) of every activation as it is computed,
            inputs and states included.
        stream: whether the samples are consecutive steps: states are carried from each to the
            next, from their initial values on. Otherwise each sample starts from those.

    Returns:
        One array (n, ...) for each graph output.

    Raises:
        DataError: if the arrays do not fit the graph's inputs.

    Example:
        >>> from smidgen.ir import GraphBuilder, TensorType
        >>> from smidgen.ops import get_op
        >>> b = GraphBuilder()
        >>> x = b.input("x", TensorType((1, 2), "float32"))
        >>> g = b.build([b.add(get_op("ADD")(), [x, x])])
        >>> interpret(g, np.ones((3, 2), np.float32))[0].shape
        (3, 2)
    """
    arrays = check_inputs(graph, inputs)
    if stream and graph.states:
        return Session(graph, rounding=rounding).run(arrays, observe=observe)
    count = arrays[0].shape[0] if arrays else 1
    if count > 1 and not widens(graph):
        return _join(
            count,
            observe,
            lambda i, watch: interpret(
                graph, [a[i : i + 1] for a in arrays], rounding=rounding, observe=watch
            ),
        )
    initial = [_repeated(s.initial, count) for s in graph.states]
    return _step(graph, [*arrays, *initial], rounding, observe)[: len(graph.outputs)]


class Session:
    """A graph that runs step by step and remembers its states in between.

    Args:
        graph: any graph whose inputs have batch 1.
        rounding: as in `interpret`.

    Attributes:
        states: the array of each state by its name; may be set.

    Example:
        >>> from smidgen.ir import GraphBuilder, TensorType
        >>> from smidgen.ops import get_op
        >>> b = GraphBuilder()
        >>> x = b.input("x", TensorType((1, 1), "float32"))
        >>> total = b.state("total", TensorType((1, 1), "float32"))
        >>> y = b.add(get_op("ADD")(), [x, total])
        >>> b.becomes(total, y)
        >>> session = Session(b.build([y]))
        >>> [session.step(np.ones((1, 1), np.float32))[0].item() for _ in range(3)]
        [1.0, 2.0, 3.0]
        >>> session.reset()
    """

    def __init__(self, graph: Graph, *, rounding: str = "double") -> None:
        self.graph = graph
        self.rounding = rounding
        self.states: dict[str, Array] = {}
        self.reset()

    def reset(self) -> None:
        """Forget: every state becomes what it is at first."""
        self.states = {s.name: s.initial for s in self.graph.states}

    def step(
        self,
        inputs: Array | Sequence[Array],
        *,
        observe: Callable[[str, Array], None] | None = None,
    ) -> list[Array]:
        """Run one step.

        Args:
            inputs: one array (1, ...), or one for each graph input.
            observe: as in `interpret`.

        Returns:
            One array (1, ...) for each graph output.

        Raises:
            DataError: if the arrays are not one sample of the graph's inputs.
        """
        arrays = check_inputs(self.graph, inputs)
        if arrays and len(arrays[0]) != 1:
            raise DataError(f"{len(arrays[0])} samples for one step", hint="use run(inputs)")
        return self._step(arrays, observe)

    def run(
        self,
        inputs: Array | Sequence[Array],
        *,
        observe: Callable[[str, Array], None] | None = None,
    ) -> list[Array]:
        """Run n samples in order, one step each; arguments and result are those of `interpret`."""
        arrays = check_inputs(self.graph, inputs)
        count = arrays[0].shape[0] if arrays else 1
        return _join(
            count, observe, lambda i, watch: self._step([a[i : i + 1] for a in arrays], watch)
        )

    def _step(
        self, arrays: list[Array], observe: Callable[[str, Array], None] | None
    ) -> list[Array]:
        held = [self.states[s.name] for s in self.graph.states]
        results = _step(self.graph, [*arrays, *held], self.rounding, observe)
        count = len(self.graph.outputs)
        names = (s.name for s in self.graph.states)
        self.states = dict(zip(names, results[count:], strict=True))
        return results[:count]


def state_arrays(graph: Graph, inputs: Array | Sequence[Array], *, stream: bool) -> list[Array]:
    """What the states hold at the start of each sample's step.

    With them as further inputs `graph.opened()` computes each sample by itself.

    Args:
        graph: any graph.
        inputs: as in `interpret`.
        stream: whether states are carried over the samples in order, or reset before each.

    Returns:
        One array (n, ...) for each state.
    """
    arrays = check_inputs(graph, inputs)
    count = arrays[0].shape[0] if arrays else 1
    if not stream:
        return [_repeated(s.initial, count) for s in graph.states]
    session, seen = Session(graph), []
    for i in range(count):
        seen.append([session.states[s.name] for s in graph.states])
        session.step([a[i : i + 1] for a in arrays])
    return [np.concatenate(column) for column in zip(*seen, strict=True)]


def _step(
    graph: Graph,
    arrays: list[Array],
    rounding: str,
    observe: Callable[[str, Array], None] | None,
) -> list[Array]:
    """Arrays of the graph's results (see `Graph.results`) from those of its sources."""
    count = arrays[0].shape[0] if arrays else 1
    values: dict[str, Array] = dict(zip(graph.sources, arrays, strict=True))
    for name, array in values.items():
        if observe is not None:
            observe(name, array)
    last_use = {n: i for i, node in enumerate(graph.nodes) for n in node.inputs if n is not None}
    keep = set(graph.results)
    for step, node in enumerate(graph.nodes):
        for name, array in zip(node.outputs, run_node(graph, node, values, rounding), strict=True):
            values[name] = array
            if observe is not None:
                observe(name, array)
        for operand in node.inputs:
            if operand in values and last_use[operand] == step and operand not in keep:
                del values[operand]
    results = []
    for name in graph.results:
        data = graph.data(name)
        array = values[name] if data is None else data
        alike = array.shape[:1] == (1,)  # it depends on no input
        results.append(_repeated(array, count) if alike else array)
    return results


def _repeated(array: Array, count: int) -> Array:
    return np.repeat(array, count, axis=0) if count > 1 else array


def batches(graph: Graph, count: int) -> list[slice]:
    """Slices of `count` samples, each small enough for its activations to stay in fast memory.

    Example:
        >>> batches(model, 300)
        [slice(0, 244, None), slice(244, 300, None)]
    """
    largest = max((v.type.size for v in graph.values.values() if not v.is_constant), default=1)
    size = max(1, min(256, _BATCH_ELEMENTS // max(1, largest)))
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]


def _join(
    count: int,
    observe: Callable[[str, Array], None] | None,
    run: Callable[[int, Callable[[str, Array], None] | None], list[Array]],
) -> list[Array]:
    """Run sample by sample and join what comes out."""
    seen: dict[str, list[Array]] = {}

    def collect(name: str, array: Array) -> None:
        seen.setdefault(name, []).append(array)

    outputs = [run(i, None if observe is None else collect) for i in range(count)]
    if observe is not None:
        for name, parts in seen.items():
            observe(name, np.concatenate(parts))
    return [np.concatenate(column) for column in zip(*outputs, strict=True)]


def widens(graph: Graph) -> bool:
    """Whether many samples can run at once, along axis 0 of every tensor."""
    return all(_batchable(graph, node) for node in graph.nodes)


def _batchable(graph: Graph, node: Node) -> bool:
    op: Op = node.op  # type: ignore[assignment]
    types = graph.types(node.inputs)
    dynamic = [t for n, t in zip(node.inputs, types, strict=True) if graph.data(n) is None and t]
    if any(t.rank == 0 or t.shape[0] != 1 for t in dynamic):
        return False
    if op.batchable(*types):
        return True
    # A constant of one element is no batch, whatever its rank.
    constant = [
        t is not None and graph.data(n) is not None for n, t in zip(node.inputs, types, strict=True)
    ]
    plain = [
        TensorType((), t.dtype) if t is not None and given and t.shape == (1,) else t
        for t, given in zip(types, constant, strict=True)
    ]
    return plain != list(types) and op.batchable(*plain)


def run_node(
    graph: Graph, node: Node, values: Mapping[str, Array], rounding: str = "double"
) -> tuple[Array, ...]:
    """Run one node.

    Args:
        graph: the graph it belongs to.
        node: the node.
        values: arrays of its operands by name; constants need not be among them.
        rounding: as in `interpret`.

    Returns:
        One array for each output.
    """
    from smidgen.ops import NodeTypes

    op: Op = node.op  # type: ignore[assignment]
    arrays = [
        None if n is None else values[n] if n in values else graph.data(n) for n in node.inputs
    ]
    outputs = tuple(graph.type(n) for n in node.outputs)
    inputs = graph.types(node.inputs)
    if any(t is not None and t.quant is not None for t in (*inputs, *outputs)):
        try:
            return op.int_ref(NodeTypes(inputs, outputs), *arrays, rounding=rounding)
        except ValueError as error:  # sums that leave 32 bits, in every runtime
            raise GraphError(
                f"cannot be computed: {error}",
                where=node.label,
                hint="its constants are damaged or out of range; quantize the model again",
            ) from error
    return op.float_ref(*arrays)


def check_inputs(graph: Graph, inputs: Array | Sequence[Array]) -> list[Array]:
    """One array (n, ...) for each graph input, checked.

    Raises:
        DataError: saying which input got what, and what it takes.
    """
    arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    if len(arrays) != len(graph.inputs):
        raise DataError(
            f"{len(arrays)} arrays for {len(graph.inputs)} inputs",
            hint=f"give one for each of {', '.join(graph.inputs)}",
        )
    for name, array in zip(graph.inputs, arrays, strict=True):
        type = graph.type(name)
        want = type.shape[1:]
        if array.ndim != type.rank or array.shape[1:] != want or not array.shape[0]:
            raise DataError(
                f"array of shape {array.shape}",
                where=f"input {name!r}",
                hint=f"give shape (n, {', '.join(map(str, want))}) with n of at least 1",
            )
        if array.dtype != numpy_dtype(type.dtype):
            raise DataError(
                f"array of {array.dtype}", where=f"input {name!r}", hint=f"give {type.dtype}"
            )
    if len({a.shape[0] for a in arrays}) > 1:
        raise DataError(f"inputs have different numbers of samples: {[len(a) for a in arrays]}")
    return arrays


def random_inputs(graph: Graph, count: int, seed: int = 0) -> list[Array]:
    """Inputs that reach far: extremes, noise, noise of extremes only, and flat ones.

    Args:
        graph: any graph.
        count: number of samples.
        seed: of the generator.

    Returns:
        One array (count, ...) for each input of the graph, in its dtype.

    Example:
        >>> random_inputs(int8, 8)[0].shape
        (8, 8, 8, 1)
    """
    rng = np.random.default_rng(seed)
    return [np.stack([_draw(rng, t, i)[0] for i in range(count)]) for t in graph.input_types]


def _draw(rng: np.random.Generator, type: TensorType, index: int) -> Array:
    dtype = numpy_dtype(type.dtype)
    if dtype.kind == "f":
        return rng.normal(0, 3.0 ** (index % 4 - 1), type.shape).astype(dtype)
    low, high = 0, 1  # of an index or a truth value
    if type.quant is not None:
        info = np.iinfo(str(dtype))
        low, high = int(info.min), int(info.max)
    if index < 2:
        return np.full(type.shape, (low, high)[index], dtype)
    if index % 3 == 0:
        return rng.choice((low, high), type.shape).astype(dtype)
    if index % 3 == 1:
        level = rng.integers(low, high, endpoint=True) + rng.normal(0, 8, type.shape)
        return np.clip(np.round(level), low, high).astype(dtype)
    return rng.integers(low, high, type.shape, endpoint=True).astype(dtype)
