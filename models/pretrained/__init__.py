"""The shipped weights, one .onnx file a technique: data, read through importlib.resources."""
