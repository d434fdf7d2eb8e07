"""What a graph takes and gives, stored inside the .onnx as metadata so that no sidecar can be lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: The metadata key it is stored under, and the version of its layout.
KEY = "houseband"
VERSION = 1
#: The metadata key, followed by a dot and a name, under which a graph carries further graphs, in base64.
PART = "houseband.part"
#: What a graph's inputs and outputs are like: sizes that vary have a name.
Shapes = Mapping[str, tuple[int | str, ...]]


class SignatureError(ValueError):
    """A graph that houseband cannot play; the message says what does not fit."""


@dataclass(frozen=True, slots=True)
class Signature:
    """technique: gan, arcnn or transformer; inputs, outputs: name -> shape; styles: in the order of the style input;
    settings: what the player must know beside the graph; provenance: commit, command, configuration, data hash."""

    technique: str
    inputs: Shapes
    outputs: Shapes
    styles: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps({"version": VERSION, **asdict(self)})


def from_metadata(metadata: Mapping[str, str]) -> Signature:
    """The signature in a graph's metadata. Raises SignatureError when there is none, or none of this version."""
    if KEY not in metadata:
        raise SignatureError("it was not made by `houseband export`: there is no signature inside")
    try:
        values = json.loads(metadata[KEY])
        version = values.pop("version")
        if version != VERSION:
            raise SignatureError(f"its signature is of version {version}, this houseband reads version {VERSION}")
        for side in ("inputs", "outputs"):
            values[side] = {k: tuple(v) for k, v in values[side].items()}
        return Signature(**{**values, "styles": tuple(values["styles"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError(f"its signature cannot be read ({error})") from None


def check(signature: Signature, technique: str, inputs: Shapes, outputs: Shapes) -> None:
    """Raises SignatureError unless the graph is of that technique with exactly those inputs and outputs."""
    if signature.technique != technique:
        raise SignatureError(f"it is a graph for the {signature.technique}, not for the {technique}")
    for side, wanted, found in (("input", inputs, signature.inputs), ("output", outputs, signature.outputs)):
        if dict(wanted) != dict(found):
            names = [k for k in {*wanted, *found} if wanted.get(k) != found.get(k)]
            differences = "; ".join(f"{side} {k}: wanted {wanted.get(k)}, found {found.get(k)}" for k in sorted(names))
            raise SignatureError(differences)
