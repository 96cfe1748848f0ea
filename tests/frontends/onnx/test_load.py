"""What `load` makes of small ONNX models: shapes, fixed inputs, branches, functions, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.errors import DataError, ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.onnx import is_onnx_model
from smidgen.frontends.onnx.operators import rules
from tests.frontends.onnx.models import make, node
from tests.frontends.onnx.oracle import worst_difference

pytestmark = pytest.mark.onnx


def branch(outputs: str, *nodes: Any) -> Any:
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info(outputs, TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "branch", [], [info])


def choosing(condition: str, **keywords: Any) -> Any:
    """x + 1 or x * 2, by a comparison with the input `sr`."""
    from onnx import TensorProto, helper

    choose = helper.make_node(
        "If",
        ["chosen"],
        ["y"],
        name="choose",
        then_branch=branch("then_y", node("Add", "x one", "then_y")),
        else_branch=branch("else_y", node("Mul", "x two", "else_y")),
    )
    return make(
        [node("Equal", condition, "chosen"), choose],
        {"x": ["batch", 3], "sr": []},
        ["y"],
        {"one": np.ones(1, np.float32), "two": np.full(1, 2, np.float32), "rate": np.array(16000)},
        dtypes={"sr": TensorProto.INT64},
        **keywords,
    )


# -- shapes and fixed inputs ----------------------------------------------------------------------


@pytest.mark.parametrize("first", ["batch", "N", "unk__150", 0, "", 1])
def test_an_open_batch_is_one(first: Any) -> None:
    model = make([node("Relu", "x", "y")], {"x": [first, 4]}, ["y"])
    graph = smidgen.load(model)
    assert graph.type("x").shape == graph.type("y").shape == (1, 4)


def test_other_open_dimensions_are_asked_for() -> None:
    model = make([node("Relu", "x", "y")], {"x": ["batch", 3, "height", "width"]}, ["y"])
    with pytest.raises(UnsupportedModelError) as caught:
        smidgen.load(model)
    message = str(caught.value)
    assert "input 'x'" in message and "'height' and 'width'" in message
    assert "--shape x=1,3,height,width" in message
    graph = smidgen.load(model, shapes={"x": (1, 3, 8, 6)})
    assert graph.type(graph.inputs[0]).size == 3 * 8 * 6


def test_a_size_given_once_holds_for_every_input_with_that_name() -> None:
    model = make([node("Add", "x z", "y")], {"x": ["b", "t"], "z": ["b", "t"]}, ["y"])
    assert smidgen.load(model, shapes={"x": (1, 5)}).type("z").shape == (1, 5)


def test_an_input_of_sequence_length_is_no_batch() -> None:
    model = make([node("Relu", "x", "y")], {"x": ["sequence", 4]}, ["y"])
    with pytest.raises(UnsupportedModelError, match="sequence"):
        smidgen.load(model)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"shapes": {"z": (1, 4)}}, "no input"),
        ({"shapes": {"x": (1, 4, 4)}}, "2 positive sizes"),
        ({"shapes": {"x": (1, -4)}}, "2 positive sizes"),
        ({"fixed": {"z": 1}}, "no input"),
        ({"fixed": {"x": "much"}}, "numbers of float32"),
        ({"fixed": {"x": [1, 2, 3]}}, "shape"),
    ],
)
def test_what_is_given_has_to_fit(given: dict[str, Any], says: str) -> None:
    model = make([node("Relu", "x", "y")], {"x": ["batch", 4]}, ["y"])
    with pytest.raises(DataError, match=says):
        smidgen.load(model, **given)


def test_shapes_are_for_onnx_alone() -> None:
    graph = smidgen.load(make([node("Relu", "x", "y")], {"x": [1, 4]}, ["y"]))
    with pytest.raises(DataError, match="ONNX"):
        smidgen.load(graph, shapes={"x": (1, 4)})


def test_an_input_without_batch_gets_one() -> None:
    model = make([node("ReduceSum", "x", "y", keepdims=0)], {"x": [3, 5]}, ["y"])
    graph = smidgen.load(model)
    assert graph.type("x").shape == (1, 3, 5)
    x = np.arange(30, dtype=np.float32).reshape(2, 3, 5)
    (y,) = smidgen.run(graph, [x])
    assert np.array_equal(y.ravel(), x.sum((1, 2)))


# -- branches and functions -----------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "operator"), [(16000, "ADD"), (8000, "MUL")])
def test_a_branch_is_chosen_by_a_fixed_input(rate: int, operator: str) -> None:
    model = choosing("sr rate")
    graph = smidgen.load(model, fixed={"sr": rate})
    assert graph.inputs == ("x",)
    assert [n.op.name for n in graph.nodes] == [operator]
    assert worst_difference(graph, model, fixed={"sr": rate}) < 1e-6


def test_a_condition_that_is_not_constant_is_refused_by_name() -> None:
    model = choosing("sr rate")
    del model.graph.node[0]  # the comparison: the condition is an input of its own
    model.graph.input.add().CopyFrom(_flag("chosen"))
    with pytest.raises(UnsupportedModelError, match=r"node 'choose' \(If, output 'y'\).*--fix sr"):
        smidgen.load(model)


def _flag(name: str) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.BOOL, [])


def test_functions_are_put_in_place_of_their_calls() -> None:
    from onnx import helper

    opsets = [helper.make_opsetid("", 17)]
    scaled = node("Mul", "a factor", "b")
    constant = helper.make_node("Constant", [], ["factor"])
    attribute = constant.attribute.add(name="value_floats", ref_attr_name="by")
    attribute.type = 6
    function = helper.make_function(
        "local", "Scale", ["a"], ["b"], [constant, scaled], opsets, attributes=["by"]
    )
    calls = [
        helper.make_node("Scale", ["x"], ["z"], domain="local", by=[3.0]),
        helper.make_node("Scale", ["z"], ["y"], domain="local", by=[5.0]),
    ]
    model = make(calls, {"x": [1, 4]}, ["y"], functions=[function], domains=["local"])
    graph = smidgen.load(model)
    (y,) = smidgen.run(graph, [np.ones((1, 4), np.float32)])
    assert np.array_equal(y, np.full((1, 4), 15, np.float32))
    assert worst_difference(graph, model) < 1e-6


def test_functions_that_call_themselves_are_refused() -> None:
    from onnx import helper

    again = helper.make_node("Again", ["a"], ["b"], domain="local")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "Again", ["a"], ["b"], [again], opsets)
    call = helper.make_node("Again", ["x"], ["y"], domain="local")
    model = make([call], {"x": [1, 4]}, ["y"], functions=[function], domains=["local"])
    with pytest.raises(ModelFileError, match="nest"):
        smidgen.load(model)


# -- refusals -------------------------------------------------------------------------------------


def test_an_operator_that_is_not_there_is_named_with_a_replacement() -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("TopK", "r k", "values places"),
        node("NonZero", "values", "y"),
    ]
    model = make(nodes, {"x": [1, 4]}, ["y"], {"k": np.array([2])})
    with pytest.raises(UnsupportedModelError) as caught:
        smidgen.load(model)
    message = str(caught.value)
    for word in ("'TopK_values'", "TopK", "'values'", "sort them in your code"):
        assert word in message


def test_all_operators_that_are_not_there_are_named() -> None:
    nodes = [node("Det", "x", "d"), node("Acosh", "d", "y")]
    with pytest.raises(UnsupportedModelError, match="further down Acosh"):
        smidgen.load(make(nodes, {"x": [1, 4, 4]}, ["y"]))


def test_an_unknown_domain_is_named() -> None:
    from onnx import helper

    call = helper.make_node("Fancy", ["x"], ["y"], domain="org.example")
    model = make([call], {"x": [1, 4]}, ["y"], domains=["org.example"])
    with pytest.raises(UnsupportedModelError, match=r"org\.example"):
        smidgen.load(model)


@pytest.mark.parametrize(("opset", "kind"), [(5, SmidgenError), (99, UnsupportedModelError)])
def test_an_unknown_opset_is_refused(opset: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"opset {opset}"):
        smidgen.load(make([node("Relu", "x", "y")], {"x": [1, 4]}, ["y"], opset=opset))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ([node("Relu", "nothing", "y")], "before it is computed"),
        ([node("Relu", "x", "z")], "never computed"),
        ([node("Relu", "x", "y"), node("Relu", "x", "y")], "there is already"),
        ([node("Reshape", "x shape", "y")], "does not fill"),
        ([node("Transpose", "x", "y", perm=[0, 0])], "perm"),
        ([node("Concat", "x x", "y", axis=7)], "axis"),
        ([node("Conv", "x w", "y")], "spatial"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(broken: list[Any], says: str) -> None:
    constants = {"shape": np.array([3, 3]), "w": np.zeros((2, 2), np.float32)}
    with pytest.raises(SmidgenError, match=says):
        smidgen.load(make(broken, {"x": [1, 4]}, ["y"], constants))


def test_a_live_model_is_told_without_importing_onnx() -> None:
    assert is_onnx_model(make([node("Relu", "x", "y")], {"x": [1, 4]}, ["y"]))
    assert not is_onnx_model(object())


def test_every_rule_says_what_it_means() -> None:
    assert len(rules()) > 120
    undocumented = [
        name for name, rule in rules().items() if not rule.__doc__ and rule.__name__ != "rule"
    ]
    assert not undocumented
