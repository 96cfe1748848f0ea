"""What to do instead, for operators that have no place on a small device or none in LiteRT."""

from __future__ import annotations

ADVICE = {
    "NonMaxSuppression": "end the model at the boxes and scores and select among them in your code",
    "TopK": "end the model at the scores and sort them in your code, or use ArgMax for one",
    "Loop": "unroll it when exporting (torch.jit.script makes loops, tracing does not)",
    "Scan": "unroll it when exporting, or use LSTM, GRU or RNN",
    "If": "fix the inputs that decide it, or export the branch that is needed",
    "NonZero": "its output has no static shape: use a mask (Where, Mul) instead",
    "Unique": "its output has no static shape: end the model before it",
    "Compress": "its output has no static shape: use Gather with constant indices",
    "DFT": "compute spectra before the model, or as a Conv with sines for weights",
    "STFT": "compute spectra before the model, or as a Conv with sines for weights",
    "GridSample": "sample before the model, or use Resize",
    "RoiAlign": "crop before the model, or use Resize on fixed windows",
    "MaxUnpool": "use Resize or ConvTranspose",
    "DeformConv": "use Conv",
    "DynamicQuantizeLinear": "quantize statically: onnxruntime.quantization.quantize_static",
    "Bernoulli": "nothing random runs on a device: export the model for inference",
    "RandomNormal": "nothing random runs on a device: give it as an input",
    "RandomUniform": "nothing random runs on a device: give it as an input",
    "RandomNormalLike": "nothing random runs on a device: give it as an input",
    "RandomUniformLike": "nothing random runs on a device: give it as an input",
    "Multinomial": "nothing random runs on a device: take the probabilities as the output",
}


def advice(op_type: str) -> str:
    """What would work in place of an operator."""
    if op_type in ADVICE:
        return ADVICE[op_type]
    if op_type.startswith(("Sequence", "SplitToSequence", "Optional")):
        return "export the model with plain tensors (Concat and Split)"
    if op_type.startswith(("String", "Tfidf", "TfIdf", "Regex", "Image")):
        return "do it before the model, in your code"
    return "export it as operators that are supported (docs/onnx.md lists them)"
