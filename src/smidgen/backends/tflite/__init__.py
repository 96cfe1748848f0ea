"""A Graph becomes a `.tflite` file."""
