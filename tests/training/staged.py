"""`zerosum` as one of several processes, where what rarely happens happens when it is told to.

`python staged.py STAGE ARGUMENT…`; STAGE is JSON. "collapse": [a, b] lets evaluations beyond a
images find a collapse, until there were b restarts; "stall" makes the images seen the first metric;
"diverge": [seed, n] lets the training of that seed diverge beyond n images; "tell" names a file
into which each process writes what it did: the rows that its reader was asked for, a list for each
time, and how many images evaluations have looked at, each time.
`test_distributed.py` starts it.
"""

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

from zerosum.callbacks import monitor
from zerosum.callbacks.monitor import Monitor
from zerosum.cli import main
from zerosum.data.cache import MappedImages
from zerosum.training import distributed
from zerosum.training.loop import Loop
from zerosum.training.torchrun import leave

STAGE = json.loads(sys.argv[1])
judge, require, take = Monitor.__call__, Loop._require_finite_losses, MappedImages.take
see, asked, looked = monitor.in_groups, [], []


def judged(self, history):
    found = judge(self, history)
    if not found.metrics:
        return found
    progress = self.state.progress
    if "stall" in STAGE:
        found = replace(found, metrics={"staged": progress.seen, **found.metrics})
    beyond, restarts = STAGE.get("collapse", (10**9, 0))
    ill = progress.seen > beyond and len(progress.restarts) < restarts
    verdict = {"verdict": "D has won" if ill else "healthy", "why": "as staged."}
    return replace(found, health={**found.health, **verdict})


def required(loop, means):
    seed, beyond = STAGE.get("diverge", (None, 0))
    if loop.schedule.seed == seed and loop.state.progress.seen > beyond:
        raise loop._diverged("it was staged")
    require(loop, means)


def taken(images, rows):
    if threading.current_thread().name.startswith("read-ahead"):  # for the training
        asked.append(rows.tolist())
    return take(images, rows)


def seen(net, images):
    looked.append(len(images))
    return see(net, images)


monitor.in_groups = seen
Monitor.__call__, Loop._require_finite_losses, MappedImages.take = judged, required, taken
exit_code = main.run(sys.argv[2:])
if "tell" in STAGE:
    told = {"asked": asked, "looked": looked}
    Path(f"{STAGE['tell']}-{distributed.rank()}.json").write_text(json.dumps(told))
leave(exit_code)
sys.exit(exit_code)
