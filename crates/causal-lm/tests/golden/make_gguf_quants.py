"""Random blocks of every GGUF type and what the reference makes of them.

Run with gguf 0.17 and numpy:  python make_gguf_quants.py
Writes gguf_quants.safetensors: `bytes.NAME` and `values.NAME`.
"""
import pathlib
import numpy as np
from gguf import GGMLQuantizationType as T, quants
from gguf.constants import GGML_QUANT_SIZES
from safetensors.numpy import save_file

KINDS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where each block's half-precision scales stand: random bytes there would often be NaN.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208]}


def main():
    rng = np.random.default_rng(11)
    out = {}
    for name in KINDS:
        kind = T[name]
        block, size = GGML_QUANT_SIZES[kind]
        count = 1024 // block
        data = rng.integers(0, 256, (count, size), dtype=np.uint8)
        if name in ("F32", "F16", "BF16"):
            plain = rng.normal(size=(1, 1024)).astype(np.float32)
            data = quants.quantize(plain, kind).view(np.uint8)
        for at in SCALES.get(name, []):
            data[:, at:at + 2] = rng.normal(size=(count, 1)).astype(np.float16).view(np.uint8)
        values = quants.dequantize(data.reshape(1, -1) if name not in ("F32", "F16") else
                                   data.view({"F32": np.float32, "F16": np.float16}[name]), kind)
        out[f"bytes.{name}"] = np.ascontiguousarray(data.reshape(-1))
        out[f"values.{name}"] = np.ascontiguousarray(values.reshape(-1).astype(np.float32))
    save_file(out, pathlib.Path(__file__).parent / "gguf_quants.safetensors")


main()
