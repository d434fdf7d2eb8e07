"""Techniques whose training runs become graphs. One technique is one line of `TECHNIQUES`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from export.onnx_file import ExportModule
from models.checkpoint import CheckpointError

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Exporter:
    """The part of the export that a technique brings."""

    #: writes the graph of a checkpoint (tensors, state) to a path; returns figures about it, see `export.check.report`
    write: Callable[[Mapping[str, Tensor], Values, Path], dict[str, Any]]
    #: makes the network of a recipe in JSON, whose averaged weights a checkpoint holds
    build_network: Callable[[Values], nn.Module]
    #: makes the graph of a recipe in JSON, to be timed in torch; None where the technique has several graphs
    build_graph: Callable[[Values], ExportModule] | None = None
    #: what the network's weights are called in a graph before a dot, "" for nothing; None where a graph cannot be read
    #: back
    weights_name: str | None = None
    #: weights that a graph holds in the settings of its signature instead, by their names in the graph
    read_settings: Callable[[Values], dict[str, Tensor]] = lambda _: {}


#: technique -> `module:object` of its Exporter, loaded when it is wanted
TECHNIQUES = {
    "gan": "export.gan:EXPORTER",
    "arcnn": "export.arcnn:EXPORTER",
    "transformer": "export.transformer:EXPORTER",
    "feel": "export.feel:EXPORTER",
}


def find_exporter(technique: object, source: Path) -> Exporter:
    """Return the exporter of a technique. Raises CheckpointError, about `source`, when there is none."""
    if technique == "harmonist":
        raise CheckpointError(f"{source}: a harmonist plays within other techniques; put it there with --harmonist")
    if technique not in TECHNIQUES:
        raise CheckpointError(f"{source}: no exporter for the technique {technique!r}")
    module, _, name = TECHNIQUES[str(technique)].partition(":")
    exporter: Exporter = getattr(importlib.import_module(module), name)
    return exporter
