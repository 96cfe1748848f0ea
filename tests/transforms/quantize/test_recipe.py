"""Recipes: the last rule that fits wins, and what cannot be meant is refused."""

from __future__ import annotations

import pytest

from smidgen.errors import RecipeError
from smidgen.transforms.quantize import PRESETS, Recipe, Rule, get_recipe, quantize
from tests.transforms.quantize.networks import classifier, images


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"dtype": "int3"}, "int8"),
        ({"observer": "average"}, "percentile"),
        ({"weights": "per-group"}, "per-channel"),
        ({"operator": "CONV_3D"}, "CONV_2D"),
    ],
)
def test_a_word_that_is_not_known_is_refused(fields, hint):
    with pytest.raises(RecipeError, match=hint):
        Rule(**fields)


def test_the_last_rule_that_matches_wins():
    graph = classifier()
    recipe = Recipe((Rule(), Rule(scope="s*", observer="entropy"), Rule(scope="stem")))
    rules = {node.outputs[0]: recipe.rule(node).observer for node in graph.nodes}
    assert rules["stem"] == "mse"
    assert rules["sum"] == rules["spread"] == "entropy"
    assert rules["head"] == "mse"


def test_a_rule_is_about_operators_in_a_scope():
    recipe = Recipe((Rule(), Rule(operator="*CONV_2D", scope="m*", dtype="float32")))
    kept = {n.outputs[0] for n in classifier().nodes if recipe.rule(n).dtype == "float32"}
    assert kept == {"mix"}


def test_nodes_that_no_rule_matches_stay_float():
    graph = quantize(classifier(), images(), Recipe((Rule(scope="head*"),), float_io=True))
    assert graph.type("stem").dtype == "float32"
    assert graph.type("head").dtype == "int8"


def test_a_scope_that_fits_no_layer_is_refused_and_the_layers_are_named():
    with pytest.raises(RecipeError, match="stem") as caught:
        quantize(classifier(), images(), Recipe((Rule(), Rule(scope="haed*"))))
    assert "haed*" in str(caught.value)


def test_presets_are_known_by_name_and_a_slip_lists_them():
    assert get_recipe("int8") is PRESETS["int8"]
    with pytest.raises(RecipeError, match="int8-percentile"):
        get_recipe("int9")


def test_what_is_quantized_is_not_quantized_again():
    graph = quantize(classifier(), images())
    with pytest.raises(RecipeError, match="quantized already"):
        quantize(graph, images())
