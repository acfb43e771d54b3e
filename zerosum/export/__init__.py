"""A generator as a file for other programs: ONNX, a folder with all that belongs to it, the hub."""
