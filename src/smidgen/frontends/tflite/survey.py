"""Every operator of a `.tflite` file, readable or not, and what to do about those that are not.

`read` stops at the first thing that it cannot express. Whoever is to change a model wants to see
them all: here a node that fails is noted, its results are taken as the file declares them, and the
rest is looked at as if it had been read.
"""

from __future__ import annotations

import os
from pathlib import Path

from smidgen.frontends.surveyed import Surveyed
from smidgen.frontends.tflite.functions import choose_function, file_bytes
from smidgen.schema import decode

_LOOP = "export the model with the loop unrolled, or let your program call the step repeatedly"
_TABLE = "look the words up in your program, and give the model their numbers"
_AFTER = "end the model before it, and do it in your program: it is no arithmetic for a model"
_SPARSE = "convert the model without sparse encoding; zeros stay zeros"
_RNN = "use the LSTM layer of Keras, which converts to UNIDIRECTIONAL_SEQUENCE_LSTM"
_MATH = "express it with ADD, MUL, EXP, LOG, SQRT and the like"
_SPECTRUM = (
    "compute the spectrum in your program, as keyword spotters do, and feed the model with it"
)

ADVICE = {
    "IF": "export the model for the branch that is taken, or each branch as a model of its own",
    "WHILE": _LOOP,
    "STABLEHLO_WHILE": _LOOP,
    "CALL": "export the model with its functions inlined",
    "STABLEHLO_COMPOSITE": "export the model with composites decomposed",
    "HASHTABLE": _TABLE,
    "HASHTABLE_LOOKUP": _TABLE,
    "HASHTABLE_FIND": _TABLE,
    "HASHTABLE_IMPORT": _TABLE,
    "HASHTABLE_SIZE": _TABLE,
    "EMBEDDING_LOOKUP_SPARSE": "use a GATHER along axis 0 of the table",
    "LSH_PROJECTION": _AFTER,
    "SKIP_GRAM": _AFTER,
    "TOPK_V2": "output all scores, and take the largest in your program",
    "UNIQUE": _AFTER,
    "WHERE": _AFTER,
    "NON_MAX_SUPPRESSION_V4": _AFTER,
    "NON_MAX_SUPPRESSION_V5": _AFTER,
    "DENSIFY": _SPARSE,
    "RNN": _RNN,
    "LSTM": _RNN,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _RNN,
    "BIDIRECTIONAL_SEQUENCE_RNN": _RNN,
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use two LSTM layers, one on the reversed sequence (REVERSE_V2)",
    "LOCAL_RESPONSE_NORMALIZATION": "train with batch normalization, which costs nothing",
    "L2_POOL_2D": "use AVERAGE_POOL_2D of squares, then SQRT",
    "CONV_3D": "use CONV_2D with the depth among the channels",
    "CONV_3D_TRANSPOSE": "use TRANSPOSE_CONV with the depth among the channels",
    "RFFT2D": _SPECTRUM,
    "COMPLEX_ABS": _SPECTRUM,
    "REAL": _SPECTRUM,
    "IMAG": _SPECTRUM,
    "ATAN2": _MATH,
    "SHAPE": "convert the model with a fixed input shape; shapes are then constants",
    "RANGE": "convert the model with a fixed input shape; ranges are then constants",
    "RANK": "convert the model with a fixed input shape; ranks are then constants",
    "RANDOM_UNIFORM": "give the random numbers as an input",
    "RANDOM_STANDARD_NORMAL": "give the random numbers as an input",
    "MULTINOMIAL": "output the probabilities, and draw in your program",
    "FAKE_QUANT": "convert the trained model to int8, which takes fake quantization away",
}
_CUSTOM = "only its makers' runtime has it: build the layer from standard operators and train again"
_OTHER = "express it with operators that are supported (docs/operators.md lists them)"


def advice(operator: str) -> str:
    """What to use in place of an operator that is not supported."""
    return _CUSTOM if operator.startswith("CUSTOM") else ADVICE.get(operator, _OTHER)


def survey(source: str | os.PathLike[str] | bytes, signature: str | None = None) -> list[Surveyed]:
    """Look at every operator of a function of a file.

    Args:
        source: the path of a file, or its bytes.
        signature: as in `read`.

    Raises:
        ModelFileError: the file is not one, or is damaged beyond its operators.
    """
    from smidgen.frontends.tflite.reader import Reader

    model = decode(source if isinstance(source, bytes) else file_bytes(Path(source)))
    index, record = choose_function(model, signature)
    return Reader(model, "model", index, record).survey()
