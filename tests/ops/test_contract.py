"""The promises of the operator contract, on samples of every operator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smidgen.errors import UnsupportedModelError
from smidgen.ir import TensorType
from smidgen.ir.text import parse, to_text
from smidgen.ops import Op, Sample, _check_complete, all_ops, get_op, unsupported
from smidgen.ops._op import CONCERNS
from tests.graphs import difference

every_operator = pytest.mark.parametrize("name", list(all_ops()))
sampled = settings(
    max_examples=20,
    deadline=None,
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


# -- channels: `test_axes` asks the rest -----------------------------------------------------------


def operand_types(sample: Sample) -> tuple[TensorType | None, ...]:
    return tuple(None if o is None else o.type for o in sample.operands)


@every_operator
def test_a_channel_of_zeros_can_go_where_it_is_used_up(name: str) -> None:
    @sampled
    @given(get_op(name).samples(), st.data(), st.integers(0, 2**32 - 1))
    def check(sample: Sample, data: st.DataObject, seed: int) -> None:
        types = operand_types(sample)
        ends = [c for c in sample.op.axes(*types) if all(ref.operand >= 0 for ref in c.members)]
        ends = [c for c in ends if c.size > 1]
        if not ends:
            return
        coupling = data.draw(st.sampled_from(ends))
        channel = data.draw(st.integers(0, coupling.size - 1))
        generator = np.random.default_rng(seed)
        full = [None if t is None else generator.normal(0, 1, t.shape) for t in types]
        rest = list(full)
        for ref in coupling.members:
            gone = ref.positions(channel)
            array = full[ref.operand]
            assert array is not None
            if ref.operand == 0:
                array[(slice(None),) * ref.axis + (gone,)] = 0
            rest[ref.operand] = np.delete(array, gone, ref.axis)
        assert rest[0] is not full[0], "the operand that brings the channel is a member"
        for got, want in zip(sample.op.float_ref(*rest), sample.op.float_ref(*full), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)

    check()


@every_operator
def test_what_makes_channels_makes_them_of_constants(name: str) -> None:
    """So that each can be removed whatever the operands are; a state goes with what it becomes."""

    @sampled
    @given(get_op(name).samples())
    def check(sample: Sample) -> None:
        for coupling in sample.op.axes(*operand_types(sample)):
            if coupling.source:
                used = [ref.operand for ref in coupling.members]
                assert any(i < 0 for i in used)
                kept = {i: result for i, result in sample.op.states.items() if i in used}
                assert all(~result in used for result in kept.values())
                read = [i for i in used if 0 <= i < len(sample.operands) and i not in kept]
                given = [sample.operands[i] for i in read]
                assert all(o is None or o.data is not None for o in given)

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
