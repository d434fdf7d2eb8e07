"""From a training run to one .onnx file: adapters, writing, checking, quantising."""
