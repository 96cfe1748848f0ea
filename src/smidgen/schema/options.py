"""The options of every builtin operator: the members of ``BuiltinOptions`` and ``...2``."""

from __future__ import annotations

from smidgen.schema.enums import (
    ActivationFunctionType,
    CombinerType,
    CustomOptionsFormat,
    FullyConnectedOptionsWeightsFormat,
    LSHProjectionType,
    LSTMKernelType,
    MirrorPadMode,
    Padding,
    ReduceWindowFunction,
    RngAlgorithm,
    StablehloComparisonDirection,
    StablehloComparisonType,
    TensorType,
)
from smidgen.schema.fields import (
    BOOL,
    BOOLS,
    BYTES,
    DEPRECATED,
    FLOAT32,
    FLOATS,
    INT32,
    INT32S,
    INT64,
    INT64S,
    STRING,
    UINT32,
    UINT32S,
    Table,
    enum,
)

_ACTIVATION = enum(ActivationFunctionType)
_PADDING = enum(Padding)
_TYPE = enum(TensorType)

_NAMES = """
Pad PadV2 SpaceToBatchND BatchToSpaceND TopKV2 Transpose Exp Cos LogSoftmax Dequantize
MaximumMinimum Tile Greater GreaterEqual Less LessEqual Neg Select Slice ExpandDims Equal
NotEqual Rank Pow LogicalOr Abs HardSwish LogicalAnd LogicalNot FloorDiv Square ZerosLike Fill
FloorMod Range SquaredDifference ReverseV2 AddN GatherNd Where MatrixDiag Quantize MatrixSetDiag
NonMaxSuppressionV4 NonMaxSuppressionV5 ScatterNd SelectV2 Densify SegmentSum BroadcastTo Rfft2d
HashtableFind HashtableImport HashtableSize ReadVariable AssignVariable DynamicUpdateSlice
UnsortedSegmentProd UnsortedSegmentMax UnsortedSegmentSum UnsortedSegmentMin ATan2 Sign Bitcast
BitwiseXor RightShift Dilate StablehloShiftLeft
"""
WITHOUT_FIELDS = tuple(Table(f"{name}Options") for name in _NAMES.split())

LAYERS = (
    Table(
        "Conv2DOptions",
        padding=_PADDING,
        stride_w=INT32,
        stride_h=INT32,
        fused_activation_function=_ACTIVATION,
        dilation_w_factor=INT32(1),
        dilation_h_factor=INT32(1),
        quantized_bias_type=_TYPE,
    ),
    Table(
        "Conv3DOptions",
        padding=_PADDING,
        stride_d=INT32,
        stride_w=INT32,
        stride_h=INT32,
        fused_activation_function=_ACTIVATION,
        dilation_d_factor=INT32(1),
        dilation_w_factor=INT32(1),
        dilation_h_factor=INT32(1),
    ),
    Table(
        "DepthwiseConv2DOptions",
        padding=_PADDING,
        stride_w=INT32,
        stride_h=INT32,
        depth_multiplier=INT32,
        fused_activation_function=_ACTIVATION,
        dilation_w_factor=INT32(1),
        dilation_h_factor=INT32(1),
    ),
    Table(
        "TransposeConvOptions",
        padding=_PADDING,
        stride_w=INT32,
        stride_h=INT32,
        fused_activation_function=_ACTIVATION,
        quantized_bias_type=_TYPE,
    ),
    Table(
        "Pool2DOptions",
        padding=_PADDING,
        stride_w=INT32,
        stride_h=INT32,
        filter_width=INT32,
        filter_height=INT32,
        fused_activation_function=_ACTIVATION,
    ),
    Table(
        "FullyConnectedOptions",
        fused_activation_function=_ACTIVATION,
        weights_format=enum(FullyConnectedOptionsWeightsFormat),
        keep_num_dims=BOOL,
        asymmetric_quantize_inputs=BOOL,
        quantized_bias_type=_TYPE,
        quant_spec=BYTES,
    ),
    Table("BatchMatMulOptions", adj_x=BOOL, adj_y=BOOL, asymmetric_quantize_inputs=BOOL),
    Table("L2NormOptions", fused_activation_function=_ACTIVATION),
    Table(
        "LocalResponseNormalizationOptions",
        radius=INT32,
        bias=FLOAT32,
        alpha=FLOAT32,
        beta=FLOAT32,
    ),
)

RECURRENT = (
    Table(
        "SVDFOptions",
        rank=INT32,
        fused_activation_function=_ACTIVATION,
        asymmetric_quantize_inputs=BOOL,
    ),
    Table("RNNOptions", fused_activation_function=_ACTIVATION, asymmetric_quantize_inputs=BOOL),
    Table(
        "SequenceRNNOptions",
        time_major=BOOL,
        fused_activation_function=_ACTIVATION,
        asymmetric_quantize_inputs=BOOL,
    ),
    Table(
        "BidirectionalSequenceRNNOptions",
        time_major=BOOL,
        fused_activation_function=_ACTIVATION,
        merge_outputs=BOOL,
        asymmetric_quantize_inputs=BOOL,
    ),
    Table(
        "LSTMOptions",
        fused_activation_function=_ACTIVATION,
        cell_clip=FLOAT32,
        proj_clip=FLOAT32,
        kernel_type=enum(LSTMKernelType),
        asymmetric_quantize_inputs=BOOL,
    ),
    Table(
        "UnidirectionalSequenceLSTMOptions",
        fused_activation_function=_ACTIVATION,
        cell_clip=FLOAT32,
        proj_clip=FLOAT32,
        time_major=BOOL,
        asymmetric_quantize_inputs=BOOL,
        diagonal_recurrent_tensors=BOOL,
    ),
    Table(
        "BidirectionalSequenceLSTMOptions",
        fused_activation_function=_ACTIVATION,
        cell_clip=FLOAT32,
        proj_clip=FLOAT32,
        merge_outputs=BOOL,
        time_major=BOOL(True),
        asymmetric_quantize_inputs=BOOL,
    ),
)

ELEMENTWISE = (
    Table("AddOptions", fused_activation_function=_ACTIVATION, pot_scale_int16=BOOL(True)),
    Table("SubOptions", fused_activation_function=_ACTIVATION, pot_scale_int16=BOOL(True)),
    Table("MulOptions", fused_activation_function=_ACTIVATION),
    Table("DivOptions", fused_activation_function=_ACTIVATION),
    Table("SoftmaxOptions", beta=FLOAT32),
    Table("LeakyReluOptions", alpha=FLOAT32),
    Table("GeluOptions", approximate=BOOL),
    Table("CastOptions", in_data_type=_TYPE, out_data_type=_TYPE),
    Table("CumsumOptions", exclusive=BOOL, reverse=BOOL),
    Table("FakeQuantOptions", min=FLOAT32, max=FLOAT32, num_bits=INT32, narrow_range=BOOL),
    Table("RandomOptions", seed=INT64, seed2=INT64),
    Table("BucketizeOptions", boundaries=FLOATS),
)

SHAPES = (
    Table("ConcatenationOptions", axis=INT32, fused_activation_function=_ACTIVATION),
    Table(
        "ResizeBilinearOptions",
        new_height=DEPRECATED,
        new_width=DEPRECATED,
        align_corners=BOOL,
        half_pixel_centers=BOOL,
    ),
    Table("ResizeNearestNeighborOptions", align_corners=BOOL, half_pixel_centers=BOOL),
    Table("ReshapeOptions", new_shape=INT32S),
    Table("SqueezeOptions", squeeze_dims=INT32S),
    Table("SpaceToDepthOptions", block_size=INT32),
    Table("DepthToSpaceOptions", block_size=INT32),
    Table("GatherOptions", axis=INT32, batch_dims=INT32),
    Table("ReducerOptions", keep_dims=BOOL),
    Table("SplitOptions", num_splits=INT32),
    Table("SplitVOptions", num_splits=INT32),
    Table(
        "StridedSliceOptions",
        begin_mask=INT32,
        end_mask=INT32,
        ellipsis_mask=INT32,
        new_axis_mask=INT32,
        shrink_axis_mask=INT32,
        offset=BOOL,
    ),
    Table("ArgMaxOptions", output_type=_TYPE),
    Table("ArgMinOptions", output_type=_TYPE),
    Table("SparseToDenseOptions", validate_indices=BOOL),
    Table("ShapeOptions", out_type=_TYPE),
    Table("PackOptions", values_count=INT32, axis=INT32),
    Table("UnpackOptions", num=INT32, axis=INT32),
    Table("OneHotOptions", axis=INT32),
    Table("MirrorPadOptions", mode=enum(MirrorPadMode)),
    Table("UniqueOptions", idx_out_type=enum(TensorType, TensorType.INT32)),
    Table("ReverseSequenceOptions", seq_dim=INT32, batch_dim=INT32),
    Table("ReduceWindowOptions", reduce_function=enum(ReduceWindowFunction, dtype="<i4")),
)

LOOKUPS = (
    Table(
        "ConcatEmbeddingsOptions",
        num_channels=INT32,
        num_columns_per_channel=INT32S,
        embedding_dim_per_channel=INT32S,
    ),
    Table("LSHProjectionOptions", type=enum(LSHProjectionType)),
    Table("SkipGramOptions", ngram_size=INT32, max_skip_size=INT32, include_all_ngrams=BOOL),
    Table("EmbeddingLookupSparseOptions", combiner=enum(CombinerType)),
    Table("HashtableOptions", table_id=INT32, key_dtype=_TYPE, value_dtype=_TYPE),
)

CONTROL = (
    Table("CallOptions", subgraph=UINT32),
    Table("CallOnceOptions", init_subgraph_index=INT32),
    Table("IfOptions", then_subgraph_index=INT32, else_subgraph_index=INT32),
    Table("WhileOptions", cond_subgraph_index=INT32, body_subgraph_index=INT32),
    Table("VarHandleOptions", container=STRING, shared_name=STRING),
)

STABLEHLO = (
    Table(
        "StablehloGatherOptions",
        offset_dims=INT64S,
        collapsed_slice_dims=INT64S,
        start_index_map=INT64S,
        index_vector_dim=INT64,
        slice_sizes=INT64S,
        indices_are_sorted=BOOL,
    ),
    Table("StablehloTransposeOptions", permutation=INT64S),
    Table(
        "StablehloDotGeneralOptions",
        lhs_batching_dimensions=INT64S,
        rhs_batching_dimensions=INT64S,
        lhs_contracting_dimensions=INT64S,
        rhs_contracting_dimensions=INT64S,
        precision_config=UINT32S,
    ),
    Table(
        "StablehloReduceWindowOptions",
        window_dimensions=INT64S,
        window_strides=INT64S,
        base_dilations=INT64S,
        window_dilations=INT64S,
        padding=INT64S,
        body_subgraph_index=INT32,
    ),
    Table("StablehloWhileOptions", cond_subgraph_index=INT32, body_subgraph_index=INT32),
    Table("StablehloSortOptions", dimension=INT64, is_stable=BOOL, comparator_subgraph_index=INT32),
    Table("StablehloConcatenateOptions", dimension=INT64),
    Table("StablehloBroadcastInDimOptions", broadcast_dimensions=INT64S),
    Table(
        "StablehloCompareOptions",
        comparison_direction=enum(StablehloComparisonDirection, dtype="<u4"),
        compare_type=enum(StablehloComparisonType, dtype="<u4"),
    ),
    Table("StablehloDynamicSliceOptions", slice_sizes=INT64S),
    Table(
        "StablehloPadOptions",
        edge_padding_low=INT64S,
        edge_padding_high=INT64S,
        interior_padding=INT64S,
    ),
    Table("StablehloIotaOptions", iota_dimension=INT64),
    Table(
        "StablehloCustomCallOptions",
        call_target_name=STRING,
        has_side_effect=BOOL,
        backend_config=STRING,
        api_version=INT32,
        called_computations=INT32S,
        custom_attributes=BYTES,
    ),
    Table("StablehloReduceOptions", dimensions=INT64S, body_subgraph_index=INT32),
    Table("StablehloSliceOptions", start_indices=INT64S, limit_indices=INT64S, strides=INT64S),
    Table(
        "StablehloConvolutionOptions",
        window_strides=INT64S,
        padding=INT64S,
        lhs_dilation=INT64S,
        rhs_dilation=INT64S,
        window_reversal=BOOLS,
        input_batch_dimension=INT64,
        input_feature_dimension=INT64,
        input_spatial_dimensions=INT64S,
        kernel_input_feature_dimension=INT64,
        kernel_output_feature_dimension=INT64,
        kernel_spatial_dimensions=INT64S,
        output_batch_dimension=INT64,
        output_feature_dimension=INT64,
        output_spatial_dimensions=INT64S,
        feature_group_count=INT64,
        batch_group_count=INT64,
        precision_config=UINT32S,
    ),
    Table(
        "StablehloScatterOptions",
        indices_are_sorted=BOOL,
        update_window_dims=INT64S,
        inserted_window_dims=INT64S,
        scatter_dims_to_operand_dims=INT64S,
        index_vector_dim=INT64,
        unique_indices=BOOL,
        update_computation_subgraph_index=INT32,
    ),
    Table("StablehloCaseOptions", branch_subgraph_indices=INT32S),
    Table("StablehloRngBitGeneratorOptions", algorithm=enum(RngAlgorithm)),
    Table(
        "StableHLOCompositeOptions",
        name=STRING,
        decomposition_subgraph_index=INT32,
        composite_attributes=BYTES,
        composite_attributes_format=enum(CustomOptionsFormat),
        version=INT32,
    ),
)

OPTIONS = (
    *WITHOUT_FIELDS,
    *LAYERS,
    *RECURRENT,
    *ELEMENTWISE,
    *SHAPES,
    *LOOKUPS,
    *CONTROL,
    *STABLEHLO,
)
