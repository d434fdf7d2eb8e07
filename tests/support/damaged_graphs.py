"""Graphs that are damaged, or hostile: each a changed copy of a good one, the same for the same seed."""

from __future__ import annotations

import base64
import contextlib
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from music.signature import METADATA_KEY, PART_KEY

Edit = Callable[[onnx.ModelProto, random.Random], object]
#: values that nobody expects in JSON
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**30, 1e308, float("nan"), float("inf"), "", "x" * 5000, "\x1b[2J\n", "\ud800"),
    *([], [[]], [[[]]], [None], [-1], [0] * 5, {}, {"": {}}, {"z": [1, -4]}, {"z": "16"}, [["pop"]], ["pop", "pop"]),
)

#: operators that take another's place; the last is nobody's
OPERATORS = ("Add", "Reshape", "Gather", "Identity", "Loop", "Sqrt", "Log", "ConstantOfShape", "Own")


def damage(graph: bytes, seed: int) -> bytes:
    """Return a graph's file with damage: of its bytes, of its signature, or of the graph itself."""
    rng = random.Random(seed)
    if rng.random() < 0.4:
        return damage_bytes(graph, rng)
    model = onnx.load_from_string(graph)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        with contextlib.suppress(Exception):  # what an edit before has damaged, another may not find again
            rng.choice(EDITS)(model, rng)
    return bytes(model.SerializeToString())


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes that are cut off, or some of which are others, missing or there twice."""
    found = bytearray(data)
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(found[: rng.randrange(len(found))])
    # nearly all bytes are weights, whose change says little: half of the damage is where the rest is
    places = range(len(found)) if rng.random() < 0.5 else range(min(4000, len(found)))
    for _ in range(rng.choice((1, 2, 8, 64, 500))):
        at = rng.choice(places)
        if kind == 1:
            found[at : at + 1] = bytes([found[at] ^ 1 << rng.randrange(8)])
        elif kind == 2:
            found[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 3:
            del found[at : at + rng.choice((1, 3, 20))]
        else:
            found[at:at] = found[at : at + rng.choice((1, 3, 20))]
        places = range(min(len(places), len(found)))
        if not places:
            break
    return bytes(found)


def change_signature(model: onnx.ModelProto, rng: random.Random) -> None:
    """Put an odd value in the place of one that the signature holds, leave one out, or add one."""
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            values = json.loads(entry.value)
            _change_value(values, rng)
            entry.value = json.dumps(values)
            if rng.random() < 0.1:
                entry.value = rng.choice(("[" * 100_000, '{"a":' * 50_000, "", "null", entry.value[:-9], '"' * 9))


def _change_value(values: dict[str, Any], rng: random.Random) -> None:
    inside: Any = values
    while True:
        keys = list(inside) if isinstance(inside, dict) else range(len(inside))
        if not keys:
            return
        key = rng.choice(keys)
        if not isinstance(inside[key], dict | list) or not inside[key] or rng.random() < 0.4:
            break
        inside = inside[key]
    if rng.random() < 0.2:
        del inside[key]
    elif rng.random() < 0.1 and isinstance(inside, dict):
        inside[f"{key}2"] = inside[key]
    else:
        inside[key] = rng.choice(ODD_VALUES)


def _change_part(model: onnx.ModelProto, rng: random.Random) -> None:
    parts = [entry for entry in model.metadata_props if entry.key.startswith(PART_KEY)]
    if not parts:
        return
    part = rng.choice(parts)
    if rng.random() < 0.2:
        part.value = rng.choice(("", "=", "AAAA", "no base64 \u00e9", part.value[:-5], part.value[:1000]))
        return
    part.value = base64.b64encode(damage(base64.b64decode(part.value), rng.randrange(1 << 30))).decode()


def _drop_part(model: onnx.ModelProto, rng: random.Random) -> None:
    if model.metadata_props:
        del model.metadata_props[rng.randrange(len(model.metadata_props))]


def _rename(model: onnx.ModelProto, rng: random.Random) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output])
    value.name = rng.choice(("", "x", value.name + "x", "\u00e9", model.graph.input[0].name))


def _change_type(model: onnx.ModelProto, rng: random.Random) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output])
    value.type.tensor_type.elem_type = rng.choice((0, 1, 6, 7, 8, 9, 10, 11, 16, 99))


def _change_shape(model: onnx.ModelProto, rng: random.Random) -> None:
    shape = rng.choice([*model.graph.input, *model.graph.output]).type.tensor_type.shape
    if shape.dim and rng.random() < 0.8:
        rng.choice(shape.dim).dim_value = rng.choice((-1, 0, 1, 3, 1 << 20, 1 << 40, (1 << 63) - 1))
    elif shape.dim:
        del shape.dim[-1]
    else:
        shape.dim.add().dim_value = 1


def _drop_node(model: onnx.ModelProto, rng: random.Random) -> None:
    if model.graph.node:
        del model.graph.node[rng.randrange(len(model.graph.node))]


def _drop_weights(model: onnx.ModelProto, rng: random.Random) -> None:
    if model.graph.initializer:
        del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def _change_operator(model: onnx.ModelProto, rng: random.Random) -> None:
    if model.graph.node:
        node = rng.choice(model.graph.node)
        node.op_type = rng.choice(
            ("Add", "Reshape", "Gather", "Identity", "Loop", "Sqrt", "Log", "Own", "ConstantOfShape")
        )
        if node.op_type == "Own":
            node.domain = "com.example"
            model.opset_import.append(helper.make_opsetid("com.example", 1))


def _rewire(model: onnx.ModelProto, rng: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.input]
    if nodes:
        node, other = rng.choice(nodes), rng.choice(nodes)
        node.input[rng.randrange(len(node.input))] = rng.choice((*other.input, *other.output, "nothing", ""))


def _change_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if nodes:
        attribute = rng.choice(rng.choice(nodes).attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice((-1, 0, 7, 1 << 31, (1 << 63) - 1))
        else:
            attribute.i = rng.choice((-1, 0, 7, 1 << 31, -(1 << 63)))


def _change_weights(model: onnx.ModelProto, rng: random.Random) -> None:
    """Let a weight, or all of them, be what is no number, or enormous."""
    value = rng.choice((np.nan, np.inf, -np.inf, 1e38, 0.0))
    tensors = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    for tensor in tensors if rng.random() < 0.5 else tensors[:1]:
        numbers = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.full_like(numbers, value), tensor.name))


def _change_integers(model: onnx.ModelProto, rng: random.Random) -> None:
    """Let indices, shapes and the like be others."""
    tensors = [t for t in model.graph.initializer if t.data_type == TensorProto.INT64]
    if tensors:
        tensor = rng.choice(tensors)
        numbers = numpy_helper.to_array(tensor).copy()
        if numbers.size:
            numbers.flat[rng.randrange(numbers.size)] = rng.choice((-1, 0, 5, 1 << 31, 1 << 40, -(1 << 62)))
        tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))


def _point_elsewhere(model: onnx.ModelProto, rng: random.Random) -> None:
    if model.graph.initializer:
        tensor = rng.choice(model.graph.initializer)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = (
            "location",
            rng.choice(("/etc/passwd", "../../etc/passwd", "/dev/zero", "", "a.bin")),
        )


def _ask_for_memory(model: onnx.ModelProto, rng: random.Random) -> None:
    """Let the graph's first output come from gigabytes of one number."""
    size = rng.choice((1 << 28, 1 << 31, 1 << 33, 1 << 40))
    names = [f"hostile_{each}" for each in ("shape", "block", "sum")]
    out = model.graph.output[0].name
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == out:
                node.output[i] = f"{out}_before"
    nodes = [
        helper.make_node("Constant", [], [names[0]], value_ints=[size]),
        helper.make_node("ConstantOfShape", names[:1], [names[1]]),
        helper.make_node("ReduceSum", names[1:2], [names[2]], keepdims=0),
        helper.make_node("Add", [f"{out}_before", names[2]], [out]),
    ]
    model.graph.node.extend(nodes)


EDITS: tuple[Edit, ...] = (
    *(change_signature, change_signature, change_signature, _change_part, _change_part, _drop_part, _rename),
    *(_change_type, _change_shape, _drop_node, _drop_weights, _change_operator, _rewire, _change_attribute),
    *(_change_weights, _change_integers, _point_elsewhere, _ask_for_memory),
)
