"""Writes events.tfevents: what TensorBoard's own classes make of the events that `run::events` tests.

Needs tensorboard (made with 2.21.0): python make_events.py
"""

import pathlib

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

WALL_TIME = 1_700_000_000.25


def scalars(step, values):
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in values]
    return Event(wall_time=WALL_TIME, step=step, summary=Summary(value=values))


with open(pathlib.Path(__file__).with_name("events.tfevents"), "wb") as file:
    writer = RecordWriter(file)
    for event in [
        Event(wall_time=WALL_TIME, file_version="brain.Event:2"),
        scalars(0, [("loss", 2.5)]),
        # In the order of the names.
        scalars(300, [("kl/k1", 0.125), ("loss", -1e-3)]),
    ]:
        writer.write(event.SerializeToString())
