"""onnxruntime without its telemetry. Everything in export that uses onnxruntime imports it from here.

`daemon.players.onnx_runtime` says why; export and daemon do not import each other.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime import quantization

__all__ = ["onnxruntime", "quantization"]
