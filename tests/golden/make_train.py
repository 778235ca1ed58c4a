# Writes train.json: AdamW steps of torch.optim.AdamW with clip_grad_norm_, and learning rates of transformers' schedules.
import json
import pathlib

import torch
import transformers
from transformers import get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup


def adamw(dtype):
    """Two tensors (a matrix with decay, a vector without), five steps on gradients that stand in the file."""
    generator = torch.Generator().manual_seed(7)
    matrix = torch.nn.Parameter(torch.randn(3, 2, generator=generator, dtype=torch.float64).to(dtype))
    vector = torch.nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64).to(dtype))
    record = {"matrix": matrix.tolist(), "vector": vector.tolist(), "steps": []}
    optimizer = torch.optim.AdamW(
        [{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}],
        lr=0.01, betas=(0.8, 0.95), eps=1e-6)
    for step in range(5):
        matrix.grad = (torch.randn(3, 2, generator=generator, dtype=torch.float64) * 2**step / 4).to(dtype)
        vector.grad = (torch.randn(4, generator=generator, dtype=torch.float64) * 2**step / 4).to(dtype)
        entry = {"matrix_grad": matrix.grad.tolist(), "vector_grad": vector.grad.tolist()}
        entry["norm"] = float(torch.nn.utils.clip_grad_norm_([matrix, vector], 1.0))
        optimizer.step()
        entry.update(matrix=matrix.tolist(), vector=vector.tolist())
        record["steps"].append(entry)
    return record


def rates(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return values


schedules = []
for steps, warmup in [(10, 0), (10, 3), (7, 7), (1, 0), (12, 1)]:
    schedules.append({
        "steps": steps, "warmup": warmup,
        "constant": rates(lambda o: get_constant_schedule_with_warmup(o, warmup), steps),
        "linear": rates(lambda o: get_linear_schedule_with_warmup(o, warmup, steps), steps),
        "cosine": rates(lambda o: get_cosine_schedule_with_warmup(o, warmup, steps), steps),
    })

golden = {
    "made_by": f"make_train.py with torch {torch.__version__}, transformers {transformers.__version__}",
    "adamw_double": adamw(torch.float64),
    "adamw_float": adamw(torch.float32),
    "schedules": schedules,
}
pathlib.Path(__file__).with_name("train.json").write_text(json.dumps(golden, indent=1) + "\n")
