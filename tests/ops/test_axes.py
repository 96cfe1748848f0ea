"""Taking channels out as `axes()` says leaves the others as they were, integers to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.interpreter import run_node
from smidgen.ir import Graph, Node, QuantParams, TensorType
from smidgen.ops import AxisRef, Coupling, NodeTypes, Op, Sample, all_ops
from smidgen.ops._draw import values
from smidgen.ops._op import Unsupported
from smidgen.ops._range import evaluate
from smidgen.ops.squeeze import Squeeze

OPS = sorted(n for n, op in all_ops().items() if not isinstance(op.samples, Unsupported))


def without(array: np.ndarray, refs: list[AxisRef], channels: list[int]) -> np.ndarray:
    for ref in refs:
        gone = [p for c in channels for p in ref.positions(c)]
        array = np.delete(array, gone, ref.axis)
    return array


def cut(type: TensorType, refs: list[AxisRef], channels: list[int]) -> TensorType:
    shape = without(np.empty(type.shape, np.int8), refs, channels).shape
    quant = type.quant
    for ref in refs:
        if quant is not None and quant.axis == ref.axis:
            scales = without(np.array(quant.scales), [replace(ref, axis=0)], channels)
            quant = QuantParams(tuple(scales), (0,) * len(scales), quant.axis)
    return TensorType(shape, type.dtype, quant)


def sampled_node(data: st.DataObject, name: str) -> tuple[Graph, Node, Op, np.random.Generator]:
    sample: Sample = data.draw(all_ops()[name].samples())
    graph = sample.graph()
    (node,) = graph.nodes
    return graph, node, sample.op, np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))


def chosen(rng: np.random.Generator, coupling: Coupling, per_channel: bool) -> list[int]:
    """Some channels to remove, not all (and with scales of their own, all but two)."""
    most = coupling.size - (2 if per_channel else 1)
    if most < 1:
        return []
    count = int(rng.integers(1, most, endpoint=True))
    return sorted(rng.choice(coupling.size, count, replace=False).tolist())


def silenced(
    node: Node, arrays: dict[str, np.ndarray], coupling: Coupling, gone: list[int]
) -> dict[str, np.ndarray]:
    """The operands with zeros where weights read the very channels that they make."""
    changed, seen = dict(arrays), set()
    for ref in coupling.members:
        if ref.operand in seen:
            name = node.inputs[ref.operand]
            assert name is not None
            line = [slice(None)] * changed[name].ndim
            line[ref.axis] = [p for c in gone for p in ref.positions(c)]
            changed[name] = changed[name].copy()
            changed[name][tuple(line)] = 0
        seen.add(ref.operand)
    return changed


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_other_channels_stay_as_they_are(name: str, data: st.DataObject) -> None:
    graph, node, op, rng = sampled_node(data, name)
    arrays = {n: values(rng, graph.type(n)) for n in graph.inputs}
    arrays |= {n: v.data for n, v in graph.values.items() if v.data is not None}
    whole = arrays
    for coupling in op.axes(*graph.types(node.inputs)):
        if all(ref.operand >= 0 for ref in coupling.members):
            continue  # the channels end here; the outputs do change
        quants = [t.quant for t in graph.types(node.inputs) if t is not None]
        gone = chosen(rng, coupling, any(q is not None and q.axis is not None for q in quants))
        if not gone:
            continue
        arrays = silenced(node, whole, coupling, gone)
        before = run_node(graph, node, arrays)
        types: list[TensorType | None] = []
        inputs: list[np.ndarray | None] = []
        for i, operand in enumerate(node.inputs):
            refs = [ref for ref in coupling.members if ref.operand == i]
            types.append(None if operand is None else cut(graph.type(operand), refs, gone))
            inputs.append(None if operand is None else without(arrays[operand], refs, gone))
        results = []
        wanted = []
        for i, out in enumerate(node.outputs):
            refs = [ref for ref in coupling.members if ref.operand == ~i]
            results.append(cut(graph.type(out), refs, gone))
            wanted.append(without(before[i], refs, gone))
        smaller = op.refit(tuple(types), tuple(results))
        inferred = smaller.infer(*types)
        assert [t.shape for t in inferred] == [t.shape for t in results]
        after = evaluate(smaller, NodeTypes(tuple(types), tuple(results)), inputs)
        for got, want in zip(after, wanted, strict=True):
            assert np.allclose(
                got[0][0], want, rtol=1e-5, atol=1e-5, equal_nan=True
            )  # sums of floats reorder
            assert want.dtype.kind == "f" or np.array_equal(got[0][0], want)


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 3, 2), (2, 3, 2)])
def test_a_squeeze_keeps_its_last_channel(shape: tuple[int, ...]) -> None:
    squeeze = Squeeze()
    (wide,) = squeeze.infer(TensorType(shape, "float32"))
    narrow = TensorType((*shape[:-1], 1), "float32")
    wanted = TensorType((*wide.shape[:-1], 1), "float32")
    assert squeeze.refit((narrow,), (wanted,)).infer(narrow) == (wanted,)


@pytest.mark.parametrize("name", ["CONV_2D", "FULLY_CONNECTED"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_contributions_of_channels_add_up(name: str, data: st.DataObject) -> None:
    graph, node, op, rng = sampled_node(data, name)
    types = NodeTypes(graph.types(node.inputs), tuple(graph.type(n) for n in node.outputs))
    arrays = {n: values(rng, graph.type(n)) for n in graph.inputs}
    arrays |= {n: v.data for n, v in graph.values.items() if v.data is not None}
    points = [None if n is None else (arrays[n], arrays[n]) for n in node.inputs]
    whole = op.contribution(types, *points)
    assert whole is not None
    if types.dtype == "float32":
        return
    for coupling in op.axes(*types.inputs):
        if any(ref.operand < 0 for ref in coupling.members):
            continue
        total = np.zeros_like(whole[0])
        for c in range(coupling.size):
            parts = list(points)
            for ref in coupling.members:
                part = np.take(points[ref.operand][0], ref.positions(c), ref.axis)
                parts[ref.operand] = (part, part)
            low, high = op.contribution(types, *parts)
            assert np.array_equal(low, high)
            total += low
        assert np.array_equal(total, whole[0])


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_channels_in_another_order_stay_what_they_are(name: str, data: st.DataObject) -> None:
    """What `transforms.rewrites.fold_permutation` relies on."""
    graph, node, op, rng = sampled_node(data, name)
    arrays = {n: values(rng, graph.type(n)) for n in graph.inputs}
    arrays |= {n: v.data for n, v in graph.values.items() if v.data is not None}
    before = run_node(graph, node, arrays)
    for coupling in op.axes(*graph.types(node.inputs)):
        order = rng.permutation(coupling.size)
        types = NodeTypes(
            tuple(
                None if n is None else _reordered_type(graph.type(n), coupling, i, order)
                for i, n in enumerate(node.inputs)
            ),
            tuple(graph.type(n) for n in node.outputs),
        )
        inputs = [
            None if n is None else _reordered(arrays[n], coupling, i, order)
            for i, n in enumerate(node.inputs)
        ]
        after = evaluate(op, types, inputs)
        for i, (got, want) in enumerate(zip(after, before, strict=True)):
            want = _reordered(want, coupling, ~i, order)
            assert np.allclose(got[0][0], want, rtol=1e-5, atol=1e-5, equal_nan=True)
            assert want.dtype.kind == "f" or np.array_equal(got[0][0], want)


def _reordered(
    array: np.ndarray, coupling: Coupling, operand: int, order: np.ndarray
) -> np.ndarray:
    for ref in coupling.members:
        if ref.operand == operand:
            places = np.arange(array.shape[ref.axis])
            for channel, source in enumerate(order):
                places[ref.positions(channel)] = ref.positions(source)
            array = array.take(places, ref.axis)
    return array


def _reordered_type(
    type: TensorType, coupling: Coupling, operand: int, order: np.ndarray
) -> TensorType:
    if type.quant is None or type.quant.axis is None:
        return type
    line = [len(type.quant.scales) if i == type.quant.axis else 1 for i in range(type.rank)]
    scales = np.broadcast_to(np.reshape(type.quant.scales, line), type.shape)
    scales = np.moveaxis(_reordered(scales, coupling, operand, order), type.quant.axis, 0)
    each = scales.reshape(len(type.quant.scales), -1)[:, 0]
    return type.with_quant(replace(type.quant, scales=tuple(each.tolist())))
