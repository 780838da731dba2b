"""Losses and gradient norms of a few full fine-tuning steps of tiny checkpoints.

Run with transformers 5.24.0 and torch 2.11.0, after make_tiny.py:  python make_finetune.py > finetune.json
All examples are in one batch, padded on the right; only tokens marked with 1 count. The loss of a
step is taken before it; the last one after all steps. AdamW, learning rate 1e-2, weight decay 0.1
on matrices, gradients clipped at norm 1.
"""
import json
import pathlib

import torch
import transformers
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
EXAMPLES = [
    ([5, 17, 3, 88, 41, 7, 7, 60, 12], [0, 0, 0, 1, 1, 1, 0, 1, 1]),
    ([9, 9, 2, 33], [0, 1, 1, 1]),
    ([70, 71, 72, 73, 74, 75], [0, 0, 0, 0, 1, 1]),
]
STEPS = 4

out = {"transformers": transformers.__version__, "torch": torch.__version__, "examples": EXAMPLES, "runs": {}}
for name in ["llama", "llama_linear", "qwen2_sliding", "qwen3", "gpt_neox", "olmo2", "olmo3"]:
    model = AutoModelForCausalLM.from_pretrained(HERE / name, attn_implementation="eager", dtype=torch.float32)
    longest = max(len(ids) for ids, _ in EXAMPLES)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in EXAMPLES])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in EXAMPLES])
    labels = torch.tensor([[t if c else -100 for t, c in zip(ids, counts)] + [-100] * (longest - len(ids))
                           for ids, counts in EXAMPLES])
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                   {"params": vectors, "weight_decay": 0.0}], lr=1e-2)
    losses, norms = [], []
    for step in range(STEPS + 1):
        logits = model(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        losses.append(loss.item())
        if step == STEPS:
            break
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        optimizer.zero_grad()
    out["runs"][name] = {"losses": losses, "norms": norms}
print(json.dumps(out))
