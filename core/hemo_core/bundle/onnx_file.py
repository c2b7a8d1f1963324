"""Reading an ONNX graph with numpy alone: its nodes and its weights, as far as our own exports use the format.

onnxruntime runs a graph but does not show its weights, and the ``onnx`` package is far larger than what is needed here.
The messages and field numbers are those of ``onnx.proto`` (IR version 3 and later), the encoding that of
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.errors import BundleSchema

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int | None, ...]
Names: TypeAlias = Mapping[int, str]

# Fields of each message that are read, by number (onnx.proto); all others are passed over.
_MODEL: Names = {7: "graph", 8: "opset_import"}
_OPSET: Names = {1: "domain", 2: "version"}
_GRAPH: Names = {1: "node", 5: "initializer", 11: "input", 12: "output"}
_NODE: Names = {1: "input", 2: "output", 4: "op_type", 5: "attribute", 7: "domain"}
_ATTRIBUTE: Names = {1: "name", 2: "f", 3: "i", 4: "s", 5: "t", 7: "floats", 8: "ints", 9: "strings"}
_VALUE_INFO: Names = {1: "name", 2: "type"}
_TYPE: Names = {1: "tensor_type"}
_TENSOR_TYPE: Names = {2: "shape"}
_SHAPE: Names = {1: "dim"}
_DIMENSION: Names = {1: "dim_value"}
_TENSOR: Names = {
    1: "dims",
    2: "data_type",
    4: "float_data",
    5: "int32_data",
    7: "int64_data",
    8: "name",
    9: "raw_data",
    10: "double_data",
    13: "external_data",
}

_DTYPES: Mapping[int, str] = {  # TensorProto.DataType
    1: "<f4",
    2: "|u1",
    3: "|i1",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
}
_HALF = np.dtype("<f2")
_PACKED = {"float_data": "<f4", "double_data": "<f8"}

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10
_MORE = 0x80


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation.

    Attributes:
        inputs, outputs: names of values; an empty name is an input that was left out.
        attributes: numbers, byte strings, lists of them, or an array.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxGraph:
    """A graph in execution order.

    Attributes:
        opset: version of ONNX's own operators.
        weights: the stored arrays by name; read-only.
        inputs, outputs: what is fed and fetched, name → shape; None for a size that is open, nothing where all is.
    """

    opset: int
    nodes: tuple[Node, ...]
    weights: Mapping[str, Array]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]


def read_onnx(data: bytes, where: str) -> OnnxGraph:
    """Read a serialised ``ModelProto``.

    Args:
        data: the file's bytes; weights stay views of them.
        where: what to call it in messages.

    Raises:
        BundleSchema: it is no ONNX model, keeps weights outside the file, or holds a type our exports do not.
    """
    try:
        return _model(memoryview(data))
    except (ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise BundleSchema(f"is no ONNX graph of ours: {error}", path=where) from error


def _model(data: memoryview) -> OnnxGraph:
    model = _Message(data, _MODEL)
    graph = _Message(model.one("graph"), _GRAPH)
    opsets = [_Message(item, _OPSET) for item in model.all("opset_import")]
    own = [opset.one("version") for opset in opsets if not opset.text("domain")]
    return OnnxGraph(
        opset=own[0] if own else 0,
        nodes=tuple(_node(item) for item in graph.all("node")),
        weights=dict(_tensor(item) for item in graph.all("initializer")),
        inputs=dict(_value_info(item) for item in graph.all("input")),
        outputs=dict(_value_info(item) for item in graph.all("output")),
    )


def _node(data: memoryview) -> Node:
    node = _Message(data, _NODE)
    domain, op = node.text("domain"), node.text("op_type")
    return Node(
        op=f"{domain}.{op}" if domain else op,
        inputs=tuple(bytes(name).decode() for name in node.all("input")),
        outputs=tuple(bytes(name).decode() for name in node.all("output")),
        attributes=dict(_attribute(item) for item in node.all("attribute")),
    )


def _attribute(data: memoryview) -> tuple[str, Any]:
    attribute = _Message(data, _ATTRIBUTE)
    return attribute.text("name"), _attribute_value(attribute)


def _attribute_value(attribute: _Message) -> Any:
    if attribute.all("f"):
        return struct.unpack("<f", attribute.one("f"))[0]
    if attribute.all("i"):
        return _signed(attribute.one("i"))
    if attribute.all("s"):
        return bytes(attribute.one("s"))
    if attribute.all("t"):
        return _tensor(attribute.one("t"))[1]
    floats = [number for part in attribute.all("floats") for number in np.frombuffer(part, "<f4").tolist()]
    return floats or attribute.numbers("ints") or [bytes(item) for item in attribute.all("strings")]


def _tensor(data: memoryview) -> tuple[str, Array]:
    tensor = _Message(data, _TENSOR)
    name, kind = tensor.text("name"), tensor.one("data_type")
    if tensor.all("external_data"):
        raise ValueError(f"{name} is kept outside the file")
    if kind not in _DTYPES:
        raise ValueError(f"{name} is of type {kind}")
    array = _content(tensor, np.dtype(_DTYPES[kind])).reshape(tensor.numbers("dims"))
    array.flags.writeable = False
    return name, array


def _content(tensor: _Message, dtype: np.dtype[Any]) -> Array:
    """The numbers of a tensor, flat: raw bytes or one of the typed lists."""
    if tensor.all("raw_data"):
        return np.frombuffer(tensor.one("raw_data"), dtype)
    for field, packed in _PACKED.items():
        if tensor.all(field):
            return np.concatenate([np.frombuffer(part, packed) for part in tensor.all(field)]).astype(dtype)
    numbers = tensor.numbers("int64_data") or tensor.numbers("int32_data")
    return np.asarray(numbers, "<u2").view(_HALF) if dtype == _HALF else np.asarray(numbers, dtype)


def _value_info(data: memoryview) -> tuple[str, Shape]:
    """Name and shape of an input or output; a size that is no ``dim_value`` is open."""
    info = _Message(data, _VALUE_INFO)
    tensor = _Message(_Message(info.one("type"), _TYPE).one("tensor_type"), _TENSOR_TYPE)
    sizes = [_Message(item, _DIMENSION) for shape in tensor.all("shape") for item in _Message(shape, _SHAPE).all("dim")]
    return info.text("name"), tuple(size.one("dim_value") if size.all("dim_value") else None for size in sizes)


class _Message:
    """The fields of a message that are wanted, each a list: a field may be repeated or absent.

    Args:
        data: its bytes.
        names: the wanted fields.
    """

    def __init__(self, data: memoryview, names: Names) -> None:
        self._found: dict[str, list[Any]] = {name: [] for name in names.values()}
        for number, value in _fields(data):
            if number in names:
                self._found[names[number]].append(value)

    def all(self, name: str) -> list[Any]:
        """Every value of a field: a number for varints, else bytes."""
        return self._found[name]

    def one(self, name: str) -> Any:
        """The last value, which is the one that counts. Raises ValueError if there is none."""
        if not self._found[name]:
            raise ValueError(f"a {name} is missing")
        return self._found[name][-1]

    def text(self, name: str) -> str:
        """A string; empty if absent."""
        return bytes(self.one(name)).decode() if self._found[name] else ""

    def numbers(self, name: str) -> list[int]:
        """Repeated whole numbers, packed into one value or not."""
        parts = [_varints(value) if isinstance(value, memoryview) else [value] for value in self._found[name]]
        return [_signed(number) for part in parts for number in part]


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """``(field number, value)``: a whole number for varints, else the bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("it ends too early")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, and where the next thing begins."""
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = data[at + place]
        value |= (byte & ~_MORE) << (7 * place)
        if byte < _MORE:
            return value, at + place + 1
    raise ValueError("a number does not end")


def _varints(data: memoryview) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _signed(value: int) -> int:
    """A varint as int64, which protobuf writes in two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value
