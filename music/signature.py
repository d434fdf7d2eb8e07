"""Signatures of graphs: what one takes and gives, stored in the .onnx as metadata so that no sidecar can be lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from music.errors import UserError

#: the metadata key that a signature is stored under, and the version of its layout
METADATA_KEY = "houseband"
SIGNATURE_VERSION = 1
#: the metadata key, followed by a dot and a name, under which a graph carries further graphs, in base64
PART_KEY = "houseband.part"
#: the longest name of a technique, a style or a size that varies; the largest size of an input or output
MAX_NAME_LENGTH, MAX_SIZE = 100, 1 << 31
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
        values = json.loads(metadata[METADATA_KEY], object_pairs_hook=_make_object, parse_constant=_refuse_constant)
        if not isinstance(values, dict):
            raise ValueError("it is no object")
        version = values.pop("version", None)
        if version != SIGNATURE_VERSION:
            raise SignatureError(
                f"its signature is of version {format_line(version)}, this houseband reads version {SIGNATURE_VERSION}"
            )
        return _make_signature(values)
    except (ValueError, RecursionError) as error:
        raise SignatureError(f"its signature cannot be read ({format_line(error)})") from None


def format_line(value: object, limit: int = 200) -> str:
    """Return what is known of a value from a file as one line for a message: printable, and not too long."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or objects in objects
        text = f"a {type(value).__name__}"
    text = "".join(c if c.isprintable() else " " for c in text[: limit + 1])
    return text if len(text) <= limit else f"{text[:limit]}..."


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _make_signature(values: dict[str, Any]) -> Signature:
    """Return a signature from what its JSON said, without the version. Raises ValueError for what does not belong."""
    known = {each.name: each for each in fields(Signature)}
    for key in values:
        if key not in known:
            raise ValueError(f"it has {key!r}, which is not known")
    for key, each in known.items():
        if key not in values and each.default_factory is MISSING:
            raise ValueError(f"it has no {key!r}")
    if not is_name(values["technique"]):
        raise ValueError("its technique is no name")
    styles = values["styles"]
    if not isinstance(styles, list) or not all(map(is_name, styles)) or len(set(styles)) < len(styles):
        raise ValueError("its styles are no list of different names")
    for key in ("settings", "provenance"):
        if not isinstance(values.get(key, {}), dict):
            raise ValueError(f"its {key} are no object")
    shapes = {side: _read_shapes(side, values[side]) for side in ("inputs", "outputs")}
    return Signature(**{**values, **shapes, "styles": tuple(styles)})


def is_name(value: object) -> bool:
    """Tell whether a value is text that can be shown and told apart: not empty, nor long, and printable."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_LENGTH and value.isprintable()


def _read_shapes(side: str, shapes: object) -> dict[str, tuple[int | str, ...]]:
    """Return the shapes of inputs or outputs by name. Raises ValueError for what is none."""
    if not isinstance(shapes, dict) or not all(isinstance(shape, list) for shape in shapes.values()):
        raise ValueError(f"its {side} are no object of shapes")
    for name, shape in shapes.items():
        if not all((type(size) is int and 0 < size <= MAX_SIZE) or is_name(size) for size in shape):
            raise ValueError(f"the shape of {name!r} is none")
    return {name: tuple(shape) for name, shape in shapes.items()}


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
                key = pair.get(_KEY, "")
                if key in metadata:
                    raise SignatureError(f"its metadata have {format_line(repr(key))} twice")
                metadata[key] = pair.get(_VALUE, "")
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
    if not signature.styles:
        raise SignatureError("it knows no style")
    for side, wanted, found in (("input", inputs, signature.inputs), ("output", outputs, signature.outputs)):
        if dict(wanted) != dict(found):
            names = [k for k in {*wanted, *found} if wanted.get(k) != found.get(k)]
            differences = "; ".join(f"{side} {k}: wanted {wanted.get(k)}, found {found.get(k)}" for k in sorted(names))
            raise SignatureError(format_line(differences))
