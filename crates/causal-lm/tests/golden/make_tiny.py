"""Tiny random checkpoints of every family in the published layout, and the reference's logits.

Run with transformers 5.24.0 and torch 2.11.0:  python make_tiny.py
Writes NAME/{config.json,model.safetensors,golden.safetensors} beside this file. In the golden file,
`ids.K` is prompt K, `logits.K` its f32 logits, `greedy.K` a greedy continuation of 64 tokens and
`gaps.K` the difference of the two greatest logits at each of its steps.
"""
import pathlib
import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, Olmo2Config, Olmo3Config, Qwen2Config, Qwen3Config,
)

HERE = pathlib.Path(__file__).parent
BASE = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
            bos_token_id=None, eos_token_id=None, pad_token_id=None)
NEOX = {k: v for k, v in BASE.items() if k != "num_key_value_heads"} | dict(bos_token_id=0, eos_token_id=0)
CONFIGS = {
    "llama": LlamaConfig(**BASE, tie_word_embeddings=True, rms_norm_eps=1e-5,
                         rope_parameters={"rope_type": "default", "rope_theta": 100000.0}),
    "llama3": LlamaConfig(**BASE, rope_parameters={
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    "llama_linear": LlamaConfig(**BASE, attention_bias=True, mlp_bias=True, rope_parameters={
        "rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0}),
    "qwen2": Qwen2Config(**BASE, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
    "qwen2_sliding": Qwen2Config(**BASE, use_sliding_window=True, sliding_window=7, max_window_layers=1,
                                 rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
    "qwen2_yarn": Qwen2Config(**BASE, rope_parameters={
        "rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 24}),
    "qwen3": Qwen3Config(**BASE, head_dim=16, tie_word_embeddings=True,
                         rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
    "gpt_neox": GPTNeoXConfig(**NEOX, rope_parameters={
        "rope_type": "default", "rope_theta": 1000.0, "partial_rotary_factor": 0.25}),
    "gpt_neox_sequential": GPTNeoXConfig(**NEOX, use_parallel_residual=False, hidden_act="gelu_new",
                                         rope_parameters={"rope_type": "default", "rope_theta": 1000.0,
                                                          "partial_rotary_factor": 0.5}),
    "olmo2": Olmo2Config(**BASE, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
    "olmo3": Olmo3Config(**(BASE | dict(num_hidden_layers=4)), sliding_window=7, rope_parameters={
        "full_attention": {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0,
                           "original_max_position_embeddings": 24, "attention_factor": 1.1},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}),
}


@torch.no_grad()
def main():
    for seed, (name, config) in enumerate(CONFIGS.items()):
        generator = torch.Generator().manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
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
        for k, length in enumerate((3, 17, 40)):
            ids = torch.randint(0, config.vocab_size, (1, length), generator=generator)
            out[f"ids.{k}"] = ids[0]
            out[f"logits.{k}"] = model(ids).logits[0]
            tokens, gaps = [], []
            for _ in range(64):
                top = model(ids).logits[0, -1].topk(2)
                gaps.append(top.values[0] - top.values[1])
                tokens.append(top.indices[0])
                ids = torch.cat([ids, top.indices[:1][None]], 1)
            out[f"greedy.{k}"], out[f"gaps.{k}"] = torch.stack(tokens), torch.stack(gaps)
        save_file({k: v.contiguous() for k, v in out.items()}, folder / "golden.safetensors")
        print(name, float(out["logits.2"].std()))


main()
