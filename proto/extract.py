"""Writes the .proto files beside it from the descriptors inside the wheels of coremltools and onnx.

    python proto/extract.py       needs Tests/Fixtures/requirements.txt (coremltools 9.0, onnx 1.23.0)

The wheel of coremltools has no .proto files, but its Python modules carry their descriptors. What Viseme has no use
for is left out; Protocol Buffers keep unknown fields, so a file that has more of them still survives a round trip.
"""
from __future__ import annotations

from pathlib import Path

import onnx
from coremltools.proto import FeatureTypes_pb2, MIL_pb2, Model_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto

HERE = Path(__file__).parent
EVERYTHING = None

APPLE = """\
// Copyright (c) {years} Apple Inc. All rights reserved.
//
// Use of this source code is governed by a BSD-3-clause license: its text is in NOTICE, and in the file LICENSE.txt of
// coremltools, https://opensource.org/licenses/BSD-3-Clause
//
// Printed by extract.py from the descriptor inside coremltools 9.0{cut}.
"""
ONNX = """\
// SPDX-License-Identifier: Apache-2.0
//
// Copyright (c) ONNX Project Contributors. Licensed under the Apache License, Version 2.0: see LICENSE.
//
// Printed by extract.py from the descriptor inside onnx 1.23.0, cut to what Viseme reads and writes: changed from the original.
"""

# name of the file: (descriptor, notice, prefix of the Swift names where the default is unwieldy, imports, what is kept of the messages named)
FILES = {
    "MIL.proto": (MIL_pb2, APPLE.format(years="2019", cut=""), "MILSpec", [], EVERYTHING),
    "FeatureTypes.proto": (FeatureTypes_pb2, APPLE.format(years="2017", cut=""), "CoreMLSpec", [], EVERYTHING),
    "Model.proto": (Model_pb2, APPLE.format(years="2017", cut=", cut to ML Programs"), "CoreMLSpec", ["FeatureTypes.proto", "MIL.proto"], {
        "FeatureDescription": EVERYTHING, "Metadata": EVERYTHING, "FunctionDescription": EVERYTHING, "ModelDescription": EVERYTHING,
        "Model": {"specificationVersion", "description", "isUpdatable", "mlProgram"}}),
    "onnx.proto": (onnx.onnx_ml_pb2, ONNX, None, [], {
        "AttributeProto": {"name", "ref_attr_name", "doc_string", "type", "f", "i", "s", "t", "floats", "ints", "strings", "AttributeType"},
        "ValueInfoProto": {"name", "type", "doc_string"},
        "NodeProto": {"input", "output", "name", "op_type", "domain", "attribute", "doc_string"},
        "ModelProto": {"ir_version", "opset_import", "producer_name", "producer_version", "domain", "model_version", "doc_string", "graph", "metadata_props"},
        "StringStringEntryProto": EVERYTHING,
        "GraphProto": {"node", "name", "initializer", "doc_string", "input", "output", "value_info"},
        "TensorProto": {"dims", "data_type", "float_data", "int32_data", "int64_data", "name", "doc_string", "raw_data", "external_data",
                        "data_location", "double_data", "uint64_data", "DataType", "DataLocation"},
        "TensorShapeProto": EVERYTHING,
        "TypeProto": {"tensor_type", "Tensor"},
        "OperatorSetIdProto": EVERYTHING}),
}
SCALARS = {Field.TYPE_DOUBLE: "double", Field.TYPE_FLOAT: "float", Field.TYPE_INT64: "int64", Field.TYPE_UINT64: "uint64", Field.TYPE_INT32: "int32",
           Field.TYPE_BOOL: "bool", Field.TYPE_STRING: "string", Field.TYPE_BYTES: "bytes", Field.TYPE_UINT32: "uint32"}


def type_name(field, package: str) -> str:
    if field.type in (Field.TYPE_MESSAGE, Field.TYPE_ENUM):
        return field.type_name.removeprefix("." + package + ".").removeprefix(".CoreML.Specification.")
    return SCALARS[field.type]


def field_line(field, package: str, proto2: bool, maps: dict, in_oneof: bool) -> str:
    entry = maps.get(field.type_name.rsplit(".", 1)[-1]) if field.type == Field.TYPE_MESSAGE else None
    if entry:
        key, value = (type_name(f, package) for f in entry.field)
        return f"map<{key}, {value}> {field.name} = {field.number};"
    label = "repeated " if field.label == Field.LABEL_REPEATED else "optional " if proto2 and not in_oneof else ""
    options = " [packed = true]" if field.options.packed else ""
    assert field.label != Field.LABEL_REQUIRED and not field.default_value and not field.proto3_optional, field
    return f"{label}{type_name(field, package)} {field.name} = {field.number}{options};"


def enum_lines(enum, indent: str) -> list[str]:
    return [f"{indent}enum {enum.name} {{", *(f"{indent}    {v.name} = {v.number};" for v in enum.value), f"{indent}}}"]


def message_lines(message, package: str, proto2: bool, kept, indent: str = "") -> list[str]:
    inner = indent + "    "
    lines = [f"{indent}message {message.name} {{"]
    maps = {n.name: n for n in message.nested_type if n.options.map_entry}
    for enum in message.enum_type:
        if kept is EVERYTHING or enum.name in kept:
            lines += enum_lines(enum, inner)
    for nested in message.nested_type:
        if nested.name not in maps and (kept is EVERYTHING or nested.name in kept):
            lines += message_lines(nested, package, proto2, EVERYTHING, inner)
    done = set()
    for field in message.field:
        if kept is not EVERYTHING and field.name not in kept:
            continue
        if field.HasField("oneof_index"):
            if field.oneof_index in done:
                continue
            done.add(field.oneof_index)
            members = [f for f in message.field if f.HasField("oneof_index") and f.oneof_index == field.oneof_index and (kept is EVERYTHING or f.name in kept)]
            lines += [f"{inner}oneof {message.oneof_decl[field.oneof_index].name} {{",
                      *(f"{inner}    {field_line(f, package, proto2, maps, True)}" for f in members), f"{inner}}}"]
        else:
            lines.append(inner + field_line(field, package, proto2, maps, False))
    assert kept is EVERYTHING or kept <= {f.name for f in message.field} | {n.name for n in message.nested_type} | {e.name for e in message.enum_type}, message.name
    return lines + [indent + "}"]


def main() -> None:
    for name, (module, notice, prefix, imports, kept) in FILES.items():
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        proto2 = file.syntax in ("", "proto2")
        lines = [notice, f'syntax = "{"proto2" if proto2 else file.syntax}";', "", f"package {file.package};"]
        lines += ["", f'option swift_prefix = "{prefix}";'] if prefix else []
        lines += [""] * bool(imports) + [f'import "{i}";' for i in imports]
        for enum in file.enum_type:
            if kept is EVERYTHING or enum.name in kept:
                lines += ["", *enum_lines(enum, "")]
        for message in file.message_type:
            if kept is EVERYTHING or message.name in kept:
                lines += ["", *message_lines(message, file.package, proto2, kept[message.name] if kept else EVERYTHING)]
        (HERE / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
