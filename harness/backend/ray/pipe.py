"""Runs one Ray Data LLM pipeline and prints what became of every row.

Configuration comes as JSON in TS_CONFIG, rows as rows.jsonl beside this file: [row, output tokens, [[source, from,
length], ...], due], where token from+i of the text `source` is the same in every row, and the vLLM stage holds a row
until it is due, in seconds from its first. Printed, one JSON object a line:
  TS_START {ray, at}               execution begins; all instants are time.time() of the worker that says so
  TS_SENT  {row, at, actor}        a request left for the server, retries and recomputed rows too
  TS_ROW   {row, submit, start, end, status, prompt, output, error, actor; wait for the first token, gaps: if known}
  TS_DONE  {rows, at}  or  TS_ERROR {type, msg}, and exit code 3
Ray ends a driver by SystemExit, so nothing here catches more than Exception.
"""

import asyncio
import contextlib
import contextvars
import functools
import json
import os
import re
import threading
import time
import types

import aiohttp
import numpy as np
import ray
import ray.data.llm as llm

build_processor = getattr(llm, "build_processor", None) or llm.build_llm_processor  # the old name


def say(what, **fields):
    """One call a line, on a line of its own: others write to the same log."""
    os.write(1, f"\nTS_{what} {json.dumps(fields)}\n".encode())


def actor_name():
    return f"{os.uname().nodename}:{os.getpid()}"


def token_ids(segments, salt):
    """Tokens that depend on text and position alone, so that rows share prefixes exactly where they share text."""
    ids = []
    for source, start, length in segments:
        x = np.arange(start, start + length, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64((source + salt) * 0xD1342543DE82EF95 & 0xFFFFFFFFFFFFFFFF)
        x = (x ^ x >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
        ids += ((x >> np.uint64(33)) % np.uint64(20000) + np.uint64(100)).tolist()
    return ids


@ray.remote(num_cpus=0, max_concurrency=4)
class Ledger:  # outlives the actors that send, so that a request whose actor died is still known
    notes = []
    def note(self, *row_at_actor):
        self.notes.append(row_at_actor)
    def drain(self):
        notes, self.notes = self.notes, []
        return notes


@contextlib.asynccontextmanager
async def session(ledger, timeout):
    """Stands between Ray's HTTP stage and aiohttp and notes when a request is sent and when its answer is complete."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as inner:
        async def post(url, headers, data):
            row, start = int(re.search(r'"user": "[^"]*/(\d+)"', data).group(1)), time.time()
            ledger.note.remote(row, start, actor_name())
            response = await inner.post(url, headers=headers, data=data)
            response.json = functools.partial(told, response.json, response.status, start)
            return response
        yield types.SimpleNamespace(post=post)


async def told(read, status, start):
    body = await read()
    usage, m, error = body.get("usage") or {}, body.get("metrics") or {}, body.get("error") or (status >= 400 and body)
    return {"ts": json.dumps(dict(  # one column of text: Ray would merge answers of different shapes into one schema
        start=start, end=time.time(), status=status, actor=actor_name(), error=error and json.dumps(error) or None,
        prompt=usage.get("prompt_tokens", 0), output=usage.get("completion_tokens", 0),
        wait=((m.get("queue_time_ms") or 0) + (m.get("time_to_first_token_ms") or 0)) / 1e3))}


def http_processor(cfg, ledger, pool):
    def preprocess(row):
        return dict(submit=time.time(), payload=dict(
            cfg["body"], user=f"{cfg['tag']}/{row['row']}", model=cfg["model"], max_tokens=row["output"],
            prompt=token_ids(json.loads(row["segments"]), cfg["salt"])))

    def postprocess(row):
        return dict(row=row["row"], ts=json.dumps(dict(json.loads(row["http_response"]["ts"]), submit=row["submit"])))

    config = llm.HttpRequestProcessorConfig(
        url=cfg["url"], headers=cfg["headers"], batch_size=cfg["batch_size"], concurrency=pool, qps=cfg["qps"] or None,
        max_retries=cfg["max_retries"], base_retry_wait_time_in_s=cfg["base_retry_wait_s"],
        session_factory=functools.partial(session, ledger, cfg["row_timeout_s"]))
    return build_processor(config, preprocess=preprocess, postprocess=postprocess)


def vllm_processor(cfg, ledger, pool):
    from ray.llm._internal.batch.stages.vllm_engine_stage import vLLMEngineStageUDF

    class Timed(vLLMEngineStageUDF):
        """Ray's own stage; it also says when each row was handed over, passed the semaphore and ended."""
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.begun, self.current, self.generate = None, contextvars.ContextVar("row"), self.llm._generate_async
            self.llm._generate_async = self.timed

        async def timed(self, request):
            times = self.current.get()
            times["start"] = time.time()
            ledger.note.remote(times["row"], times["start"], actor_name())
            try:
                out = await self.generate(request)
                times.update(wait=getattr(out.metrics, "first_token_latency", 0), gaps=getattr(out.metrics, "gaps", []))
                return out
            finally:
                times["end"] = time.time()

        async def _generate_with_error_handling(self, row, batch_uuid):
            self.begun = self.begun or time.time()
            submit = self.begun + row["due"] if row["due"] else time.time()
            self.current.set(times := dict(row=int(row["row"]), submit=submit, actor=actor_name()))
            await asyncio.sleep(submit - time.time())
            out = await super()._generate_with_error_handling(row, batch_uuid)
            return {**out, "times": json.dumps(times)}

    def preprocess(row):
        params = dict(max_tokens=int(row["output"]), temperature=0.0, ignore_eos=True, detokenize=False)
        return dict(tokenized_prompt=token_ids(json.loads(row["segments"]), cfg["salt"]), sampling_params=params)

    def postprocess(row):
        n = dict(prompt=int(row["num_input_tokens"]), output=int(row["num_generated_tokens"]))
        return dict(row=row["row"], ts=json.dumps(dict(json.loads(row["times"]), status=200, **n)))

    config = llm.vLLMEngineProcessorConfig(
        model_source=cfg["model"], engine_kwargs=cfg["engine_kwargs"], batch_size=cfg["batch_size"], concurrency=pool,
        max_concurrent_batches=cfg["max_concurrent_batches"], max_pending_requests=cfg["max_pending"] or None,
        max_tasks_in_flight_per_actor=cfg["max_tasks_in_flight"] or None, should_continue_on_error=cfg["continue"],
        log_engine_metrics=False, chat_template_stage=False, tokenize_stage=False, detokenize_stage=False)
    processor = build_processor(config, preprocess=preprocess, postprocess=postprocess)
    next(s for s in processor.stages.values() if s.fn is vLLMEngineStageUDF).fn = Timed
    return processor


def outcome(columns, i):
    """The TS_ROW of one row out. Rows that failed under should_continue_on_error skip postprocess."""
    if error := "__inference_error__" in columns and columns["__inference_error__"][i]:
        return dict(json.loads(columns["times"][i]), status=0, error=str(error))
    return dict(json.loads(columns["ts"][i]), row=int(columns["row"][i]))


def run(cfg, ledger):
    with open("rows.jsonl") as f:
        items = [dict(row=r, output=n, segments=json.dumps(s), due=float(due)) for r, n, s, due in map(json.loads, f)]
    build = http_processor if cfg["kind"] == "http" else vllm_processor
    dataset = build(cfg, ledger, tuple(cfg["pool"]))(ray.data.from_items(items, override_num_blocks=cfg["blocks"]))
    rows = 0
    say("START", ray=ray.__version__, at=time.time())
    for columns in dataset.iter_batches(batch_size=None, prefetch_batches=0):
        for i in range(len(columns.get("row", ()))):
            say("ROW", **outcome(columns, i))
            rows += 1
    return rows


def tell_sent(ledger, over):
    last = False
    while not last:
        last = over.wait(0.5)  # and once more: what was noted before the end is told too
        for row, at, actor in ray.get(ledger.drain.remote()):
            say("SENT", row=row, at=at, actor=actor)


def main():
    cfg, over = json.loads(os.environ["TS_CONFIG"]), threading.Event()
    ray.init(log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = cfg["preserve_order"]
    context.max_errored_blocks = cfg["max_errored_blocks"]
    context.max_tasks_in_flight_per_actor = cfg["max_tasks_in_flight"] or None
    ray.get((ledger := Ledger.remote()).drain.remote())  # it is there
    teller = threading.Thread(target=tell_sent, args=(ledger, over), daemon=True)
    teller.start()
    try:
        last = functools.partial(say, "DONE", rows=run(cfg, ledger), at=time.time())
    except Exception as e:
        text = str(e) if len(str(e)) < 6000 else str(e)[:2000] + " [...] " + str(e)[-4000:]
        last = functools.partial(say, "ERROR", type=type(e).__name__, msg=text)
    over.set()
    teller.join(10)
    last()
    raise SystemExit(3 if last.args[0] == "ERROR" else 0)


if __name__ == "__main__":
    main()
