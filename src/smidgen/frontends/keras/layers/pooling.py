"""Pooling: windows and global, over images and sequences."""

from __future__ import annotations

from smidgen.frontends.keras.site import LayerSite, layer


def _as_image(site: LayerSite, dims: int) -> str:
    value = site.image(dims)
    if dims == 1:
        batch, length, channels = site.shape(value)
        value = site.reshape(value, (batch, 1, length, channels), "image")
    return value


def _pool(site: LayerSite, op: str, dims: int) -> str:
    size = site.integers("pool_size", dims, 2)
    strides = site.integers("strides", dims) if site.get("strides") is not None else size
    value = _pool_image(site, op, _as_image(site, dims), size, strides, site.padding())
    if dims == 1:
        batch, _, length, channels = site.shape(value)
        value = site.reshape(value, (batch, length, channels), "sequence")
    return value


def _pool_image(
    site: LayerSite,
    op: str,
    value: str,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
) -> str:
    if len(size) == 1:
        size, strides = (1, *size), (1, *strides)
    return site.add(
        op,
        [value],
        filter_height=size[0],
        filter_width=size[1],
        stride_h=strides[0],
        stride_w=strides[1],
        padding=padding,
    )


@layer("MaxPooling2D")
def max_pooling_2d(site: LayerSite) -> str:
    """The largest of each window."""
    return _pool(site, "MAX_POOL_2D", 2)


@layer("AveragePooling2D")
def average_pooling_2d(site: LayerSite) -> str:
    """The mean of each window, padding not counted."""
    return _pool(site, "AVERAGE_POOL_2D", 2)


@layer("MaxPooling1D")
def max_pooling_1d(site: LayerSite) -> str:
    """The largest of each window."""
    return _pool(site, "MAX_POOL_2D", 1)


@layer("AveragePooling1D")
def average_pooling_1d(site: LayerSite) -> str:
    """The mean of each window, padding not counted."""
    return _pool(site, "AVERAGE_POOL_2D", 1)


def _global_mean(site: LayerSite, dims: int) -> str:
    axes = tuple(range(1, dims + 1))
    return site.add("MEAN", [site.image(dims)], axis=axes, keep_dims=site.flag("keepdims", False))


def _global_max(site: LayerSite, dims: int) -> str:
    value = _as_image(site, dims)
    batch, height, width, channels = site.shape(value)
    value = _pool_image(site, "MAX_POOL_2D", value, (height, width), (height, width), "VALID")
    kept = (1,) * dims if site.flag("keepdims", False) else ()
    return site.reshape(value, (batch, *kept, channels), "flat")


@layer("GlobalAveragePooling2D")
def global_average_pooling_2d(site: LayerSite) -> str:
    """The mean of each channel."""
    return _global_mean(site, 2)


@layer("GlobalAveragePooling1D")
def global_average_pooling_1d(site: LayerSite) -> str:
    """The mean of each channel."""
    return _global_mean(site, 1)


@layer("GlobalMaxPooling2D")
def global_max_pooling_2d(site: LayerSite) -> str:
    """The largest of each channel."""
    return _global_max(site, 2)


@layer("GlobalMaxPooling1D")
def global_max_pooling_1d(site: LayerSite) -> str:
    """The largest of each channel."""
    return _global_max(site, 1)
