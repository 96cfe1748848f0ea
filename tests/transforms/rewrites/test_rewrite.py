"""The pass manager: fixpoint, order, report, stopping early, finding a bad rewrite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from smidgen.errors import GraphError, VerificationError
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, GraphEditor, Node, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.transforms.rewrites import REWRITES, Patch, Rewrite, apply, first_bad, shrink
from smidgen.transforms.rewrites._shrink import shrink_with
from tests.transforms.rewrites.networks import network

Q = QuantParams.per_tensor


def chain(*ops: str, dtype: str = "float32") -> Graph:
    b = GraphBuilder("chain")
    quant = None if dtype == "float32" else Q(0.1, 4)
    x = b.input("x", TensorType((1, 4), dtype, quant))
    for op in ops:
        x = b.add(get_op(op)(), [x], quant=quant)
    return b.build([x])


def swap(old: str, new: str, name: str = "swap", **how: object) -> Rewrite:
    """A rule that turns each operator `old` into `new`, one at a time."""

    def find(graph: Graph, refuse: Callable[[Node, str], None]) -> Patch | None:
        for node in graph.nodes:
            if node.op.name == "TANH":
                refuse(node, "it is no " + old)
            if node.op.name == old:
                edit = GraphEditor(graph)
                edit.update(node, op=get_op(new)())
                return Patch(edit.finish(), node.label, f"now {new}")
        return None

    options = {"exact": True, "requires": "any", **how}
    return Rewrite(name, find=find, **options)  # type: ignore[arg-type]


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def test_rules_are_applied_until_none_fires() -> None:
    rules = [swap("RELU6", "LOGISTIC", "second"), swap("RELU", "RELU6", "first")]
    graph, report = apply(chain("RELU", "TANH", "RELU"), rules)
    assert names(graph) == ["LOGISTIC", "TANH", "LOGISTIC"]
    assert [c.rule for c in report.changes] == ["first", "first", "second", "second"]
    assert (report.nodes_before, report.nodes_after) == (3, 3)


def test_refusals_are_those_of_the_final_graph() -> None:
    _, report = apply(chain("RELU", "TANH", "RELU"), [swap("RELU", "RELU6")])
    assert [(r.where, r.why) for r in report.refusals] == [("TANH 'tanh'", "it is no RELU")]
    assert "not done, it is no RELU" in str(report)


def test_stopping_after_n_applications() -> None:
    graph = chain("RELU", "RELU", "RELU")
    for n in range(5):
        result, report = apply(graph, [swap("RELU", "RELU6")], stop_after=n)
        assert len(report.changes) == min(n, 3)
        assert names(result).count("RELU6") == min(n, 3)


def test_a_rule_is_kept_to_the_graphs_it_is_for() -> None:
    rule = swap("RELU", "LEAKY_RELU", requires="integer")
    assert names(apply(chain("RELU"), [rule])[0]) == ["RELU"]
    assert names(apply(chain("RELU", dtype="int8"), [rule])[0]) == ["LEAKY_RELU"]
    rule = replace(rule, requires="float")
    assert names(apply(chain("RELU"), [rule])[0]) == ["LEAKY_RELU"]
    assert names(apply(chain("RELU", dtype="int8"), [rule])[0]) == ["RELU"]


def test_a_rewrite_can_be_called() -> None:
    rule = swap("RELU", "RELU6")
    graph, modified = rule(chain("RELU"))
    assert modified
    assert not rule(graph)[1]


def test_the_graph_is_verified_before_and_after() -> None:
    graph = chain("RELU")
    broken = replace(graph, outputs=("nowhere",))
    with pytest.raises(GraphError, match="nowhere"):
        apply(broken, [])
    bad = Rewrite("bad", True, "any", lambda g, refuse: Patch(broken, "a", "b"))
    with pytest.raises(GraphError, match="nowhere"):
        apply(graph, [bad])


def test_the_first_bad_application_is_found() -> None:
    graph = chain("RELU", "RELU6", "RELU", "RELU6")
    rules = [swap("RELU", "LEAKY_RELU", "harmless"), swap("RELU6", "TANH", "harmful")]
    x = np.full((1, 4), 3, np.float32)

    def good(other: Graph) -> bool:
        return np.array_equal(interpret(graph, x)[0], interpret(other, x)[0])

    change = first_bad(graph, rules, good)
    assert change is not None
    assert (change.rule, change.where) == ("harmful", "RELU6 'relu6'")
    assert first_bad(graph, rules[:1], good) is None


def test_shrinking_refuses_to_return_what_it_cannot_prove() -> None:
    with pytest.raises(VerificationError, match="swap: RELU 'relu': now RELU6"):
        shrink_with(chain("RELU"), (swap("RELU", "RELU6"),))
    inexact = swap("RELU", "RELU6", exact=False)
    assert names(shrink_with(chain("RELU"), (inexact,))[0]) == ["RELU"]


def test_the_report_says_what_was_saved_where() -> None:
    graph = network(3)
    small, report = shrink(graph)
    assert report.bytes_before == graph.constant_bytes
    assert report.bytes_after == small.constant_bytes
    assert sum(c.bytes_saved for c in report.changes) == report.bytes_before - report.bytes_after
    assert report.macs_after < report.macs_before
    change = next(c for c in report.changes if c.rule == "fold_constant_channels")
    assert change.bytes_saved > 0
    assert sum(saved for _, saved in change.nodes) == change.bytes_saved
    labels = {node.label for node in small.nodes}
    assert all(label in labels for label, _ in change.nodes)
    assert f"saves {change.bytes_saved:,} bytes" in str(report)


def test_every_rule_has_the_name_of_its_file() -> None:
    for rewrite in REWRITES:
        assert rewrite.find.__module__.rpartition(".")[2] == rewrite.name
        assert rewrite.requires in ("any", "float", "integer")
    assert [r.name for r in REWRITES if not r.exact] == [
        "integer_forms",
        "move_transposes_in_float",
        "fold_permutation_in_float",
        "matmul_to_fully_connected",
        "fold_batch_norm",
    ]


def test_random_inputs_fit_the_graph_and_reach_the_extremes() -> None:
    graph = network(1)
    (x,) = random_inputs(graph, 9)
    assert x.shape == (9, *graph.input_types[0].shape[1:])
    assert x.dtype == np.int8
    assert (x[0] == -128).all()
    assert (x[1] == 127).all()
    assert len(np.unique(x.reshape(9, -1), axis=0)) == 9
