"""Runs one command with many argument lists, one process a Ray worker, all begun at the same instant.

The argument lists come as JSON in TS_ARGS. Each process writes a journal; it is printed line by line when the process
has ended, so that what comes back is what was counted, not a summary of it:

  TS_JOURNAL {worker, line}
  TS_WORKER  {worker, code, stderr, begun, node}
"""

import json
import os
import subprocess
import tempfile
import time

import ray


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
class Sender:
    def ready(self):
        return os.uname().nodename

    def send(self, at, args):
        time.sleep(max(0, at - time.time()))
        begun = time.time()
        with tempfile.TemporaryDirectory() as folder:
            journal = os.path.join(folder, "journal")
            done = subprocess.run(["./symbiote", *args, "-journal", journal], capture_output=True, text=True)
            lines = open(journal).read().splitlines() if os.path.exists(journal) else []
        return dict(code=done.returncode, stderr=done.stderr[-2000:], begun=begun, node=self.ready()), lines


def say(what, **fields):
    """One call a line, on a line of its own: others write to the same log."""
    os.write(1, f"\nTS_{what} {json.dumps(fields)}\n".encode())


def main():
    ray.init(log_to_driver=False)
    args = json.loads(os.environ["TS_ARGS"])
    senders = [Sender.remote() for _ in args]
    ray.get([s.ready.remote() for s in senders], timeout=float(os.environ["TS_READY_S"]))
    at = time.time() + 1
    for i, (told, lines) in enumerate(ray.get([s.send.remote(at, a) for s, a in zip(senders, args)])):
        for line in lines:
            say("JOURNAL", worker=i, line=line)
        say("WORKER", **told, worker=i)


if __name__ == "__main__":
    main()
