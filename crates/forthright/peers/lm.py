"""The reference library at the work that `forthright lm bench` measures.

    python lm.py FILE.gguf DTYPE

DTYPE is float32 or bfloat16. Every line of standard input is a case: load, generate:BATCH or
train:BATCHxLENGTH. For each, one JSON object is printed: the time of one run in seconds, the tokens
it made or read, and the peak memory of this process so far. A case is warmed up when it first comes.
Threads and OpenMP settings come from the environment.
"""

import json
import pathlib
import resource
import sys
import time

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
PROMPT, TOKENS = 16, 64
PATH, DTYPE = pathlib.Path(sys.argv[1]), getattr(torch, sys.argv[2])


def load():
    return AutoModelForCausalLM.from_pretrained(PATH.parent, gguf_file=PATH.name, dtype=DTYPE)


def token_ids(model, batch, length):
    vocab = model.config.vocab_size
    return torch.tensor([[(t * 37 + row * 101) % vocab for t in range(length)] for row in range(batch)])


def generate(model, batch, tokens=TOKENS):
    model.eval()
    ids = token_ids(model, batch, PROMPT)
    with torch.inference_mode():
        model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens,
                       min_new_tokens=tokens, pad_token_id=0)
    return batch * tokens


def train(model, shape):
    batch, length = map(int, shape.split("x"))
    ids = token_ids(model, batch, length)
    model.train()
    model.zero_grad(set_to_none=True)
    model(input_ids=ids, labels=ids).loss.backward()
    return batch * length


def main():
    model, seen = None, set()
    for line in sys.stdin:
        case = line.strip()
        name, _, size = case.partition(":")
        start = time.perf_counter()
        tokens = 0
        if name == "load":
            model = load()
        elif name == "generate":
            if case not in seen:
                generate(model, int(size), 8)
                start = time.perf_counter()
            tokens = generate(model, int(size))
        elif name == "train":
            if case not in seen:
                train(model, size)
                start = time.perf_counter()
            tokens = train(model, size)
        else:
            sys.exit(f"unknown case {case}")
        seconds = time.perf_counter() - start
        seen.add(case)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "tokens": tokens, "peak_bytes": peak,
                          "library": f"transformers {transformers.__version__}, torch {torch.__version__}"}),
              flush=True)


main()
