"""More small models: recurrent layers, attention, normalizations, channels-first layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _sequence(*build: Callable[[Any], Any], shape: tuple[int, ...] = (7, 5)) -> Callable[[], Any]:
    def make() -> Any:
        import keras

        return keras.Sequential([keras.Input(shape), *(b(keras.layers) for b in build)])

    return make


def _image(*build: Callable[[Any], Any]) -> Callable[[], Any]:
    return _sequence(*build, shape=(8, 7, 6))


MODELS: dict[str, Callable[[], Any]] = {
    "transposed_same": _image(lambda L: L.Conv2DTranspose(4, 4, strides=2, padding="same")),
    "transposed_valid": _image(
        lambda L: L.Conv2DTranspose(4, 3, strides=2, activation="relu", use_bias=False)
    ),
    "transposed_1d": _sequence(lambda L: L.Conv1DTranspose(4, 4, strides=2, padding="same")),
    "layer_norm": _image(lambda L: L.LayerNormalization()),
    "layer_norm_plain": _image(lambda L: L.LayerNormalization(center=False, scale=False)),
    "layer_norm_axes": _image(lambda L: L.LayerNormalization(axis=[2, 3], epsilon=1e-2)),
    "group_norm": _image(lambda L: L.GroupNormalization(3)),
    "group_norm_each": _image(lambda L: L.GroupNormalization(-1)),
    "rms_norm": _image(lambda L: L.RMSNormalization()),
    "unit_norm": _image(lambda L: L.UnitNormalization()),
    "elu": _image(lambda L: L.ELU(0.7)),
    "prelu": _image(lambda L: L.PReLU()),
    "prelu_shared": _image(lambda L: L.PReLU(shared_axes=[1, 2])),
    "up_bilinear": _image(lambda L: L.UpSampling2D(2, interpolation="bilinear")),
    "up_1d": _sequence(lambda L: L.UpSampling1D(3)),
    "repeat": _sequence(lambda L: L.RepeatVector(4), shape=(5,)),
    "lstm": _sequence(lambda L: L.LSTM(4)),
    "lstm_sequence": _sequence(lambda L: L.LSTM(4, return_sequences=True, use_bias=False)),
    "lstm_backwards": _sequence(lambda L: L.LSTM(4, return_sequences=True, go_backwards=True)),
    "lstm_unusual": _sequence(lambda L: L.LSTM(4, activation="relu")),
    "gru": _sequence(lambda L: L.GRU(4, return_sequences=True)),
    "gru_before": _sequence(lambda L: L.GRU(4, reset_after=False)),
    "gru_no_bias": _sequence(lambda L: L.GRU(4, use_bias=False)),
    "rnn": _sequence(lambda L: L.SimpleRNN(4, return_sequences=True)),
    "rnn_relu": _sequence(lambda L: L.SimpleRNN(4, activation="relu")),
    "bidirectional": _sequence(lambda L: L.Bidirectional(L.LSTM(4, return_sequences=True))),
    "bidirectional_sum": _sequence(lambda L: L.Bidirectional(L.GRU(3), merge_mode="sum")),
    "bidirectional_mean": _sequence(lambda L: L.Bidirectional(L.SimpleRNN(3), merge_mode="ave")),
    "bidirectional_product": _sequence(lambda L: L.Bidirectional(L.LSTM(3), merge_mode="mul")),
    "distributed_dense": _sequence(lambda L: L.TimeDistributed(L.Dense(3, activation="tanh"))),
    "distributed_images": _sequence(
        lambda L: L.TimeDistributed(L.Conv2D(3, 3, padding="same")),
        lambda L: L.TimeDistributed(L.BatchNormalization()),
        lambda L: L.TimeDistributed(L.GlobalAveragePooling2D()),
        lambda L: L.GRU(3),
        shape=(4, 6, 5, 2),
    ),
    **{
        f"named_{name}": _image(lambda L, name=name: L.Activation(name))
        for name in ("elu", "selu", "gelu", "softplus", "mish", "hard_tanh", "exponential")
    },
}  # fmt: skip


def model(build: Callable[[], Any]) -> Callable[[], Any]:
    MODELS[build.__name__] = build
    return build


@model
def attention() -> Any:
    import keras
    from keras import layers as L

    query, value = keras.Input((4, 6)), keras.Input((5, 6))
    key = L.Dense(6)(value)
    plain = L.Attention()([query, value])
    scaled = L.Attention(use_scale=True)([query, value, key])
    return keras.Model([query, value], L.Concatenate()([plain, scaled]))


@model
def multi_head_attention() -> Any:
    import keras
    from keras import layers as L

    x = keras.Input((6, 8))
    y = L.LayerNormalization()(x)
    y = L.Add()([x, L.MultiHeadAttention(2, 3, value_dim=4)(y, y)])
    y = L.Add()([y, L.Dense(8)(L.Dense(12, activation="gelu")(y))])
    y = L.MultiHeadAttention(4, 2, use_bias=False)(y, x)
    return keras.Model(x, L.GlobalAveragePooling1D()(y))


@model
def dots() -> Any:
    import keras
    from keras import layers as L

    x, y = keras.Input((4, 6)), keras.Input((5, 6))
    table = L.Dot(axes=2)([x, y])  # (4, 5)
    ends = L.Dot(axes=(1, 2))([L.Permute((2, 1))(x), L.Dense(6)(y)])
    a, b = L.Flatten()(L.Dense(3)(table)), L.Flatten()(L.Dense(3)(L.Dense(2)(table)))
    cosine = L.Dot(axes=1, normalize=True)([a, L.Dense(12)(b)])
    return keras.Model([x, y], [table, ends, cosine])


@model
def extremes() -> Any:
    import keras
    from keras import layers as L

    x = keras.Input((5, 6))
    y, z = L.Dense(6)(x), L.Dense(6)(x)
    high, low = L.Maximum()([x, y, z]), L.Minimum()([x, y])
    limited = keras.ops.maximum(keras.ops.minimum(high, 0.5), low) / 3.0 - x / (
        2.0 + keras.ops.sigmoid(x)
    )
    return keras.Model(x, L.Concatenate()([high, low, limited]))


@model
def stepwise_states() -> Any:
    """A decoder that starts from an encoder's vector."""
    import keras
    from keras import layers as L

    x, start = keras.Input((5, 3)), keras.Input((4,))
    y = L.GRU(4, return_sequences=True)(x, initial_state=L.Dense(4)(start))
    return keras.Model([x, start], L.LSTM(4)(y))


def _first(*build: Callable[[Any], Any], shape: tuple[int, ...] = (6, 9, 8)) -> Callable[[], Any]:
    return _sequence(*build, shape=shape)


FIRST = {"data_format": "channels_first"}
CHANNELS_FIRST: dict[str, Callable[[], Any]] = {
    "first_network": _first(
        lambda L: L.Conv2D(5, 3, padding="same", activation="relu", **FIRST),
        lambda L: L.BatchNormalization(axis=1),
        lambda L: L.MaxPooling2D(**FIRST),
        lambda L: L.DepthwiseConv2D(3, **FIRST),
        lambda L: L.ReLU(),
        lambda L: L.Flatten(**FIRST),
        lambda L: L.Dense(4),
    ),
    "first_plain_flatten": _first(
        lambda L: L.Conv2D(5, 3, **FIRST), lambda L: L.Flatten(), lambda L: L.Dense(4)
    ),
    "first_borders": _first(
        lambda L: L.ZeroPadding2D(((1, 2), (0, 3)), **FIRST),
        lambda L: L.Cropping2D(((1, 0), (2, 1)), **FIRST),
        lambda L: L.SeparableConv2D(4, 3, **FIRST),
        lambda L: L.GlobalAveragePooling2D(**FIRST),
    ),
    "first_sequence": _first(
        lambda L: L.Conv1D(5, 3, padding="same", **FIRST),
        lambda L: L.MaxPooling1D(2, **FIRST),
        lambda L: L.GlobalAveragePooling1D(**FIRST),
        shape=(4, 12),
    ),
}


@model
def functions() -> Any:
    """Functions of `keras.ops`, all of whose results are outputs."""
    import keras
    from keras import ops

    x = keras.Input((4, 6, 3))
    positive = ops.exp(0.3 * x) + 1.0
    units = ("absolute", "negative", "square", "sign", "sin", "cos", "floor", "ceil", "round")
    functions = [getattr(ops, name)(1.3 * x) for name in units]
    functions += [f(positive) for f in (ops.sqrt, ops.rsqrt, ops.log)]
    functions += [f(x) for f in (ops.elu, ops.selu, ops.softplus, ops.softsign, ops.gelu)]
    functions += [ops.gelu(x, approximate=False), ops.leaky_relu(x, negative_slope=0.3)]
    functions += [ops.clip(x, -0.5, 0.7), ops.softmax(x, axis=-1), ops.softmax(x, axis=1)]
    reduced = [ops.mean(x, axis=-1, keepdims=True), ops.sum(x, axis=(1, 2)), ops.max(x, axis=1)]
    reduced += [ops.min(x, axis=[2]), ops.squeeze(ops.mean(x, axis=2, keepdims=True), 2)]
    moved = [ops.reshape(x, (-1, 24, 3)), ops.transpose(x, (0, 2, 1, 3)), ops.expand_dims(x, 1)]
    moved += [ops.concatenate([x, x], axis=-1), ops.stack([x, positive], axis=1), ops.flip(x, 2)]
    moved += [ops.pad(x, ((0, 0), (1, 2), (0, 0), (0, 1)))]
    moved += [ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))), ops.matmul(x, np.eye(3) + 1)]
    taken = [x[:, 1:3], x[:, 0], x[:, :, ::2, 1], x[..., -1], x[:, 1:, -4:-1]]
    powers = [positive**2, positive**0.5, 1.0 / positive, ops.divide(x, positive)]
    return keras.Model(x, [*functions, *reduced, *moved, *taken, *powers])
