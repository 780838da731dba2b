"""Reference numbers of SmolLM2-135M-Instruct in f32.

Run with transformers 5.24.0, torch 2.11.0 and gguf 0.17:  python make_smollm2.py FILE.gguf
Writes smollm2.json (prompts) and smollm2.safetensors. For prompt K: `ids.K`; `logits.K`, at every
position the logits of every 768th token; `last.K`, at the last position those of every 48th;
`lse.K` the logsumexp at every position; `greedy.K`, 64 greedy tokens, and `gaps.K`, the difference of
the two greatest logits before each.
"""
import json, pathlib, sys
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
# Token ids, so that this does not depend on any tokenizer.
PROMPTS = json.loads((HERE / "smollm2_prompts.json").read_text())


@torch.no_grad()
def main():
    path = pathlib.Path(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    out = {}
    for k, ids in enumerate(PROMPTS):
        ids = torch.tensor(ids)[None]
        logits = model(ids).logits[0]
        out[f"ids.{k}"] = ids[0].int()
        out[f"logits.{k}"] = logits[:, ::768]
        out[f"last.{k}"] = logits[-1, ::48]
        out[f"lse.{k}"] = logits.logsumexp(-1)
        tokens, gaps, cache = [], [], None
        for _ in range(64):
            step = model(ids, past_key_values=cache, use_cache=True)
            cache, top = step.past_key_values, step.logits[0, -1].topk(2)
            gaps.append(top.values[0] - top.values[1])
            tokens.append(top.indices[0])
            ids = top.indices[:1][None]
        out[f"greedy.{k}"], out[f"gaps.{k}"] = torch.stack(tokens).int(), torch.stack(gaps)
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "smollm2.safetensors")


main()
