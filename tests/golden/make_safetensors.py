# Makes small.safetensors with Hugging Face's library (safetensors 0.8.0, numpy 2.4.6): several types, an empty tensor,
# a scalar, a name beyond ASCII. Our writer must give the same bytes.
import pathlib

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "model.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.half": np.array([0.5, -2.0, 65504.0], dtype=np.float16),
    "b.bytes": np.array([1, 2, 255], dtype=np.uint8),
    "scalar": np.array(-7, dtype=np.int64),
    "z.double": np.array([[0.1]], dtype=np.float64),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "mask": np.array([True, False, True]),
    "caf\u00e9": np.array([3], dtype=np.int32),
}
save_file(tensors, pathlib.Path(__file__).with_name("small.safetensors"), metadata={"format": "pt"})
