"""What Ray Data's vLLM stage needs of vLLM, with an engine that passes each request on to a server named in TS_ENGINES.

Each process takes one of these servers for itself, for as long as it lives. Nothing here says how vLLM behaves: the
server does.
"""

import dataclasses
import fcntl
import json
import os
import tempfile
import time
import types

import aiohttp

from . import inputs, outputs  # noqa: F401
from .v1.engine.exceptions import EngineDeadError


class AsyncEngineArgs:
    def __init__(self, **kwargs):
        self.kwargs = kwargs

    def create_engine_config(self):
        return types.SimpleNamespace(
            scheduler_config=types.SimpleNamespace(max_num_seqs=self.kwargs.get("max_num_seqs", 256)),
            parallel_config=types.SimpleNamespace(
                pipeline_parallel_size=self.kwargs.get("pipeline_parallel_size", 1)))


class SamplingParams:
    def __init__(self, max_tokens=16, **kwargs):
        self.max_tokens = max_tokens


def take_one(servers):
    """The first server that no other process has; the last one is shared when there are too few."""
    run = os.environ["TS_RUN"]
    for i, server in enumerate(servers):
        lock = open(os.path.join(tempfile.gettempdir(), f"{run}-engine-{i}.lock"), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return server, lock
        except OSError:
            lock.close()
    return servers[-1], None


async def streamed(response, seen):
    """The last chunk of a streamed answer, which has the usage; when each one with a token came is noted in seen."""
    answer = {}
    async for line in response.content:
        if line.startswith(b"data: {"):
            answer = json.loads(line[6:])
            if answer.get("choices"):
                seen.append(time.time())
    return answer


class AsyncLLMEngine:
    @classmethod
    def from_engine_args(cls, args, stat_loggers=None):
        self = cls()
        self.model, self.session = args.kwargs["model"], None
        self.url, self.lock = take_one(os.environ["TS_ENGINES"].split(","))
        return self

    async def generate(self, request_id, prompt, sampling_params, lora_request=None):
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None))
        body = dict(model=self.model, prompt=prompt["prompt_token_ids"], max_tokens=sampling_params.max_tokens,
                    temperature=0, ignore_eos=True)
        if stream := bool(os.environ.get("TS_STREAM")):
            body.update(stream=True, stream_options=dict(include_usage=True))
        begun, seen = time.time(), []
        try:
            async with self.session.post(self.url.rstrip("/") + "/completions", json=body) as response:
                if stream and response.status == 200:
                    answer = await streamed(response, seen)
                else:
                    answer = await response.json(content_type=None)
        except aiohttp.ClientError as e:
            raise EngineDeadError(f"EngineCore encountered an issue: {type(e).__name__}: {e}") from e
        if response.status != 200:
            error = answer.get("error", answer)
            if error.get("type") == "InternalServerError" or response.status >= 500:
                raise EngineDeadError(str(error.get("message")))
            raise ValueError(str(error.get("message")))
        usage, timing = answer["usage"], answer.get("metrics") or {}
        waited = ((timing.get("queue_time_ms") or 0) + (timing.get("time_to_first_token_ms") or 0)) / 1e3
        if seen:
            waited = seen[0] - begun
        yield outputs.RequestOutput(
            request_id=request_id, prompt="", prompt_token_ids=prompt["prompt_token_ids"], finished=True,
            metrics=Timing(waited, [round(b - a, 5) for a, b in zip(seen, seen[1:])]),
            outputs=[outputs.CompletionOutput(text="", token_ids=[0] * usage["completion_tokens"])])

    async def do_log_stats(self):
        pass

    def shutdown(self):
        pass


@dataclasses.dataclass
class Timing:
    first_token_latency: float  # seconds; 0 where the server does not tell
    gaps: list  # between tokens, seconds; only where answers are streamed


@dataclasses.dataclass
class PoolingParams:
    task: str = ""
