"""Integer arithmetic exactly as TensorFlow Lite Micro performs it: the only place that rounds.

Everything here is plain numpy, vectorized, and bit-exact with the reference kernels. The C twins
live in `smidgen/kernels`; tests hold the two together.
"""
