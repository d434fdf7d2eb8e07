"""onnxruntime without its telemetry. Everything in the daemon that uses onnxruntime imports it from here.

From 1.32 on, onnxruntime sends usage data on POSIX systems, too, and keeps a device id in the user's cache, unless this
variable is set before it is first imported. houseband needs no network and uses none.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

# it would print what it has against a damaged graph beside the sentence that says so, which names the file
onnxruntime.set_default_logger_severity(4)

__all__ = ["onnxruntime"]
