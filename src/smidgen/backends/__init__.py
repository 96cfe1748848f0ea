"""What graphs are written to: `.tflite` files and C."""
