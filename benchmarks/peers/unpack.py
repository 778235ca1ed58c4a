# Makes a Hugging Face folder of a .gguf file, in bfloat16: what both sides of a comparison can load. transformers itself does it.
import os
import sys

import torch
import transformers

source, target = sys.argv[1:]
folder, name = os.path.split(source)
unpacked = transformers.GgufConfig(dequantize=True)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16, quantization_config=unpacked)
model.save_pretrained(target + ".new")
transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(target + ".new")
os.rename(target + ".new", target)
