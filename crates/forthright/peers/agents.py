"""Inspect, at the work that `forthright agents bench` measures.

    python agents.py FOLDER

Every line of standard input is a JSON object that says how much to do; for each, one JSON object is
printed: seconds, processor seconds, turns, the mean score, the size of the log, and the peak memory of
this process so far.

The evaluation is as its users start it, with all that costs time and is not the work switched off: no
display, no retries, no log of the program's own messages. The model is Inspect's own mock, whose answers
bring their token counts along, so that no counter is loaded; the tool is a function in this process; as
many samples run at a time as on the other side; the log is Inspect's default format on the disk.
"""

import json
import os
import pathlib
import shutil
import sys
import time
import warnings

warnings.simplefilter("ignore")
os.environ["INSPECT_DISPLAY"] = "none"
os.environ["INSPECT_LOG_LEVEL"] = "error"

import inspect_ai
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import generate, system_message, use_tools
from inspect_ai.tool import ToolCall, tool


def peak_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024


@tool
def add():
    async def execute(by: int):
        """Adds to the total.

        Args:
            by: How much.
        """
        return "added"

    return execute


@scorer(metrics=[mean()])
def added():
    async def score(state, target):
        return Score(value=1.0 if any(m.role == "tool" for m in state.messages) else 0.0)

    return score


def scripted(calls):
    def answer(messages, tools, tool_choice, config):
        done = sum(m.role == "tool" for m in messages)
        if done < calls:
            call = ToolCall(id=f"call-{done}", function="add", arguments={"by": 1})
            message = ChatMessageAssistant(content="", tool_calls=[call], source="generate")
            reason = "tool_calls"
        else:
            message = ChatMessageAssistant(content="done", source="generate")
            reason = "stop"
        usage = ModelUsage(input_tokens=100, output_tokens=10, total_tokens=110)
        choice = ChatCompletionChoice(message=message, stop_reason=reason)
        return ModelOutput(model="scripted", choices=[choice], usage=usage)

    return answer


def run(work, folder):
    shutil.rmtree(folder, ignore_errors=True)
    asks = "Add ten times, then say that you are done."
    task = Task(
        dataset=[Sample(id=str(i), input=asks) for i in range(work["samples"])],
        solver=[
            system_message("You add numbers with a tool."),
            use_tools(add()),
            generate(tool_calls="loop"),
        ],
        scorer=added(),
        name="adding",
    )
    model = get_model("mockllm/model", custom_outputs=scripted(work["calls"]), memoize=False)
    start, cpu = time.perf_counter(), time.process_time()
    [log] = inspect_ai.eval(
        task,
        model=model,
        log_dir=str(folder),
        max_samples=work["concurrent"],
        max_connections=work["concurrent"],
        display="none",
    )
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    assert log.status == "success", log.error
    turns = sum(sum(m.role == "assistant" for m in s.messages) for s in log.samples)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "samples": len(log.samples),
        "turns": turns,
        "score": log.results.scores[0].metrics["mean"].value,
        "log_bytes": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
        "peak_bytes": peak_bytes(),
        "library": f"inspect_ai {inspect_ai.__version__}",
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), folder)), flush=True)


main()
