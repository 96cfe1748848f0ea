"""A Keras file of your own, squeezed for a board.

    python examples/squeeze_keras.py model.keras samples.npz arduino-nano-33-ble

`samples.npz` holds `x` and `y` to calibrate on, `x_test` and `y_test` to measure on. The recipe
shows where rules of your own go; leave it out for the default.
"""

from __future__ import annotations

import sys

import smidgen


def main(model: str, samples: str, board: str) -> int:
    data = smidgen.Dataset.from_npz(samples)
    recipe = smidgen.Recipe(
        rules=(
            smidgen.Rule(observer="mse"),
            smidgen.Rule(operator="FULLY_CONNECTED", observer="min-max"),
        )
    )
    best = smidgen.squeeze(model, data, board, recipe=recipe, max_drop=0.02, out="squeezed")
    print(f"before: {best.before}")
    print(f"after:  {best.after}")
    for error in best.errors[:3]:
        print(f"{error.layer}: {error.own_snr_db:.0f} dB, {error.cause}")
    print(best.verdict)
    return 0 if best.fits else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
