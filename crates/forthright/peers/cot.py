"""transformers, at the work that `forthright cot bench` measures.

    python cot.py WORK.json plain|batched

Every line of standard input asks for one measurement of all examples. Of each example the model first
generates its chain and answer from the prompt, greedily and a fixed number of tokens long; then the
recorded answer is scored after each of four texts, the original one and three edited ones. One JSON
object is printed: the seconds all that took, the parts of them, the log-probabilities, the new tokens,
and the peak memory of this process so far. Threads and OpenMP settings come from the environment.

plain is what one writes down first: one example and one text at a time, and logits of all positions.
batched does all prompts at once and texts of about a length together, padded on the left, with logits of
the answers alone.
"""

import json
import os
import pathlib
import sys
import time
import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
# Texts that are scored together.
ROWS = 16


def peak_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024


def left_padded(rows):
    """Tokens and mask of rows that end together."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def generate(model, prompts, tokens):
    ids, mask = left_padded(prompts)
    out = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, pad_token_id=0)
    return out[:, ids.shape[1]:].tolist()


def answer_log_prob(logits, answer):
    """Of logits at the places before each of an answer's tokens."""
    log_probs = logits.float().log_softmax(-1)
    return log_probs.gather(-1, torch.tensor(answer)[:, None]).sum().item()


def plain(model, examples, tokens):
    start = time.perf_counter()
    said = [generate(model, [example["prompt"]], tokens)[0] for example in examples]
    generated = time.perf_counter()
    found = []
    for example in examples:
        answer, of_example = example["answer"], []
        for text in example["texts"]:
            logits = model(input_ids=torch.tensor([text + answer])).logits[0]
            of_example.append(answer_log_prob(logits[len(text) - 1:-1], answer))
        found.append(of_example)
    return start, generated, said, found


def batched(model, examples, tokens):
    start = time.perf_counter()
    said = generate(model, [example["prompt"] for example in examples], tokens)
    generated = time.perf_counter()
    rows = [(i, j, text + example["answer"]) for i, example in enumerate(examples)
            for j, text in enumerate(example["texts"])]
    rows.sort(key=lambda row: len(row[2]))
    found = [[0.0] * len(example["texts"]) for example in examples]
    for first in range(0, len(rows), ROWS):
        some = rows[first:first + ROWS]
        ids, mask = left_padded([row for _, _, row in some])
        places = (mask.cumsum(1) - 1).clamp(min=0)
        keep = 1 + max(len(examples[i]["answer"]) for i, _, _ in some)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=places, logits_to_keep=keep).logits
        for (i, j, _), of_row in zip(some, logits):
            answer = examples[i]["answer"]
            found[i][j] = answer_log_prob(of_row[-len(answer) - 1:-1], answer)
    return start, generated, said, found


def main():
    work = json.loads(pathlib.Path(sys.argv[1]).read_text())
    measure = {"plain": plain, "batched": batched}[sys.argv[2]]
    path = pathlib.Path(work["model"])
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name,
                                                 dtype=getattr(torch, work["dtype"]))
    # As many new tokens on both sides: nothing ends an answer early.
    model.generation_config.eos_token_id = None
    library = f"transformers {transformers.__version__} {sys.argv[2]}, torch {torch.__version__}"
    with torch.inference_mode():
        for _ in sys.stdin:
            start, generated, said, found = measure(model, work["examples"], work["new_tokens"])
            end = time.perf_counter()
            print(json.dumps({
                "seconds": end - start, "generation": generated - start, "scoring": end - generated,
                "examples": len(said), "said": said, "log_probs": found, "peak_bytes": peak_bytes(),
                "library": library,
            }), flush=True)


main()
