"""The record: what is drawn is what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smidgen import Dataset, quantize, squeeze
from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.report import build_record
from smidgen.report.record import arena_record
from smidgen.transforms.quantize import prepare
from tests.transforms.quantize.networks import branches, classifier, images

pytestmark = [pytest.mark.emulator, pytest.mark.oracle]


@pytest.fixture(scope="module")
def squeezed():
    x = images()
    labels = np.zeros(len(x), int)
    return squeeze(classifier(), Dataset(x, labels, x, labels), "nucleo-l4r5zi")


@pytest.fixture(scope="module")
def record(squeezed):
    return json.loads(json.dumps(build_record(squeezed, classifier())))


def test_layers_have_their_cost(squeezed, record):
    assert record["cycles_per_mac_limit"] == 0.5
    assert [x["layer"] for x in record["layers"]] == [x.label for x in squeezed.facts.layers]
    assert sum(x["macs"] for x in record["layers"]) == squeezed.facts.macs
    for layer in record["layers"]:
        each = layer["cycles_per_mac_estimated"]
        if layer["macs"]:
            assert each == pytest.approx(layer["cycles_estimated"] / layer["macs"])
            assert each >= 0.5, "nothing beats the core"
        else:
            assert each is None


@pytest.mark.parametrize("network", [classifier, branches])
def test_bytes_in_use_are_counted_once(network):
    graph = quantize(network(), images())
    plan = plan_arena(graph, select_kernels(graph))
    drawn = arena_record(plan)
    for step, in_use in enumerate(drawn["in_use"]):
        used = np.zeros(drawn["bytes"], bool)
        for buffer in drawn["buffers"]:
            if buffer["start"] <= step < buffer["end"]:
                used[buffer["offset"] : buffer["offset"] + buffer["size"]] = True
        assert in_use == used.sum()
    assert 0 < max(drawn["in_use"]) <= drawn["bytes"]


def test_every_weight_is_in_the_histograms_once(squeezed, record):
    float_graph = prepare(classifier())
    for entry in record["weights"]:
        data = squeezed.model.data(entry["name"])
        assert sum(entry["int8"]) == entry["elements"] == data.size
        assert entry["range"] == [-128, 127]
        # Four values to a bin: no comb that is not in the weights.
        values = np.bincount((data.ravel().astype(int) + 128) // 4, minlength=64)
        assert entry["int8"] == values.tolist()
        before = float_graph.data(entry["name"])
        assert sum(entry["float"]) == before.size
        assert entry["float_limit"] == pytest.approx(float(np.abs(before).max()))
    assert len(record["weights"]) == 4


def test_before_and_after(squeezed, record, tmp_path):
    assert record["source"]["file_bytes"] is None
    assert record["result"]["file_bytes"] == squeezed.tflite_bytes
    assert record["source"]["activation_bytes"] > record["firmware"]["arena_bytes"]
    assert record["before"]["samples"] == record["after"]["samples"] == 64


def test_a_models_own_file_is_counted(tmp_path):
    from smidgen import write_tflite

    path = tmp_path / "m.tflite"
    size = len(write_tflite(quantize(classifier(), images()), path))
    result = squeeze(path)
    assert result.source_bytes == size
    assert build_record(result, result.model)["source"]["file_bytes"] == size
