"""Signatures of graphs: what one takes and gives, stored in the .onnx as metadata so that no sidecar can be lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from music.errors import UserError

#: the metadata key that a signature is stored under, and the version of its layout
METADATA_KEY = "houseband"
SIGNATURE_VERSION = 1
#: the metadata key, followed by a dot and a name, under which a graph carries further graphs, in base64
PART_KEY = "houseband.part"
#: name of an input or output -> its shape, in which a size that varies is a name
Shapes = Mapping[str, tuple[int | str, ...]]


class SignatureError(UserError):
    """A graph that houseband cannot play; the message says what does not fit."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The description that a graph carries of itself."""

    technique: str
    inputs: Shapes
    outputs: Shapes
    styles: tuple[str, ...]  #: in the order of the style input
    settings: Mapping[str, Any] = field(default_factory=dict)  #: what the player must know beside the graph
    provenance: Mapping[str, Any] = field(default_factory=dict)  #: commit, command, recipe, hash of the data

    def to_json(self) -> str:
        """Return the text that is stored."""
        return json.dumps({"version": SIGNATURE_VERSION, **asdict(self)})


def read_signature(metadata: Mapping[str, str]) -> Signature:
    """Return the signature in a graph's metadata. Raises SignatureError unless there is one of this version."""
    if METADATA_KEY not in metadata:
        raise SignatureError("it was not made by `houseband export`: there is no signature inside")
    try:
        values = json.loads(metadata[METADATA_KEY])
        version = values.pop("version")
        if version != SIGNATURE_VERSION:
            raise SignatureError(
                f"its signature is of version {version}, this houseband reads version {SIGNATURE_VERSION}"
            )
        for side in ("inputs", "outputs"):
            values[side] = {k: tuple(v) for k, v in values[side].items()}
        return Signature(**{**values, "styles": tuple(values["styles"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SignatureError(f"its signature cannot be read ({error})") from None


def split_metadata(model: bytes) -> tuple[dict[str, str], bytes]:
    """Return the metadata of a model's file, and the file without it.

    The graph itself is not read, which takes but a moment and works for a graph that is wrong inside. Raises
    SignatureError for a file that is no model.
    """
    metadata, graph = {}, []
    view, kept = memoryview(model), 0
    try:
        for number, begin, content, end in _iterate_fields(view):
            if number == _METADATA:
                pair = {key: str(view[at:after], "utf-8") for key, _, at, after in _iterate_fields(view[:end], content)}
                metadata[pair.get(_KEY, "")] = pair.get(_VALUE, "")
                graph.append(view[kept:begin])
                kept = end
    except (ValueError, IndexError):
        raise SignatureError("it is no ONNX file, or a damaged one") from None
    return metadata, b"".join([*graph, view[kept:]])


#: fields of ONNX's ModelProto, and of the pairs of text that metadata are
_METADATA, _KEY, _VALUE = 14, 1, 2


def _iterate_fields(message: memoryview, at: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """Yield every field of a protocol buffers message from a place on: number, begin, begin of its content, end.

    Raises ValueError, IndexError for what is no message.
    """
    while at < len(message):
        begin = at
        key, at = _read_varint(message, at)
        match key & 7:
            case 0:
                content, (_, at) = at, _read_varint(message, at)
            case 2:
                size, content = _read_varint(message, at)
                at = content + size
            case 1 | 5:
                content, at = at, at + (8 if key & 7 == 1 else 4)
            case _:
                raise ValueError("no field is of that kind")
        if at > len(message) or not key >> 3:
            raise ValueError("cut off")
        yield key >> 3, begin, content, at


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        value |= (message[at] & 127) << shift
        at += 1
        if message[at - 1] < 128:
            return value, at
    raise ValueError("no number is that long")


def check_signature(signature: Signature, technique: str, inputs: Shapes, outputs: Shapes) -> None:
    """Raise SignatureError unless a graph is of that technique with exactly those inputs and outputs."""
    if signature.technique != technique:
        raise SignatureError(f"it is a graph for the {signature.technique}, not for the {technique}")
    for side, wanted, found in (("input", inputs, signature.inputs), ("output", outputs, signature.outputs)):
        if dict(wanted) != dict(found):
            names = [k for k in {*wanted, *found} if wanted.get(k) != found.get(k)]
            differences = "; ".join(f"{side} {k}: wanted {wanted.get(k)}, found {found.get(k)}" for k in sorted(names))
            raise SignatureError(differences)
