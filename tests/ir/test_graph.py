"""The IR: builder, verification, text, editor."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from smidgen.errors import GraphError
from smidgen.ir import (
    Graph,
    GraphBuilder,
    GraphEditor,
    Node,
    QuantParams,
    TensorType,
    Value,
    parse,
    to_text,
    verify,
)
from smidgen.ops import get_op
from tests.graphs import difference
from tests.random_graphs import graphs


def small() -> Graph:
    b = GraphBuilder("small")
    x = b.input("x", TensorType((1, 4), "float32"))
    c = b.constant(np.ones((1, 4), np.float32), name="one")
    y = b.add(get_op("ADD")(), [x, c], name="first")
    z = b.add(get_op("MUL")(), [y, y], name="second")
    return b.build([z])


def test_quant_params_round_scales_to_float32():
    assert QuantParams.per_tensor(0.1).scale == float(np.float32(0.1))


@pytest.mark.parametrize(
    ("scales", "zero_points", "axis"),
    [((), (), None), ((1.0, 2.0), (0, 0), None), ((1.0,), (0, 0), None), ((0.0,), (0,), None)],
)
def test_quant_params_refuse_what_has_no_meaning(scales, zero_points, axis):
    with pytest.raises(ValueError, match=r"scale|zero point"):
        QuantParams(scales, zero_points, axis)


def test_tensor_type_counts_bytes_of_int4_as_halves():
    assert TensorType((3, 3), "int4").bytes == 5
    assert TensorType((3, 3), "int16").bytes == 18


def four_bits(*values: int) -> GraphBuilder:
    b = GraphBuilder("four_bits")
    b.constant(np.array(values, np.int8), name="c", quant=QuantParams.per_tensor(1), dtype="int4")
    return b


def test_int4_constants_are_printed_and_read_back():
    graph = four_bits(-8, 7, 3).build(["c"])
    assert "const c: int4[3] quant(1.0, 0) = " in to_text(graph)
    assert difference(parse(to_text(graph), get_op), graph, names=True) == ""


@pytest.mark.parametrize("value", [-9, 8])
def test_verify_finds_an_int4_constant_of_more_bits(value):
    with pytest.raises(GraphError, match=f"int4 but holds {value}"):
        four_bits(0, value).build(["c"])


def test_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="complex64"):
        TensorType((1,), "complex64")


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(graphs(3, 8))
def test_text_is_read_back_the_same(graph):
    text = to_text(graph)
    again = parse(text, get_op)
    assert difference(graph, again, names=True) == ""
    assert to_text(again) == text


def test_text_quotes_names_of_every_kind():
    b = GraphBuilder('a "name", with (everything): in it')
    x = b.input("x, y: z", TensorType((1, 2), "float32"))
    graph = b.build([b.add(get_op("RELU")(), [x], name="layer with spaces")])
    assert difference(parse(to_text(graph), get_op), graph, names=True) == ""


@pytest.mark.parametrize(
    "text",
    [
        "graph g\n  input x: float32[1,2]\n  y: float32[1,2] = NO_SUCH_OP(x)\n  output y",
        "graph g\n  input x: float32[1,2]\n  y: float32[1,3] = RELU(x)\n  output y",
        "graph g\n  input x: float32[1,2\n",
        "graph g\n  const c: float32[1,2] = !!!\n",
        "graph g\n  input x: float32[1,2]\n  y: float32[1,2] = RELU(nobody)\n  output y",
    ],
)
def test_text_that_makes_no_sense_is_refused(text):
    from smidgen.errors import SmidgenError

    with pytest.raises(SmidgenError):
        parse(text, get_op)


def broken(**changes: object) -> Graph:
    return dataclasses.replace(small(), **changes)


def test_verify_finds_a_use_before_the_definition():
    graph = small()
    with pytest.raises(GraphError, match="before it is computed"):
        verify(dataclasses.replace(graph, nodes=graph.nodes[::-1]))


def test_verify_finds_an_output_nobody_computes():
    with pytest.raises(GraphError, match="never computed"):
        verify(broken(outputs=("nothing",)))


def test_verify_finds_a_wrong_type():
    graph = small()
    values = dict(graph.values)
    values["second"] = Value("second", TensorType((1, 5), "float32"))
    with pytest.raises(GraphError, match=r"\[1, 5\]"):
        verify(dataclasses.replace(graph, values=values))


def test_verify_finds_a_second_definition():
    graph = small()
    with pytest.raises(GraphError, match="a second time"):
        verify(dataclasses.replace(graph, nodes=(*graph.nodes, graph.nodes[-1])))


def test_verify_finds_data_of_another_shape():
    graph = small()
    values = dict(graph.values)
    values["one"] = dataclasses.replace(values["one"], data=np.ones((2, 2), np.float32))
    with pytest.raises(GraphError, match="one"):
        verify(dataclasses.replace(graph, values=values))


def test_verify_finds_integers_without_a_scale():
    b = GraphBuilder()
    x = b.input("x", TensorType((1, 4), "int8"))
    b.add(get_op("ADD")(), [x, x])
    with pytest.raises(GraphError, match="without a scale"):
        b.build(["add"])


def test_editor_leaves_the_original_alone_and_drops_what_is_unused():
    graph = small()
    before = to_text(graph)
    edit = GraphEditor(graph)
    first, second = graph.nodes
    edit.replace_uses(first.outputs[0], "x")
    edit.remove(first)
    smaller = edit.finish()
    assert to_text(graph) == before
    assert [n.op.name for n in smaller.nodes] == ["MUL"]
    assert set(smaller.values) == {"x", "second"}
    assert smaller.nodes[0].inputs == ("x", "x")
    assert second.inputs == ("first", "first")


def test_editor_brings_nodes_into_order():
    edit = GraphEditor(small())
    added = edit.insert(get_op("RELU")(), ["x"], hint="late")
    node = next(n for n in edit.nodes if n.outputs == ("second",))
    edit.update(node, inputs=("first", added))
    assert [n.outputs[0] for n in edit.finish().nodes].index("late") < 2


def test_editor_refuses_a_cycle():
    edit = GraphEditor(small())
    node = next(n for n in edit.nodes if n.outputs == ("first",))
    edit.update(node, inputs=("second", "one"))
    with pytest.raises(ValueError, match="depends on its own output"):
        edit.finish()


def test_consumers_and_producers():
    graph = small()
    assert [n.name for n in graph.consumers["first"]] == ["second"]
    assert graph.producers["second"].name == "second"
    assert graph.consumers["second"] == ()
    assert isinstance(graph.nodes[0], Node)
