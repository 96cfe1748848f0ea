"""A small network on scikit-learn's digits: real data that trains in seconds.

Run as a program it trains with checkpoints, so that a test can kill it at any moment.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from smidgen import Dataset, Graph
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.training.settings import Training

TRAINING = Training(epochs=6, batch_size=64, learning_rate=5e-3, ema=0.9, mixup=0.2)


def digits() -> Dataset:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    return Dataset(x[:1437], y[:1437], x[1437:], y[1437:])


def network(seed: int = 0) -> Graph:
    """Two convolutions with batch norms, mean, dense, softmax."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder("digits")

    def constant(*shape: int) -> str:
        fan_in = max(1, int(np.prod(shape[1:])))
        return b.constant(rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32), name="w")

    x = b.input("x", TensorType((1, 8, 8, 1), "float32"))
    for channels in (8, 16):
        x = b.add(
            get_op("CONV_2D")(stride_h=1, stride_w=1, padding="SAME"),
            [x, constant(channels, 3, 3, b.type(x).shape[3])],
        )
        statistics = [b.constant(np.full(channels, v, np.float32), name="n") for v in (1, 0, 0, 1)]
        x = b.add(get_op("BATCH_NORM")(), [x, *statistics])
        x = b.add(get_op("RELU")(), [x])
    x = b.add(get_op("MAX_POOL_2D")(2, 2, 2, 2), [x])
    x = b.add(get_op("RESHAPE")((1, 256)), [x])
    x = b.add(
        get_op("FULLY_CONNECTED")(),
        [x, constant(10, 256), b.constant(np.zeros(10, np.float32), name="b")],
    )
    return b.build([b.add(get_op("SOFTMAX")(), [x])])


def main() -> None:
    """Train with a checkpoint after every step, then keep the weights."""
    import torch

    from smidgen.training.loop import fit
    from smidgen.training.module import GraphModule
    from smidgen.training.processes import is_first

    folder, kept = Path(sys.argv[1]), Path(sys.argv[2])
    if len(sys.argv) > 3:  # started by torchrun
        torch.distributed.init_process_group("gloo")
    torch.set_num_threads(1)
    module = GraphModule(network())
    training = TRAINING if len(sys.argv) <= 3 else Training(epochs=1, batch_size=64, augment="none")
    fit(module, digits(), training, checkpoint=folder / "run.ckpt", save_every=0.0)
    if is_first():
        state = {k: v.numpy() for k, v in module.state_dict().items()}
        np.savez(kept, **state)


if __name__ == "__main__":
    main()
