"""TRL's RLOO trainer, and GAE as a plain loop, at the work that `forthright klq bench` measures.

    python klq.py WORK.json rloo|gae

Every line of standard input asks for one iteration of RLHF, or for advantages of one large batch. For
each, one JSON object is printed: the seconds it took and, of an iteration, the parts of them, the
answers, their tokens, and the peak memory of this process so far. Loading, and whatever lies between
two iterations, is not in the seconds. Threads and OpenMP settings come from the environment.

The trainer is as its users start it, with all that is not training switched off: no logs, checkpoints
or evaluation. A batch is one forward and backward pass. Gradient checkpointing, on by default, is off
unless the work asks for it: it saves memory for a third of the training's time.
"""

import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

warnings.simplefilter("ignore")

import torch


def peak_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024


def say(**answer):
    print(json.dumps(answer), flush=True)


def advantages(rewards, values, gamma, gae_lambda):
    last, columns = 0.0, []
    time_steps = rewards.shape[1]
    for t in reversed(range(time_steps)):
        following = values[:, t + 1] if t + 1 < time_steps else 0.0
        delta = rewards[:, t] + gamma * following - values[:, t]
        last = delta + gamma * gae_lambda * last
        columns.append(last)
    return torch.stack(columns[::-1], dim=1)


def gae(batch, length, gamma, gae_lambda, passes):
    with torch.inference_mode():
        numbers = torch.arange(batch * length).view(batch, length)
        rewards = (numbers * 37 % 101).float() / 101 - 0.5
        values = (numbers * 53 % 103).float() / 103 - 0.5
        for _ in sys.stdin:
            times = []
            for _ in range(passes):
                start = time.perf_counter()
                out = advantages(rewards, values, gamma, gae_lambda)
                times.append(time.perf_counter() - start)
            say(seconds=statistics.median(times), mean_square=out.double().square().mean().item(),
                library=f"torch {torch.__version__}")


def rloo(work):
    import datasets
    import transformers
    import trl
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    path = pathlib.Path(work["model"])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.bfloat16)
    # The file's blocks have been turned into plain bf16 matrices; the mark that they were blocks stays.
    model.quantization_method = model.hf_quantizer = None
    model.is_quantized = False
    texts = [tokenizer.decode(ids) for ids in work["prompts"]]
    if tokenizer(texts)["input_ids"] != work["prompts"]:
        sys.exit("the prompts are other tokens here")

    parts, tokens = {"generation": 0.0, "scoring": 0.0}, []

    def reward(completions, completion_ids, **_):
        tokens.extend(len(ids) for ids in completion_ids)
        return [len(completion) / 100 for completion in completions]

    kept = " with checkpointing" if work["peer_checkpointing"] else ""

    class InTurn(TrainerCallback):
        """Before each iteration waits to be asked, and answers after it."""

        def wait(self):
            if not sys.stdin.readline():
                sys.exit()
            parts.update(generation=0.0, scoring=0.0)
            tokens.clear()
            self.start = time.perf_counter()

        def on_train_begin(self, args, state, control, **_):
            self.wait()

        def on_step_end(self, args, state, control, **_):
            if state.global_step % args.num_iterations:
                return
            seconds = time.perf_counter() - self.start
            # Scoring is what making a batch takes beyond generation.
            made, generation = parts["scoring"], parts["generation"]
            say(seconds=seconds, episodes=len(tokens), answer_tokens=sum(tokens), peak_bytes=peak_bytes(),
                parts={"generation": generation, "scoring": made - generation, "training": seconds - made},
                library=f"trl {trl.__version__}{kept}, transformers {transformers.__version__}, "
                        f"torch {torch.__version__}")
            self.wait()

    lora = work["adapter"]
    with tempfile.TemporaryDirectory() as folder:
        trainer = RLOOTrainer(
            model=model,
            reward_funcs=reward,
            processing_class=tokenizer,
            train_dataset=datasets.Dataset.from_dict({"prompt": texts}),
            peft_config=LoraConfig(r=lora["rank"], lora_alpha=lora["alpha"], target_modules=lora["targets"],
                                   lora_dropout=0.0, task_type="CAUSAL_LM"),
            callbacks=[InTurn()],
            args=RLOOConfig(
                output_dir=folder, use_cpu=True, bf16=True, gradient_checkpointing=work["peer_checkpointing"],
                per_device_train_batch_size=len(texts), gradient_accumulation_steps=1,
                num_generations=work["group"], num_iterations=work["epochs"],
                max_completion_length=work["new_tokens"], temperature=1.0, beta=work["kl_coef"],
                learning_rate=work["lr"], lr_scheduler_type="constant", max_steps=10**6,
                logging_strategy="no", save_strategy="no", eval_strategy="no", report_to="none",
                disable_tqdm=True, seed=0,
            ),
        )

        def timed(method, part):
            inner = getattr(trainer, method)

            def outer(*args, **kwargs):
                start = time.perf_counter()
                out = inner(*args, **kwargs)
                parts[part] += time.perf_counter() - start
                return out

            setattr(trainer, method, outer)

        timed("_generate", "generation")
        timed("_generate_and_score_completions", "scoring")
        trainer.train()


def main():
    work = json.loads(pathlib.Path(sys.argv[1]).read_text())
    if sys.argv[2] == "gae":
        gae(**work["gae"])
    else:
        rloo(work)


main()
