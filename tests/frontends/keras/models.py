"""Small models, each with layers and wiring that the front end has to get right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MODELS: dict[str, Callable[[], Any]] = {}


def model(build: Callable[[], Any]) -> Callable[[], Any]:
    MODELS[build.__name__] = build
    return build


def _functional(shape: tuple[int, ...], body: Callable[[Any, Any], Any]) -> Any:
    import keras

    x = keras.Input(shape)
    return keras.Model(x, body(keras.layers, x))


def _sequential(shape: tuple[int, ...], *layers: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *layers])


def _image(build: Callable[[Any], Any], shape: tuple[int, ...] = (9, 8, 6)) -> Callable[[], Any]:
    """A model of one layer on an image."""

    def make() -> Any:
        import keras

        return _sequential(shape, build(keras.layers))

    return make


ONE_LAYER: dict[str, Callable[[Any], Any]] = {
    "conv_same": lambda L: L.Conv2D(5, 3, padding="same"),
    "conv_same_stride_2": lambda L: L.Conv2D(5, 3, strides=2, padding="same"),
    "conv_same_stride_2_even_kernel": lambda L: L.Conv2D(5, 4, strides=2, padding="same"),
    "conv_valid_stride_3_2": lambda L: L.Conv2D(5, (3, 2), strides=(3, 2)),
    "conv_rectangular": lambda L: L.Conv2D(5, (5, 1), padding="same", activation="relu"),
    "conv_dilated_same": lambda L: L.Conv2D(5, 3, dilation_rate=2, padding="same"),
    "conv_dilated_valid": lambda L: L.Conv2D(5, 3, dilation_rate=(2, 3)),
    "conv_grouped": lambda L: L.Conv2D(9, 3, groups=3, padding="same"),
    "conv_no_bias": lambda L: L.Conv2D(5, 3, use_bias=False),
    "depthwise": lambda L: L.DepthwiseConv2D(3, padding="same"),
    "depthwise_multiplier_2": lambda L: L.DepthwiseConv2D(3, depth_multiplier=2, strides=2),
    "depthwise_dilated": lambda L: L.DepthwiseConv2D(3, dilation_rate=2, padding="same"),
    "depthwise_no_bias": lambda L: L.DepthwiseConv2D((2, 3), use_bias=False, activation="tanh"),
    "separable": lambda L: L.SeparableConv2D(7, 3, padding="same", activation="relu"),
    "separable_multiplier_2": lambda L: L.SeparableConv2D(7, 3, depth_multiplier=2, strides=2),
    "separable_no_bias": lambda L: L.SeparableConv2D(7, 3, use_bias=False),
    "batch_norm": lambda L: L.BatchNormalization(epsilon=0.01),
    "batch_norm_no_gamma": lambda L: L.BatchNormalization(scale=False),
    "batch_norm_no_beta": lambda L: L.BatchNormalization(center=False),
    "dense_on_images": lambda L: L.Dense(4, activation="relu"),
    "average_pool": lambda L: L.AveragePooling2D(2),
    "max_pool": lambda L: L.MaxPooling2D((3, 2)),
    "max_pool_same": lambda L: L.MaxPooling2D(3, strides=2, padding="same"),
    "global_average": lambda L: L.GlobalAveragePooling2D(),
    "global_average_keepdims": lambda L: L.GlobalAveragePooling2D(keepdims=True),
    "global_max": lambda L: L.GlobalMaxPooling2D(),
    "global_max_keepdims": lambda L: L.GlobalMaxPooling2D(keepdims=True),
    "zero_padding": lambda L: L.ZeroPadding2D(((1, 2), (0, 3))),
    "zero_padding_pair": lambda L: L.ZeroPadding2D((1, 2)),
    "cropping": lambda L: L.Cropping2D(((1, 2), (0, 3))),
    "up_sampling": lambda L: L.UpSampling2D((2, 3)),
    "flatten": lambda L: L.Flatten(),
    "reshape": lambda L: L.Reshape((-1, 12)),
    "permute": lambda L: L.Permute((3, 1, 2)),
    "relu": lambda L: L.ReLU(),
    "relu_6": lambda L: L.ReLU(max_value=6),
    "relu_leaky": lambda L: L.ReLU(negative_slope=0.1),
    "leaky_relu": lambda L: L.LeakyReLU(0.2),
    "softmax": lambda L: L.Softmax(),
    "rescaling": lambda L: L.Rescaling(1 / 127.5, offset=-1),
    "rescaling_channels": lambda L: L.Rescaling([1.0, 2, 3, 4, 5, 6], offset=0.0),
    "normalization": lambda L: L.Normalization(),
    "normalization_whole": lambda L: L.Normalization(axis=None),
    "normalization_given": lambda L: L.Normalization(mean=list(range(6)), variance=[4.0] * 6),
    **{
        f"activation_{name}": lambda L, name=name: L.Activation(name)
        for name in (
            "relu", "relu6", "sigmoid", "tanh", "softmax", "swish", "hard_swish", "hard_sigmoid",
            "leaky_relu",
        )
    },
}  # fmt: skip

for _name, _build in ONE_LAYER.items():
    MODELS[_name] = _image(_build)

ONE_LAYER_SEQUENCE: dict[str, Callable[[Any], Any]] = {
    "conv_1d": lambda L: L.Conv1D(5, 3, strides=2, padding="same", activation="relu"),
    "conv_1d_causal": lambda L: L.Conv1D(5, 3, dilation_rate=2, padding="causal"),
    "depthwise_1d": lambda L: L.DepthwiseConv1D(3, depth_multiplier=2, padding="same"),
    "separable_1d": lambda L: L.SeparableConv1D(7, 3, padding="same"),
    "dense_on_sequences": lambda L: L.Dense(4),
    "average_pool_1d": lambda L: L.AveragePooling1D(3, strides=2, padding="same"),
    "max_pool_1d": lambda L: L.MaxPooling1D(2),
    "global_average_1d": lambda L: L.GlobalAveragePooling1D(),
    "global_max_1d": lambda L: L.GlobalMaxPooling1D(),
    "zero_padding_1d": lambda L: L.ZeroPadding1D((1, 3)),
    "cropping_1d": lambda L: L.Cropping1D((1, 3)),
}

# Of a size that is padded alike on both sides: otherwise Keras's torch backend, unlike the others,
# counts padding into the mean.
MODELS["average_pool_same"] = _image(
    lambda L: L.AveragePooling2D(3, strides=2, padding="same"), (9, 7, 6)
)

for _name, _build in ONE_LAYER_SEQUENCE.items():
    MODELS[_name] = _image(_build, (13, 4))


@model
def sequential() -> Any:
    from keras import layers as L

    return _sequential(
        (12, 12, 1),
        L.Conv2D(8, 3, activation="relu"),
        L.MaxPooling2D(),
        L.Dropout(0.5),
        L.Conv2D(8, 3),
        L.BatchNormalization(),
        L.ReLU(),
        L.Flatten(),
        L.Dense(10, activation="softmax"),
    )


@model
def sequential_without_input() -> Any:
    import keras
    from keras import layers as L

    model = keras.Sequential([L.Dense(7, activation="relu"), L.Dense(3)])
    model.build((None, 5))
    return model


@model
def residual() -> Any:
    def body(L: Any, x: Any) -> Any:
        a = L.Conv2D(6, 3, padding="same")(x)
        b = L.BatchNormalization()(a)
        c = L.Add()([a, L.Activation("relu")(b), x])
        d = L.Subtract()([c, a])
        e = L.Multiply()([d, b, x])
        f = L.Average()([e, a, d])
        return L.Concatenate()([f, c, L.Concatenate(axis=-1)([a, e])])

    return _functional((9, 8, 6), body)


@model
def concatenated_rows() -> Any:
    return _functional((4, 5, 3), lambda L, x: L.Concatenate(axis=1)([x, L.ReLU()(x)]))


@model
def broadcast_gate() -> Any:
    def body(L: Any, x: Any) -> Any:
        gate = L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
        return L.Multiply()([x, gate])

    return _functional((5, 4, 6), body)


@model
def shared_layer() -> Any:
    def body(L: Any, x: Any) -> Any:
        conv = L.Conv2D(6, 3, padding="same", activation="relu")
        once = conv(x)
        return L.Add()([once, conv(conv(once))])

    return _functional((9, 8, 6), body)


@model
def nested() -> Any:
    import keras

    def inner(L: Any, x: Any) -> Any:
        return L.BatchNormalization()(L.Conv2D(6, 3, padding="same")(x))

    block = _functional((9, 8, 6), inner)
    head = _sequential((9, 8, 6), keras.layers.Flatten(), keras.layers.Dense(3))

    def body(L: Any, x: Any) -> Any:
        return head(L.Add()([L.ReLU()(block(x)), L.Conv2D(6, 1)(x)]))

    return _functional((9, 8, 6), body)


@model
def nested_twice() -> Any:
    """A nested model that is called twice, with another inside, and is the output."""

    def innermost(L: Any, x: Any) -> Any:
        return L.Dense(5, activation="tanh")(x)

    deep = _functional((5,), innermost)

    def inner(L: Any, x: Any) -> Any:
        return L.BatchNormalization()(L.Dense(5)(deep(x)))

    block = _functional((5,), inner)
    return _functional((5,), lambda L, x: block(L.ReLU()(block(x))))


@model
def nested_frozen() -> Any:
    """A frozen layer's weights lie elsewhere in the list of a nested model's in an .h5 file."""
    import keras

    block = _sequential(
        (6,),
        keras.layers.Dense(6),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(6),
        keras.layers.BatchNormalization(),
    )
    block.layers[0].trainable = False
    block.layers[1].trainable = False
    return _functional((6,), lambda L, x: L.Dense(2)(block(x)))


@model
def nested_with_several_ends() -> Any:
    import keras
    from keras import layers as L

    a, b = keras.Input((4,)), keras.Input((6,))
    block = keras.Model([a, b], [L.Dense(3)(L.Concatenate()([a, b])), L.Dense(5)(a)])
    x, y = keras.Input((4,)), keras.Input((6,))
    first, second = block([x, y])
    return keras.Model([x, y], [L.ReLU()(second), L.Concatenate()([first, second])])


@model
def named_ends() -> Any:
    import keras
    from keras import layers as L

    x = {"left": keras.Input((4,), name="left"), "right": keras.Input((4,), name="right")}
    total = L.Add()([x["left"], x["right"]])
    return keras.Model(list(x.values()), {"sum": total, "dense": L.Dense(3)(x["right"])})


@model
def written_backwards() -> Any:
    """A layer that is created first and used last."""

    def body(L: Any, x: Any) -> Any:
        last, first = L.Dense(3), L.Dense(4, activation="relu")
        return last(first(x))

    return _functional((5,), body)


@model
def operators() -> Any:
    """Arithmetic on tensors instead of layers."""
    import keras

    def body(L: Any, x: Any) -> Any:
        y = L.Conv2D(6, 1)(x)
        z = 2.0 * (x + y) - 1.5
        z = keras.ops.relu6(z) * y - x
        return L.Conv2D(3, 1)(keras.ops.add(z, np.arange(6, dtype="float32")))

    return _functional((5, 4, 6), body)


@model
def operator_activations() -> Any:
    import keras

    def body(L: Any, x: Any) -> Any:
        names = ("relu", "relu6", "sigmoid", "tanh", "silu", "hard_silu", "hard_sigmoid")
        return L.Concatenate()([getattr(keras.ops, name)(x) for name in names])

    return _functional((5, 4, 6), body)


@model
def training_only() -> Any:
    from keras import layers as L

    image = (
        L.RandomFlip(),
        L.RandomRotation(0.1),
        L.RandomZoom(0.1),
        L.RandomTranslation(0.1, 0.1),
        L.RandomContrast(0.1),
        L.RandomBrightness(0.1),
        L.GaussianNoise(0.1),
        L.GaussianDropout(0.1),
        L.AlphaDropout(0.1),
        L.SpatialDropout2D(0.1),
        L.ActivityRegularization(0.1),
        L.Identity(),
        L.Dropout(0.1),
        L.Conv2D(3, 1),
        L.Reshape((64, 3)),
        L.SpatialDropout1D(0.1),
    )
    return _sequential((8, 8, 3), *image)


@model
def hard_swish_by_hand() -> Any:
    import keras

    def body(L: Any, x: Any) -> Any:
        return L.Multiply()([x, L.Activation(keras.activations.hard_sigmoid)(x)])

    return _functional((5, 4, 6), body)


@model
def mobile_block() -> Any:
    def body(L: Any, x: Any) -> Any:
        y = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(24, 1, use_bias=False)(x)))
        y = L.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = L.DepthwiseConv2D(3, strides=2, use_bias=False)(y)
        y = L.ReLU(6.0)(L.BatchNormalization()(y))
        y = L.BatchNormalization()(L.Conv2D(8, 1, use_bias=False)(y))
        return L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(y))

    return _functional((10, 10, 8), body)
