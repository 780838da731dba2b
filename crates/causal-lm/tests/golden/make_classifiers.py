"""Tiny random sequence classifiers of one label in the published layout, and the reference's numbers.

Run with transformers 5.24.0 and torch 2.11.0:  python make_classifiers.py
Writes classifier/NAME/{config.json,model.safetensors,golden.safetensors} beside this file. In the golden
file, `ids.K` is text K and `number.K` what the classifier says of it; the last text ends in two tokens of
padding, which the reference reads nothing at.
"""
import pathlib
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, GPTNeoXConfig, LlamaConfig, Qwen2Config

HERE = pathlib.Path(__file__).parent / "classifier"
PAD = 95
BASE = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
            bos_token_id=None, eos_token_id=PAD, pad_token_id=PAD, num_labels=1)
NEOX = {k: v for k, v in BASE.items() if k != "num_key_value_heads"}
ROPE = {"rope_type": "default", "rope_theta": 1000.0}
CONFIGS = {
    "llama": LlamaConfig(**BASE, rope_parameters=ROPE),
    "qwen2": Qwen2Config(**BASE, tie_word_embeddings=True, rope_parameters=ROPE),
    "gpt_neox": GPTNeoXConfig(**NEOX, rope_parameters=ROPE | {"partial_rotary_factor": 0.25}),
}


@torch.no_grad()
def main():
    for seed, (name, config) in enumerate(CONFIGS.items()):
        generator = torch.Generator().manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
        model = model.float().eval()
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 1 and key.endswith("weight"):
                p.copy_(1 + 0.3 * noise)
            else:
                p.copy_(0.3 * noise)
        folder = HERE / name
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        out = {}
        for k, length in enumerate((1, 3, 17, 40)):
            ids = torch.randint(0, PAD, (1, length), generator=generator)
            if k == 3:
                ids[0, -2:] = PAD
            out[f"ids.{k}"] = ids[0]
            out[f"number.{k}"] = model(ids).logits[0]
        save_file({k: v.contiguous() for k, v in out.items()}, folder / "golden.safetensors")
        print(name, [round(float(out[f"number.{k}"]), 4) for k in range(4)])


main()
