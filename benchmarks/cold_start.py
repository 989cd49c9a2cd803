"""What the Lambda layer adds to a cold start: `python benchmarks/cold_start.py` where awslambdaric is installed.

Each start is a new process of Lambda's own runtime client, with the layer unpacked before the path. Its time runs from
the start of the process to its first question for an event; the handler has imported boto3 and made an SQS client by
then. Starts with and without the layer take turns, and medians are compared. Nothing is compiled before a start that
Lambda would not have compiled.

Exits with 1 when the guard adds more than 25 ms, or more than 5 % of the import of boto3 plus a client.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lambda_runtime import sandbox, unpack
from support import REGION

from safe_sqs.demo import emulator as emulators
from safe_sqs.lambda_layer import build

MOST_MS, MOST_SHARE = 25.0, 0.05

HANDLER = """
import os
import time

started, busy = time.perf_counter(), time.process_time()

import boto3

client = boto3.client("sqs")
loaded_ms = (time.perf_counter() - started) * 1000
loaded_busy_ms = (time.process_time() - busy) * 1000
init_busy_ms = time.process_time() * 1000


def handler(event, context):
    began, busy = time.perf_counter(), time.process_time()
    if event:
        client.send_message(QueueUrl=event["queue"], MessageBody="hello")
    return {
        "loaded": loaded_ms,
        "loaded_busy": loaded_busy_ms,
        "init_busy": init_busy_ms,
        "first_call": (time.perf_counter() - began) * 1000,
        "first_call_busy": (time.process_time() - busy) * 1000,
    }
"""

PROFILE = """
import os, sys
sys.path.insert(0, os.environ["TEST_OPT"] + "/python")
os.environ["SAFE_SQS_HANDLER"] = "json.dumps"
from safe_sqs.lambda_layer import handler
import boto3
boto3.client("sqs", region_name="us-east-1")
"""


class Start(NamedTuple):
    """One cold start, in milliseconds: by the clock, and by the processor where it says `busy`."""

    init: float
    init_busy: float
    loaded: float
    loaded_busy: float
    first_call: float
    first_call_busy: float


def start(task: Path, opt: Path, settings: dict[str, str], queue: str, *, guarded: bool) -> Start:
    """Start a sandbox, and hand it one event."""
    with sandbox(task, opt, "app.handler", settings, wrappers=int(guarded)) as function:
        init = function.init_seconds() * 1000
        outcome = function.invoke({"queue": queue} if queue else None)
    if outcome.error is not None:
        raise SystemExit(f"the handler failed: {outcome.error}")
    return Start(init=init, **outcome.result)


@contextmanager
def prepared(folder: Path, *, compiled: bool) -> Iterator[tuple[Path, Path, dict[str, str], str]]:
    """The code of a function, the layer unpacked, the environment and a queue."""
    import boto3

    task = folder / "task"
    task.mkdir()
    (task / "app.py").write_text(HANDLER, encoding="utf-8")
    order = build.Order(f"{sys.version_info.major}.{sys.version_info.minor}", "x86_64", compiled=compiled)
    opt = unpack(build.build(order, folder).path, folder / "opt")
    with emulators.running() as emulator:
        settings = {"AWS_ENDPOINT_URL_SQS": emulator.url, "AWS_CA_BUNDLE": emulator.authority}
        client = boto3.client(
            "sqs",
            region_name=REGION,
            endpoint_url=emulator.url,
            verify=emulator.authority,
            aws_access_key_id="ASIAEXAMPLEEXAMPLE01",
            aws_secret_access_key="secret",
            aws_session_token="token",
        )
        yield task, opt, settings, client.create_queue(QueueName="orders")["QueueUrl"]


def main() -> int:
    """Measure, print, and compare with the goal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--starts", type=int, default=15, help="of each kind (default: 15)")
    parser.add_argument("--sources-only", action="store_true", help="with a layer that has no compiled files")
    parser.add_argument("--organisation", action="store_true", help="with an organisation's file in the layer")
    parser.add_argument("--profile", action="store_true", help="show what the modules of the guard cost")
    parser.add_argument("--json", action="store_true", help="print the medians as JSON")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        prepared(Path(name), compiled=not chosen.sources_only) as (task, opt, settings, queue),
    ):
        host = settings["AWS_ENDPOINT_URL_SQS"].removeprefix("https://")
        if chosen.organisation:
            (opt / "safe-sqs").mkdir()
            floor = f'profile = "baseline"\ntrusted_endpoint_hosts = ["{host}"]\n'
            (opt / "safe-sqs/organisation.toml").write_text(floor, encoding="utf-8")
        if chosen.profile:
            return profile(opt)
        # The emulator is a host of nobody's, so a guard without settings would refuse it: a first call is measured
        # with a setting, and a start without.
        trusted = {} if chosen.organisation else {"SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": host}
        starts: dict[str, list[Start]] = {"bare": [], "layer": [], "layer and a setting": []}
        for turn in range(chosen.starts + 1):
            show(f"start {turn} of {chosen.starts}")
            for kind, found in starts.items():
                more = trusted if kind == "layer and a setting" else {}
                took = start(
                    task, opt, settings | more, queue if more or kind == "bare" else "", guarded=kind != "bare"
                )
                if turn:  # the first of each kind warms the disk's cache
                    found.append(took)
        show("")
    return report(starts, as_json=chosen.json)


def profile(opt: Path) -> int:
    """Print the modules of the guard and of what it brings, with what their import costs."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", PROFILE],
        env={"TEST_OPT": str(opt)},
        capture_output=True,
        text=True,
        check=True,
    )
    total, within = 0, ("safe_sqs", "wrapt", "structlog")
    for line in done.stderr.splitlines():
        match = re.match(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", line)
        if match and match[4].split(".")[0] in (*within, "pickle", "_pickle", "_compat_pickle", "typing"):
            total += int(match[1])
            print(f"{int(match[1]) / 1000:7.2f} ms  {match[4]}")
    print(f"{total / 1000:7.2f} ms  together, without what they import from elsewhere")
    return 0


def report(starts: dict[str, list[Start]], *, as_json: bool) -> int:
    """Print medians. Returns 1 when the start without settings costs more than the goal."""
    medians = {kind: median(found) for kind, found in starts.items()}
    bare = medians["bare"]
    # Neighbours in time see the same load of the machine, so differences are taken between those.
    added = {
        kind: median([minus(ours, theirs) for ours, theirs in zip(found, starts["bare"], strict=True)])
        for kind, found in starts.items()
    }
    if as_json:
        print(json.dumps({kind: found._asdict() for kind, found in medians.items()}))
        return 0
    print("median, in ms          start  (busy)   boto3 and client  (busy)   first call  (busy)")
    for kind, found in medians.items():
        first = f"{found.first_call:10.1f}  {found.first_call_busy:6.1f}" if kind != "layer" else ""
        print(
            f"{kind:20} {found.init:7.1f}  {found.init_busy:6.1f}   "
            f"{found.loaded:16.1f}  {found.loaded_busy:6.1f}   {first}"
        )
    for kind in ("layer", "layer and a setting"):
        more = added[kind]
        print(
            f"the {kind} adds to the start: {more.init:.1f} ms, {more.init / bare.loaded:.1%} of boto3 and a client; "
            f"of processor time {more.init_busy:.1f} ms, {more.init_busy / bare.loaded_busy:.1%}"
        )
    return int(added["layer"].init > MOST_MS or added["layer"].init / bare.loaded > MOST_SHARE)


def minus(ours: Start, theirs: Start) -> Start:
    """The difference of each figure."""
    return Start(*(mine - other for mine, other in zip(ours, theirs, strict=True)))


def median(starts: list[Start]) -> Start:
    """The median of each figure."""
    return Start(*(statistics.median(values) for values in zip(*starts, strict=True)))


def show(text: str) -> None:
    """Progress, for a person who waits."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")


if __name__ == "__main__":
    raise SystemExit(main())
