"""Adapters written by the PEFT library for tiny checkpoints, and the logits of the adapted models.

Run with peft, transformers 5.24.0 and torch 2.11.0, after make_tiny.py:  python make_peft.py
Writes peft/NAME/{adapter_config.json,adapter_model.safetensors,golden.safetensors}.

    python make_peft.py check

has adapters written by us (`cargo run -p causal-lm --example write_adapter`) for the same checkpoints,
loads them, and writes to peft/ours.json the greatest difference of the reference's logits from ours,
and that of the adapted logits from those of the checkpoint alone. It fails where the first is over 2e-4.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
TOLERANCE = 2e-4
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
def check():
    found = {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    for name in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            command = ["cargo", "run", "--quiet", "--package", "causal-lm", "--example", "write_adapter", "--"]
            subprocess.run([*command, HERE / name, folder], cwd=HERE, check=True)
            ours = load_file(pathlib.Path(folder, "logits.safetensors"))
            ids = ours["ids"].view(1, -1)
            plain = base(name)(input_ids=ids).logits[0]
            model = peft.PeftModel.from_pretrained(base(name), folder)
            # Loading leaves a tensor out silently if its name is not known.
            written = {k for k in load_file(pathlib.Path(folder, "adapter_model.safetensors"))}
            known = set(peft.get_peft_model_state_dict(model))
            assert written == known, (name, written ^ known)
            theirs = model(input_ids=ids).logits[0]
        difference = (theirs - ours["logits"]).abs().max().item()
        effect = (theirs - plain).abs().max().item()
        found[name] = {"difference": difference, "effect": effect, "tensors": len(written)}
        print(name, found[name])
        assert difference <= TOLERANCE < effect, name
    (HERE / "peft" / "ours.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    check() if sys.argv[1:] == ["check"] else make()
