"""Goldens of Inspect's reader: `make.py verdicts` and `make.py own` beside this file, and
`make.py read LOG` for the test that compares. Needs requirements.txt.

base.json is a log that the tests write: FORTHRIGHT_INSPECT_BASE=$PWD/base.json with the test
`base_log_for_the_goldens`.
"""

import copy
import json
import math
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def accepted(log):
    from inspect_ai.log import read_eval_log

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(log, file)
        file.flush()
        try:
            read_eval_log(file.name)
            return True
        except Exception:
            return False


REMOVED = {
    (): ["version", "status", "eval", "plan", "results", "stats"],
    ("eval",): ["created", "task", "dataset", "model", "config", "task_id", "run_id"],
    ("results", "scores", 0): ["name", "scorer", "metrics"],
    ("results", "scores", 0, "metrics", "mean"): ["name", "value"],
    ("samples", 0): ["id", "epoch", "input", "target", "messages", "output", "scores", "events"],
    ("samples", 0, "messages", 0): ["role", "content"],
    ("samples", 0, "messages", 2): ["role", "content", "tool_calls"],
    ("samples", 0, "messages", 2, "tool_calls", 0): ["id", "function", "arguments", "type"],
    ("samples", 0, "output"): ["model", "choices"],
    ("samples", 0, "output", "choices", 0): ["message", "stop_reason"],
    ("samples", 0, "scores", "reached"): ["value", "answer", "metadata"],
    ("samples", 0, "events", 0): ["event", "sample", "timestamp"],
    ("samples", 0, "events", 1): ["event", "model", "input", "tools", "tool_choice", "config", "output"],
    ("samples", 0, "events", 2): ["event", "id", "function", "arguments"],
}
SET = [
    (("status",), ["done", None, "error"]),
    (("eval", "created"), ["yesterday", 5, "2026-01-31T12:00:00", None]),
    (("eval", "task"), [5, None]),
    (("eval", "model"), [None, 1]),
    (("eval", "config"), [None, [], "x"]),
    (("eval", "dataset"), [None, "x"]),
    (("results",), [None, []]),
    (("results", "scores", 0, "metrics", "mean", "value"), [None, "x"]),
    (("samples",), [None, {}]),
    (("samples", 0, "id"), [5, None, 1.5]),
    (("samples", 0, "epoch"), ["x", None, 1.5]),
    (("samples", 0, "input"), [None, 5, [{"role": "user", "content": "x"}], [{"role": "x", "content": "x"}]]),
    (("samples", 0, "target"), [None, 5, "x", [5]]),
    (("samples", 0, "messages"), [None, "x"]),
    (("samples", 0, "messages", 0, "content"), [None, 5]),
    (("samples", 0, "messages", 0, "role"), ["robot"]),
    (("samples", 0, "metadata"), [None, [], {}]),
    (("samples", 0, "scores"), [None, [], {}]),
    (("samples", 0, "scores", "reached", "value"), [None, "C", True, [1, 2], {"a": 1}, {"a": None}, [[1]], {"a": {}}]),
    (("samples", 0, "scores", "reached", "answer"), [5, None]),
    (("samples", 0, "error"), [{"message": "x"}, {"message": "x", "traceback": "x", "traceback_ansi": "x"}]),
    (("samples", 0, "limit"), [{"type": "turn", "limit": 3}, {"type": "patience", "limit": 3}, {"type": "turn"}]),
    (("samples", 0, "events", 0, "event"), ["party", None]),
    (("samples", 0, "output", "choices", 0, "stop_reason"), ["bored"]),
    (("error",), [{"message": "x"}, None]),
]


def verdicts():
    base = json.loads((HERE / "base.json").read_text())
    assert accepted(base)
    cases = []
    for path, keys in REMOVED.items():
        cases += [{"path": [*path, key]} for key in keys]
    for path, values in SET:
        cases += [{"path": list(path), "set": value} for value in values]
    for case in cases:
        log = copy.deepcopy(base)
        at = log
        for step in case["path"][:-1]:
            at = at[step]
        if "set" in case:
            at[case["path"][-1]] = case["set"]
        else:
            del at[case["path"][-1]]
        case["accepted"] = accepted(log)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "verdicts.json").write_text(f"[\n{lines}\n]\n")


class Words:
    """Stands in for a tokenizer that would be fetched from the network."""

    def encode(self, text, **_):
        return text.split()


def own():
    import tiktoken

    tiktoken.get_encoding = lambda *_: Words()
    tiktoken.encoding_for_model = lambda *_: Words()
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    samples = [
        Sample(id="right", input="Say yes.", target="yes"),
        Sample(id="wrong", input="Say no.", target="no"),
        Sample(id="long", input="word " * 500, target="yes"),
    ]
    for form in ["eval", "json"]:
        with tempfile.TemporaryDirectory() as folder:
            model = get_model(
                "mockllm/model",
                custom_outputs=[ModelOutput.from_content("mockllm/model", "yes")] * 3,
            )
            task = Task(dataset=samples, solver=generate(), scorer=match())
            log = eval(task, model=model, log_dir=folder, log_format=form, display="none")[0]
            name = log.location.removeprefix("file://")
            (HERE / f"own.{form}").write_bytes(pathlib.Path(name).read_bytes())


def read(path):
    from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries

    log = read_eval_log(path, resolve_attachments=True)
    summaries = read_eval_log_sample_summaries(path)
    metrics = {name: metric.value for name, metric in log.results.scores[0].metrics.items()}

    def value(score):
        number = score.value
        return None if isinstance(number, float) and math.isnan(number) else number

    def sample(one):
        inputs = [len(e.input) for e in one.events if e.event == "model"]
        return {
            "id": one.id,
            "epoch": one.epoch,
            "messages": [m.text for m in one.messages],
            "scores": {name: value(score) for name, score in one.scores.items()},
            "error": one.error.message if one.error else None,
            "last_input": inputs[-1],
        }

    told = {
        "status": log.status,
        "metrics": metrics,
        "samples": [sample(one) for one in log.samples],
        "summaries": len(summaries),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    {"verdicts": verdicts, "own": own, "read": lambda: read(sys.argv[2])}[sys.argv[1]]()
