"""The promises of the operator contract, on samples of every operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.ir.text import parse, to_text
from smidgen.ops import Coupling, Op, Sample, _check_complete, all_ops, get_op, unsupported
from smidgen.ops._op import CONCERNS
from tests.graphs import difference

Array = np.ndarray[Any, Any]

every_operator = pytest.mark.parametrize("name", list(all_ops()))
sampled = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


# -- the registry --------------------------------------------------------------------------------


def silent_about(*concerns: str) -> type[Op]:
    said = {c: unsupported(f"no {c} here") for c in CONCERNS if c not in concerns}
    return type("Silent", (Op,), {"name": "SILENT", **said})


@pytest.mark.parametrize("concern", CONCERNS)
def test_an_operator_that_is_silent_about_a_concern_is_refused(concern: str) -> None:
    with pytest.raises(TypeError, match=f"Silent says nothing about {concern};"):
        _check_complete(silent_about(concern))


def test_an_operator_that_says_what_it_lacks_is_accepted() -> None:
    cls = silent_about()
    _check_complete(cls)
    with pytest.raises(UnsupportedModelError, match="no macs here"):
        cls().macs()


def test_what_a_shared_base_says_counts() -> None:
    base = silent_about("axes")
    _check_complete(type("Child", (base,), {"axes": unsupported("nothing may go")}))


@every_operator
def test_an_operator_is_called_as_its_file_is(name: str) -> None:
    cls = all_ops()[name]
    assert cls.__module__ == f"smidgen.ops.{name.lower()}"
    assert get_op(name) is cls


def test_an_unknown_operator_is_refused_with_a_list_of_those_there_are() -> None:
    with pytest.raises(UnsupportedModelError, match="CONV_2D"):
        get_op("CONV_9D")


# -- text ----------------------------------------------------------------------------------------


@every_operator
def test_text_brings_a_graph_back(name: str) -> None:
    @sampled
    @given(get_op(name).samples())
    def check(sample: Sample) -> None:
        graph = sample.graph()
        text = to_text(graph)
        again = parse(text, get_op)
        assert difference(graph, again, names=True) == ""
        assert to_text(again) == text

    check()


# -- channels ------------------------------------------------------------------------------------


def real_arrays(sample: Sample, generator: np.random.Generator) -> list[Array | None]:
    """Float operands of the sample's shapes; integers that are not quantized stay as they are."""
    arrays: list[Array | None] = []
    for operand in sample.operands:
        if operand is None:
            arrays.append(None)
        elif operand.data is not None and operand.type.quant is None:
            arrays.append(operand.data)
        else:
            arrays.append(generator.normal(0, 1, operand.type.shape).astype(np.float32))
    return arrays


def operand_types(sample: Sample) -> tuple[TensorType | None, ...]:
    return tuple(None if o is None else o.type for o in sample.operands)


def without(array: Array, positions: dict[int, list[int]]) -> Array:
    for axis, gone in positions.items():
        array = np.delete(array, gone, axis)
    return array


def remove(sample: Sample, coupling: Coupling, channel: int, arrays: list[Array | None]) -> None:
    """Take a channel out of all members; what is left must not change."""
    op, count = sample.op, len(sample.operands)
    gone: dict[int, dict[int, list[int]]] = {}
    for ref in coupling.members:
        if ref.operand < 0 or (ref.operand < count and arrays[ref.operand] is not None):
            positions = gone.setdefault(ref.operand, {}).setdefault(ref.axis, [])
            positions += ref.positions(channel)
    if not any(operand < 0 for operand in gone):
        # The channel is used up here: what it contributes must be all that removing it changes.
        first = arrays[0]
        assert first is not None
        for axis, positions in gone[0].items():
            first[(slice(None),) * axis + (positions,)] = 0
    full = op.float_ref(*arrays)
    expected = [without(y, gone.get(~i, {})) for i, y in enumerate(full)]
    reduced = [None if a is None else without(a, gone.get(i, {})) for i, a in enumerate(arrays)]
    types = tuple(
        None if o is None or a is None else TensorType(a.shape, o.type.dtype)
        for o, a in zip(sample.operands, reduced, strict=True)
    )
    outputs = op.infer(*operand_types(sample))
    refit = op.refit(
        types, tuple(t.with_shape(y.shape) for t, y in zip(outputs, expected, strict=True))
    )
    assert [t.shape for t in refit.infer(*types)] == [y.shape for y in expected]
    for got, want in zip(refit.float_ref(*reduced), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@every_operator
def test_a_channel_can_be_removed_where_axes_says_so(name: str) -> None:
    @sampled
    @given(get_op(name).samples(), st.data(), st.integers(0, 2**32 - 1))
    def check(sample: Sample, data: st.DataObject, seed: int) -> None:
        couplings = [c for c in sample.op.axes(*operand_types(sample)) if c.size > 1]
        if couplings:
            coupling = data.draw(st.sampled_from(couplings))
            channel = data.draw(st.integers(0, coupling.size - 1))
            remove(sample, coupling, channel, real_arrays(sample, np.random.default_rng(seed)))

    check()


@every_operator
def test_couplings_lie_within_their_operands(name: str) -> None:
    @sampled
    @given(get_op(name).samples())
    def check(sample: Sample) -> None:
        types = operand_types(sample)
        outputs = sample.op.infer(*types)
        taken: set[tuple[int, int, int]] = set()
        for coupling in sample.op.axes(*types):
            for ref in coupling.members:
                if ref.operand >= len(types):
                    continue  # an operand left out
                type = outputs[~ref.operand] if ref.operand < 0 else types[ref.operand]
                if type is None:
                    continue
                for channel in range(coupling.size):
                    places = ref.positions(channel)
                    assert all(0 <= p < type.shape[ref.axis] for p in places)
                    keys = {(ref.operand, ref.axis, p) for p in places}
                    assert len(keys) == len(places)
                    assert not keys & taken, "two channels share a position"
                    taken |= keys
            if coupling.source:
                constant = [o is not None and o.data is not None for o in sample.operands]
                made_of = [r.operand for r in coupling.members if 0 <= r.operand < len(types)]
                assert all(constant[i] or types[i] is None for i in made_of)
                assert any(r.operand < 0 for r in coupling.members)

    check()


@every_operator
def test_macs_are_counted(name: str) -> None:
    @sampled
    @given(get_op(name).samples())
    def check(sample: Sample) -> None:
        types = operand_types(sample)
        macs = sample.op.macs(*types)
        assert isinstance(macs, int)
        weights = types[1] if len(types) > 1 else None
        if sample.op.quant_rule(*types).weight_axis is not None and weights is not None:
            assert macs >= weights.size  # each weight is used at least once, at some position
        else:
            assert macs >= 0

    check()
