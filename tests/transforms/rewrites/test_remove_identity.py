from __future__ import annotations

from typing import Any

import pytest

from smidgen.ops import get_op
from smidgen.transforms.rewrites import remove_identity, transpose_to_reshape
from tests.transforms.rewrites.hand import Net, Q, ops, rewritten, whys

IDENTITIES: list[tuple[str, dict[str, Any]]] = [
    ("RESHAPE", {"new_shape": (1, 6, 6, 3)}),
    ("TRANSPOSE", {"perm": (0, 1, 2, 3)}),
    ("PAD", {"paddings": ((0, 0),) * 4}),
    ("STRIDED_SLICE", {"begin": (0,) * 4, "end": (1, 6, 6, 3), "strides": (1,) * 4}),
    ("CONCATENATION", {"axis": 3}),
    ("AVERAGE_POOL_2D", {}),
    ("MAX_POOL_2D", {}),
    ("RESIZE_NEAREST_NEIGHBOR", {"size": (6, 6)}),
]
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("TRANSPOSE", {"perm": (0, 2, 1, 3)}),
    ("STRIDED_SLICE", {"begin": (0, 5, 0, 0), "end": (1, -7, 6, 3), "strides": (1, -1, 1, 1)}),
    ("AVERAGE_POOL_2D", {"fused_activation_function": "RELU"}),
    ("MAX_POOL_2D", {"filter_height": 3, "padding": "SAME"}),
    ("RELU", {}),
]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("op", "how"), IDENTITIES, ids=[op for op, _ in IDENTITIES])
def test_what_changes_nothing_goes(op: str, how: dict[str, Any], dtype: str) -> None:
    n = Net(dtype)
    graph = n.build(n.add("TANH", n.add(op, n.x, **how), quant=Q(1 / 128)))
    assert ops(rewritten(graph, remove_identity.RULE)[0]) == ["TANH"]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("op", "how"), CHANGES, ids=[op for op, _ in CHANGES])
def test_what_changes_something_stays(op: str, how: dict[str, Any], dtype: str) -> None:
    n = Net(dtype)
    graph = n.build(n.add("TANH", n.add(op, n.x, **how), quant=Q(1 / 128)))
    assert ops(rewritten(graph, remove_identity.RULE)[0]) == [op, "TANH"]


def test_a_requantization_goes_only_between_equal_scales() -> None:
    n = Net("int8")
    same = n.add("QUANTIZE", n.add("TANH", n.x, quant=Q(1 / 128)), quant=Q(1 / 128))
    other = n.add("QUANTIZE", same, quant=Q(1 / 64))
    assert ops(rewritten(n.build(other), remove_identity.RULE)[0]) == ["TANH", "QUANTIZE"]


def test_an_output_keeps_its_name() -> None:
    n = Net()
    graph = n.build(n.add("RESHAPE", n.add("TANH", n.x), new_shape=(1, 6, 6, 3), name="out"))
    small, _ = rewritten(graph, remove_identity.RULE)
    assert ops(small) == ["TANH"]
    assert small.outputs == ("out",)


def test_an_input_cannot_become_an_output() -> None:
    n = Net()
    graph = n.build(n.add("RESHAPE", n.x, new_shape=(1, 6, 6, 3)))
    small, report = rewritten(graph, remove_identity.RULE)
    assert ops(small) == ["RESHAPE"]
    assert "gives an output of the model its name" in whys(report)[0]


def test_two_outputs_of_one_value_stay_two() -> None:
    n = Net()
    t = n.add("TANH", n.x)
    graph = n.build(t, n.add("RESHAPE", t, new_shape=(1, 6, 6, 3)))
    assert ops(rewritten(graph, remove_identity.RULE)[0]) == ["TANH", "RESHAPE"]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_chains_of_reshapes_become_one(dtype: str) -> None:
    n = Net(dtype)
    r = n.x
    for shape in ((1, 36, 3), (1, 108), (1, 12, 9)):
        r = n.add("RESHAPE", r, new_shape=shape)
    small, report = rewritten(n.build(r), remove_identity.RULE)
    assert ops(small) == ["RESHAPE"]
    assert small.nodes[0].op.new_shape == (1, 12, 9)
    assert [c.what for c in report.changes] == [
        "merged with RESHAPE 'reshape'",
        "merged with RESHAPE 'reshape_1'",
    ]


def test_a_reshape_that_is_read_twice_stays_for_the_other_reader() -> None:
    n = Net()
    r = n.add("RESHAPE", n.x, new_shape=(1, 108))
    graph = n.build(n.add("RESHAPE", r, new_shape=(1, 2, 54)), n.add("SOFTMAX", r))
    small, _ = rewritten(graph, remove_identity.RULE)
    assert ops(small).count("RESHAPE") == 2
    assert all(node.inputs == ("x",) for node in small.nodes if node.op.name == "RESHAPE")


def test_transposes_that_cancel_go_and_others_merge() -> None:
    n = Net()
    t = n.add("TRANSPOSE", n.x, perm=(0, 3, 1, 2))
    back = n.add("TRANSPOSE", t, perm=(0, 2, 3, 1))
    graph = n.build(n.add("TANH", back))
    assert ops(rewritten(graph, remove_identity.RULE)[0]) == ["TANH"]
    n = Net(image=(1, 4, 5, 3))
    t = n.add("TRANSPOSE", n.add("TRANSPOSE", n.x, perm=(0, 3, 1, 2)), perm=(0, 2, 1, 3))
    small, _ = rewritten(n.build(n.add("TANH", t)), remove_identity.RULE)
    assert ops(small) == ["TRANSPOSE", "TANH"]
    assert small.nodes[0].op.perm == (0, 1, 3, 2)


def test_there_and_back_between_integers_and_floats() -> None:
    n = Net("int8")
    t = n.add("TANH", n.x, quant=Q(1 / 128))
    f = n.b.add(get_op("DEQUANTIZE")(), [t])
    graph = n.build(n.add("RELU", n.add("QUANTIZE", f, quant=Q(1 / 128)), quant=Q(1 / 128)))
    assert ops(rewritten(graph, remove_identity.RULE)[0]) == ["TANH", "RELU"]
    graph = n.build(n.add("RELU", n.add("QUANTIZE", f, quant=Q(1 / 64)), quant=Q(1 / 64)))
    assert "QUANTIZE" in ops(rewritten(graph, remove_identity.RULE)[0])


def test_a_clamp_that_nothing_reaches_goes() -> None:
    n = Net("int8")
    first = n.add("RELU", n.x)
    graph = n.build(n.add("TANH", n.add("RELU", first), quant=Q(1 / 128)))
    small, report = rewritten(graph, remove_identity.RULE)
    assert ops(small) == ["RELU", "TANH"]
    assert report.changes[0].what == "nothing leaves -5 to 127"


def test_a_leaky_clamp_that_something_reaches_stays() -> None:
    n = Net("int8")
    graph = n.build(n.add("TANH", n.add("LEAKY_RELU", n.x, alpha=0.1), quant=Q(1 / 128)))
    assert ops(rewritten(graph, remove_identity.RULE)[0]) == ["LEAKY_RELU", "TANH"]


def test_moving_axes_of_size_one_is_a_reshape() -> None:
    n = Net(image=(1, 1, 7, 3))
    t = n.add("TRANSPOSE", n.x, perm=(0, 2, 3, 1))
    small, _ = rewritten(n.build(n.add("TANH", t)), transpose_to_reshape.RULE)
    assert ops(small) == ["RESHAPE", "TANH"]
    n = Net(image=(1, 2, 7, 3))
    t = n.add("TRANSPOSE", n.x, perm=(0, 2, 3, 1))
    small, _ = rewritten(n.build(n.add("TANH", t)), transpose_to_reshape.RULE)
    assert ops(small) == ["TRANSPOSE", "TANH"]
