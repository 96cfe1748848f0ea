"""The TFLite schema as tables: the model, its graph, its tensors; options are beside it."""

from __future__ import annotations

from smidgen.schema.enums import (
    BuiltinOperator,
    BuiltinOptions,
    BuiltinOptions2,
    CustomOptionsFormat,
    DimensionType,
    QuantizationDetails,
    SparseIndexVector,
    TensorType,
)
from smidgen.schema.fields import (
    BOOL,
    BOOLS,
    BYTES,
    DEPRECATED,
    FLOATS,
    INT8,
    INT32,
    INT32S,
    INT64S,
    STRING,
    UINT32,
    UINT64,
    Ref,
    Refs,
    Table,
    Vector,
    enum,
)
from smidgen.schema.options import OPTIONS

FILE_IDENTIFIER = b"TFL3"
VERSION = 3
"""What ``Model.version`` holds in every file of today."""

BUFFER_ALIGNMENT = 16
"""Runtimes read constants in place with vector instructions, so their data starts at this."""

_MODEL = (
    Table(
        "Model",
        version=UINT32,
        operator_codes=Refs("OperatorCode"),
        subgraphs=Refs("SubGraph"),
        description=STRING,
        buffers=Refs("Buffer"),
        metadata_buffer=INT32S,
        metadata=Refs("Metadata"),
        signature_defs=Refs("SignatureDef"),
        external_buffer_groups=Refs("ExternalBufferGroup"),
        external_buffers=Refs("ExternalBuffer"),
    ),
    Table(
        "OperatorCode",
        deprecated_builtin_code=INT8,
        custom_code=STRING,
        version=INT32(1),
        builtin_code=enum(BuiltinOperator, dtype="<i4"),
    ),
    Table(
        "SubGraph",
        tensors=Refs("Tensor"),
        inputs=INT32S,
        outputs=INT32S,
        operators=Refs("Operator"),
        name=STRING,
        debug_metadata_index=INT32(-1),
    ),
    Table(
        "Operator",
        opcode_index=UINT32,
        inputs=INT32S,
        outputs=INT32S,
        builtin_options=BuiltinOptions,
        custom_options=BYTES,
        custom_options_format=enum(CustomOptionsFormat),
        mutating_variable_inputs=BOOLS,
        intermediates=INT32S,
        large_custom_options_offset=UINT64,
        large_custom_options_size=UINT64,
        builtin_options_2=BuiltinOptions2,
        debug_metadata_index=INT32(-1),
    ),
    Table("Buffer", data=Vector("<u1", BUFFER_ALIGNMENT), offset=UINT64, size=UINT64),
    Table("ExternalBufferGroup", name=STRING),
    Table("ExternalBuffer", id=UINT32, group=UINT32, offset=UINT64, length=UINT64, packing=STRING),
    Table("Metadata", name=STRING, buffer=UINT32),
    Table("TensorMap", name=STRING, tensor_index=UINT32),
    Table(
        "SignatureDef",
        inputs=Refs("TensorMap"),
        outputs=Refs("TensorMap"),
        signature_key=STRING,
        key=DEPRECATED,
        subgraph_index=UINT32,
    ),
)

_TENSOR = (
    Table(
        "Tensor",
        shape=INT32S,
        type=enum(TensorType),
        buffer=UINT32,
        name=STRING,
        quantization=Ref("QuantizationParameters"),
        is_variable=BOOL,
        sparsity=Ref("SparsityParameters"),
        shape_signature=INT32S,
        has_rank=BOOL,
        variant_tensors=Refs("VariantSubType"),
        external_buffer=UINT32,
    ),
    Table(
        "QuantizationParameters",
        min=FLOATS,
        max=FLOATS,
        scale=FLOATS,
        zero_point=INT64S,
        details=QuantizationDetails,
        quantized_dimension=INT32,
    ),
    Table("CustomQuantization", custom=Vector("<u1", 16)),
    Table(
        "BlockwiseQuantization",
        scales=INT32,
        zero_points=INT32,
        block_size=INT32,
        block_shape=INT32S,
    ),
    Table(
        "MultiAxisQuantization",
        scales=INT32,
        zero_points=INT32,
        block_size=INT32,
        quantized_dimensions=INT32S,
    ),
    Table("VariantSubType", shape=INT32S, type=enum(TensorType), has_rank=BOOL),
    Table(
        "SparsityParameters",
        traversal_order=INT32S,
        block_map=INT32S,
        dim_metadata=Refs("DimensionMetadata"),
    ),
    Table(
        "DimensionMetadata",
        format=enum(DimensionType),
        dense_size=INT32,
        array_segments=SparseIndexVector,
        array_indices=SparseIndexVector,
    ),
    Table("Int32Vector", values=INT32S),
    Table("Uint16Vector", values=Vector("<u2", 4)),
    Table("Uint8Vector", values=Vector("<u1", 4)),
)

TABLES: dict[str, Table] = {table.name: table for table in (*_MODEL, *_TENSOR, *OPTIONS)}
"""Every kind of table, by name."""
