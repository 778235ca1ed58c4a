# Tokens a second of transformers.generate with the weights, prompts, batches and number type of benchmarks/generate.cpp.
# Needs: pip install torch transformers accelerate
import argparse
import os
import time

import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("model", help="Hugging Face folder")
parser.add_argument("--dtype", default="bfloat16")
parser.add_argument("--batch", default="32,8,1")
parser.add_argument("--new-tokens", type=int, default=64)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--threads", type=int, default=os.cpu_count())
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(0)

if arguments.model.endswith(".gguf"):
    parser.error("transformers keeps a .gguf packed and unpacks it in every product: give a folder, whose weights both hold as they are")
transformers.utils.logging.disable_progress_bar()
model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=getattr(torch, arguments.dtype)).eval()
print(f"transformers {transformers.__version__}, torch {torch.__version__}, {arguments.dtype}, {arguments.threads} threads,"
      f" attention {model.config._attn_implementation}")


def prompts(count):
    """Left-padded: ids and mask."""
    vocabulary = model.config.vocab_size
    lists = [[(i * 7919 + j * 104729 + 13) % vocabulary for j in range(12 + i * 5 % 9)] for i in range(count)]
    longest = max(map(len, lists))
    ids = torch.tensor([[0] * (longest - len(x)) + x for x in lists])
    mask = torch.tensor([[0] * (longest - len(x)) + [1] * len(x) for x in lists])
    return ids, mask


def write(count, new_tokens):
    ids, mask = prompts(count)
    with torch.inference_mode():
        result = model.generate(ids, attention_mask=mask, max_new_tokens=new_tokens, do_sample=True, temperature=1.0, top_k=0,
                                top_p=1.0, eos_token_id=None, pad_token_id=0)
    return result.shape[1] - ids.shape[1]


model.generation_config.eos_token_id = None  # no text ends before it is full
write(2, 4)
for batch in map(int, arguments.batch.split(",")):
    best = float("inf")
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        written = write(batch, arguments.new_tokens)
        best = min(best, time.perf_counter() - begin)
        assert written == arguments.new_tokens, written
    print(f"batch {batch}: {batch * arguments.new_tokens / best:.1f} tokens/s", flush=True)
