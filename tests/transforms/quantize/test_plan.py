"""What becomes integer and at which scales, decided before anything is changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.ir import QuantParams
from smidgen.transforms.quantize import Recipe, Rule, prepare
from smidgen.transforms.quantize.calibrate import calibrate
from smidgen.transforms.quantize.plan import activation_params, plan, rule_of
from smidgen.transforms.quantize.policy import why_not_integer
from tests.transforms.quantize.networks import Net, branches, classifier, images


def planned(graph, recipe=None):
    graph = prepare(graph)
    return graph, plan(graph, calibrate(graph, [images()]), recipe or Recipe())


ends = st.floats(-(2.0**100), 2.0**100, width=32)


@given(low=ends, high=ends)
def test_zero_is_a_level_and_the_range_is_covered(low, high):
    low, high = min(low, high), max(low, high)
    params = activation_params(low, high)
    assert -128 <= params.zero_point <= 127
    first, last = (params.scale * (q - params.zero_point) for q in (-128, 127))
    step = params.scale * (1 + 1e-6)
    assert first - step <= min(low, 0.0)
    assert max(high, 0.0) <= last + step
    if max(high, 0) - min(low, 0) > 1e-28:  # narrower ranges count as zeros
        assert last - first <= (max(high, 0) - min(low, 0)) * (1 + 1e-5)


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0, 255, (1.0, -128)),
        (-128, 127, (1.0, 0)),
        (5, 10, (10 / 255, -128)),  # zero is always inside
        (-10, -5, (10 / 255, 127)),
        (0, 0, (1 / 255, -128)),
    ],
)
def test_parameters_of_a_range(low, high, want):
    assert activation_params(low, high) == QuantParams.per_tensor(*want)


def test_operands_that_must_share_a_scale_do():
    for network in (classifier(), branches()):
        graph, made = planned(network)
        for node in graph.nodes:
            rule = rule_of(graph, node)
            for tie in rule.ties:
                names = [node.outputs[~i] if i < 0 else node.inputs[i] for i in tie]
                assert len({made.tied[name] for name in names}) == 1, node.label


def test_a_shared_range_holds_all_that_share_it():
    graph = prepare(branches())
    ranges = calibrate(graph, [images()])
    made = plan(graph, ranges, Recipe())
    lows, highs = zip(*(ranges[name] for name in ("narrow", "louder", "both")), strict=True)
    assert max(highs) > 10 * ranges["narrow"][1]
    assert made.made["narrow"] == made.tied["both"] == activation_params(min(lows), max(highs))


def test_the_parameters_that_a_runtime_demands_are_given():
    _, made = planned(classifier())
    assert made.made["softmax"] == QuantParams.per_tensor(1 / 256, -128)


def test_a_demand_that_others_can_live_with_is_shared():
    """SOFTMAX demands 1/256; the RESHAPE behind it can take that, a wider operand cannot."""
    net = Net("demand")
    probabilities = net.add("SOFTMAX", [net.dense(net.x, 4, "dense")], "softmax")
    shaped = net.add("RESHAPE", [probabilities], "shaped", new_shape=(1, 2, 2))
    wide = net.add("MUL", [shaped, net.b.constant(np.float32([100]))], "wide")
    both = net.add("CONCATENATION", [shaped, wide], "both", axis=2)
    _, alone = planned(net.build(shaped))
    assert alone.made["shaped"] == alone.made["softmax"] == QuantParams.per_tensor(1 / 256, -128)
    graph, made = planned(net.build(both))
    assert made.made["softmax"] == QuantParams.per_tensor(1 / 256, -128)
    assert made.tied["softmax"] == made.tied["wide"] != made.made["softmax"]
    reshape = graph.producers["shaped"]
    assert made.read(graph, reshape, 0, rule_of(graph, reshape)) == made.tied["softmax"]


def test_what_no_rule_wants_is_not_planned():
    _, made = planned(classifier(), Recipe((Rule(), Rule(scope="head", dtype="float32"))))
    assert "stem" in made.nodes
    assert "head" not in made.nodes


def test_the_policy_says_why_a_node_stays_float():
    net = Net("policy", shape=(1, 4, 4, 2))
    weights = net.add("MUL", [net.x, net.constant(1)], "weights")
    flat = net.add("RESHAPE", [net.x], "flat", new_shape=(1, 32))
    matrix = net.add("RESHAPE", [weights], "matrix", new_shape=(1, 32))
    dense = net.b.build([net.add("FULLY_CONNECTED", [flat, matrix, None], "dense")])
    why = why_not_integer(dense, dense.producers["dense"])
    assert why is not None and "run time" in why and "matrix" in why
    assert why_not_integer(dense, dense.producers["flat"]) is None
    normed = Net("bn", shape=(1, 4, 4, 2))
    y = normed.add(
        "BATCH_NORM", [normed.x, *(normed.b.constant(np.ones(2, np.float32)) for _ in range(4))],
        "bn",
    )  # fmt: skip
    graph = normed.build(y)
    assert why_not_integer(graph, graph.producers["bn"])
