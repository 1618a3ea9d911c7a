"""Writes scalars.txt: the bytes of an event file as TensorBoard's own writer makes them, in hexadecimal.

    python3 tests/golden/make_scalars.py > tests/golden/scalars.txt          pip install tensorboard
"""
import io

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

INF, NAN = float("inf"), float("nan")
LONG = "x" * 200
EVENTS = [
    (1700000000.25, 0, [("loss", 4.5)]),
    (1700000001.5, 300, [("loss", 0.1), ("n\u00e4me \u4e2d", -0.0), (LONG, 1e300)]),
    (1700000002.75, 2**40 + 7, [("a", INF), ("b", -INF), ("c", NAN), ("d", 1e-45)]),
]


class Kept(io.BytesIO):
    def close(self):
        pass


kept = Kept()
writer = RecordWriter(kept)
writer.write(Event(wall_time=1700000000.25, file_version="brain.Event:2").SerializeToString())
for time, step, values in EVENTS:
    # protobuf refuses 1e300 as a float; a cast gives infinity
    summary = Summary(value=[Summary.Value(tag=n, simple_value=INF if v == 1e300 else v) for n, v in values])
    writer.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())
text = kept.getvalue().hex()
print("# Made by make_scalars.py, tensorboard 2.21.")
for i in range(0, len(text), 100):
    print(text[i : i + 100])
