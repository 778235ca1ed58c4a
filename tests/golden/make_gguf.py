# Makes quants.gguf with gguf-py (gguf 0.19.0, numpy 2.4.6): for each type a tensor of random blocks, and beside it, as
# F32, what gguf-py's numpy code makes of them; metadata of every type.
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

rng = np.random.default_rng(7)
HALVES = {  # where the half-precision numbers of a block stand
    T.F16: [0], T.BF16: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}


def blocks(kind, count):
    size = gguf.GGML_QUANT_SIZES[kind][1]
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[kind]:
        value = rng.normal(0, 0.05, count)
        half = value.astype(np.float16).view(np.uint16)
        if kind == T.BF16:
            half = (value.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        raw[:, at : at + 2] = half[:, None].view(np.uint8)
    return raw


writer = gguf.GGUFWriter(pathlib.Path(__file__).with_name("quants.gguf"), "golden")
writer.add_uint8("v.u8", 200)
writer.add_int8("v.i8", -100)
writer.add_uint16("v.u16", 60000)
writer.add_int16("v.i16", -30000)
writer.add_uint32("v.u32", 4000000000)
writer.add_int32("v.i32", -2000000000)
writer.add_uint64("v.u64", 2**63)
writer.add_int64("v.i64", -(2**62))
writer.add_float32("v.f32", 0.1)
writer.add_float64("v.f64", 0.1)
writer.add_bool("v.bool", True)
writer.add_string("v.string", "caf\u00e9")
writer.add_array("a.strings", ["one", "", "three"])
writer.add_array("a.i32", [1, -2, 3])
writer.add_array("a.f32", [0.5, -1.5])
for kind in HALVES:
    elements, _ = gguf.GGML_QUANT_SIZES[kind]
    rows, width = (2, 2 * elements) if elements > 1 else (2, 5)
    raw = blocks(kind, rows * width // elements).reshape(rows, -1)
    values = gguf.quants.dequantize(raw, kind).astype(np.float32).reshape(rows, width)
    writer.add_tensor(f"{kind.name}.stored", raw, raw_dtype=kind)
    writer.add_tensor(f"{kind.name}.floats", values)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
