"""Adapters written by the PEFT library for tiny checkpoints, and the logits of the adapted models.

Run with peft, transformers 5.24.0 and torch 2.11.0, after make_tiny.py:  python make_peft.py
Writes peft/NAME/{adapter_config.json,adapter_model.safetensors,golden.safetensors}.

    python make_peft.py check BASE ADAPTER LOGITS

loads an adapter that we wrote and prints the greatest difference of its logits from those in the
file LOGITS (tensors `ids` and `logits`).
"""
import json
import pathlib
import sys

import peft
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
IDS = [5, 17, 3, 88, 41, 7, 7, 60, 12]
CONFIGS = {
    "llama": dict(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "gate_proj", "down_proj"]),
    "qwen3": dict(r=2, lora_alpha=5, use_rslora=True, target_modules="all-linear",
                  rank_pattern={"k_proj": 4, "model.layers.1.mlp.up_proj": 1}, alpha_pattern={"o_proj": 1}),
    "gpt_neox": dict(r=3, lora_alpha=6, target_modules=["query_key_value", "dense", "dense_4h_to_h"]),
}


def base(name):
    return AutoModelForCausalLM.from_pretrained(HERE / name, attn_implementation="eager", dtype=torch.float32)


@torch.no_grad()
def make():
    for seed, (name, settings) in enumerate(CONFIGS.items()):
        generator = torch.Generator().manual_seed(seed)
        model = peft.get_peft_model(base(name), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.copy_(0.3 * torch.randn(p.shape, generator=generator))
        folder = HERE / "peft" / name
        model.save_pretrained(folder)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = name
        config["target_modules"] = sorted(config["target_modules"])
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        (folder / "README.md").unlink(missing_ok=True)
        ids = torch.tensor([IDS])
        save_file({"ids": ids, "logits": model(input_ids=ids).logits[0].contiguous()}, folder / "golden.safetensors")
    print("peft", peft.__version__)


@torch.no_grad()
def check(base_name, adapter, logits):
    model = peft.PeftModel.from_pretrained(base(base_name), adapter)
    golden = load_file(logits)
    found = model(input_ids=golden["ids"].view(1, -1)).logits[0]
    print((found - golden["logits"]).abs().max().item())


if __name__ == "__main__":
    make() if len(sys.argv) == 1 else check(*sys.argv[2:])
