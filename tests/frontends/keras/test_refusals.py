"""What Smidgen does not have is refused by layer, with what would work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smidgen.errors import ToolMissingError, UnsupportedModelError
from smidgen.frontends.keras import from_keras_model, is_keras_model, load_keras
from tests.frontends.keras.oracle import saved

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

RAN: list[str] = []


def one(layer: Callable[[Any], Any], shape: tuple[int | None, ...] = (8, 8, 3)) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), layer(keras.layers)])


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "lambda": (
        lambda: one(lambda L: L.Lambda(lambda x: x * 2, name="twice")),
        r"Lambda \('twice'\)",
        "never run",
    ),
    "no_rule": (
        lambda: one(lambda L: L.ConvLSTM2D(4, 3, name="memory"), (5, 8, 8, 3)),
        r"ConvLSTM2D \('memory'\)",
        "supported are",
    ),
    "transposed": (
        lambda: one(lambda L: L.Conv2DTranspose(4, 3, dilation_rate=2, name="up")),
        "layer 'up' .*dilated",
        "dilation_rate=1",
    ),
    "states": (
        lambda: one(lambda L: L.GRU(4, recurrent_activation="celu", name="memory"), (5, 3)),
        "layer 'memory' .*recurrent_activation is 'celu'",
        "sigmoid",
    ),
    "masks": (
        lambda: one(lambda L: L.Embedding(9, 4, mask_zero=True), (5,)),
        "masks zeros",
        "mask_zero=False",
    ),
    "group_norm_axis": (
        lambda: one(lambda L: L.GroupNormalization(4, axis=1)),
        "normalizes axis 1",
        "last axis",
    ),
    "activation": (
        lambda: one(lambda L: L.Conv2D(4, 3, activation="celu", name="c")),
        "layer 'c' .*celu",
        "supported are",
    ),
    "relu_cap": (lambda: one(lambda L: L.ReLU(max_value=1)), "max_value is 1", "max_value=6"),
    "relu_threshold": (lambda: one(lambda L: L.ReLU(threshold=1)), "threshold", "threshold=0"),
    "softmax_axis": (lambda: one(lambda L: L.Softmax(axis=1)), "axis is 1", "last axis"),
    "batch_norm_axis": (
        lambda: one(lambda L: L.BatchNormalization(axis=2)),
        "normalizes axis 2",
        "axis=-1",
    ),
    "bicubic": (
        lambda: one(lambda L: L.UpSampling2D(interpolation="bicubic")),
        "interpolation is 'bicubic'",
        "bilinear",
    ),
    "inverse_normalization": (
        lambda: one(lambda L: L.Normalization(mean=0.0, variance=1.0, invert=True)),
        "inverted",
        "Rescaling",
    ),
    "open_shape": (
        lambda: one(lambda L: L.Conv2D(4, 3), (None, None, 3)),
        r"its shape is \(None, None, None, 3\)",
        "fixed shape",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("suffix", [".keras", ".h5", "live"])
def test_refusals_say_which_and_what_would_work(name: str, suffix: str, tmp_path: Path) -> None:
    build, words, hint = REFUSED[name]
    model = build()
    source = model if suffix == "live" else saved(model, tmp_path, suffix)
    with pytest.raises(UnsupportedModelError, match=words) as caught:
        from_keras_model(source) if suffix == "live" else load_keras(source)
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    if suffix != "live":
        assert str(caught.value).startswith(f"model{suffix}: ")


def test_qkeras_is_refused_by_class(shared: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"QActivation .* and 4 more") as caught:
        load_keras(shared / "zoo/hls4ml_RN08.h5")
    text = str(caught.value)
    assert "QConv2DBatchnorm ('q_conv2d_batchnorm' and 4 more)" in text
    assert "QKeras" in text
    assert "set_weights" in text


@pytest.mark.parametrize("suffix", [".keras", ".h5", "live"])
def test_custom_code_is_never_run(suffix: str, tmp_path: Path) -> None:
    """Not even when its class has the name of a layer that Smidgen knows."""
    import keras

    @keras.saving.register_keras_serializable(package="mine")
    class Dense(keras.layers.Dense):  # type: ignore[misc]
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            RAN.append("from_config")
            return super().from_config(config)

        def call(self, inputs: Any, training: Any = None) -> Any:
            RAN.append("call")
            return super().call(inputs) * 2

    model = keras.Sequential([keras.Input((3,)), Dense(4, name="odd")])
    source = model if suffix == "live" else saved(model, tmp_path, suffix)
    RAN.clear()
    with pytest.raises(UnsupportedModelError, match=r"Dense \('odd'\)") as caught:
        from_keras_model(source) if suffix == "live" else load_keras(source)
    assert "never run" in str(caught.value)
    assert RAN == []


def test_custom_activations_are_refused(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(package="mine")
    def relu(x: Any) -> Any:
        return -x

    model = one(lambda L: L.Conv2D(2, 3, activation=relu, name="negated"))
    with pytest.raises(UnsupportedModelError, match=r"layer 'negated' .*mine>relu"):
        load_keras(saved(model, tmp_path, ".keras"))


def test_subclassed_models_are_refused() -> None:
    import keras

    class Mine(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    model = Mine()
    model.build((None, 3))
    with pytest.raises(UnsupportedModelError, match="a 'Mine', whose code") as caught:
        from_keras_model(model)
    assert "functional or Sequential" in str(caught.value.hint)


def test_models_without_weights_are_refused() -> None:
    import keras

    with pytest.raises(UnsupportedModelError, match="no weights yet") as caught:
        from_keras_model(keras.Sequential([keras.layers.Dense(3)], name="empty"))
    assert "model 'empty'" in str(caught.value)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have:UserWarning")
def test_quantized_models_are_refused() -> None:
    model = one(lambda L: L.Dense(4, name="q"), (16,))
    model.quantize("int8")
    with pytest.raises(UnsupportedModelError, match=r"layer 'q' .*policy is 'int8_from_float32'"):
        from_keras_model(model)


def test_calls_in_training_mode_are_refused() -> None:
    import keras

    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dropout(0.5, name="noise")(x, training=True))
    with pytest.raises(UnsupportedModelError, match=r"layer 'noise' .*training=True"):
        from_keras_model(model)


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "only.weights.h5"
    one(lambda L: L.Conv2D(4, 3)).save_weights(path)
    with pytest.raises(UnsupportedModelError, match="without the model") as caught:
        load_keras(path)
    assert "model.save" in str(caught.value.hint)


def test_integer_inputs_are_refused() -> None:
    import keras

    model = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Flatten()])
    with pytest.raises(UnsupportedModelError, match="dtype is 'int32'"):
        from_keras_model(model)


def test_without_h5py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"pip install 'smidgen\[keras\]'"):
        load_keras(tmp_path / "any.h5")


def test_what_is_a_keras_model() -> None:
    import keras

    assert is_keras_model(keras.Sequential())
    assert not is_keras_model(keras.layers.Dense(3))
    assert not is_keras_model("model.h5")
