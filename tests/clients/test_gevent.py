"""Greenlets of gevent that share a client: each is judged, and all of them together look at a queue once."""

from __future__ import annotations

import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from clients.launched import run, surroundings

from safe_sqs.demo.emulator import Emulator

pytestmark = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed: see clients.txt")

PROGRAM = """
{start}
import json, sys
from collections import Counter
import gevent.pool

client = boto3.client("sqs")

def send(queue):
    try:
        client.send_message(QueueUrl=queue, MessageBody="hello")
    except Exception as error:
        return f"{{type(error).__name__}} {{queue.rpartition('-')[2]}}"
    return f"sent {{queue.rpartition('-')[2]}}"

print(json.dumps(Counter(gevent.pool.Pool(20).imap_unordered(send, sys.argv[1:] * 30))))
"""
PATCH = "from gevent import monkey; monkey.patch_all()"
STARTS = {
    "installed": (f"{PATCH}\nimport boto3", True),
    "drop-in": (f"{PATCH}\nimport safe_sqs as boto3", False),
    "drop-in, patched after its import": (f"import safe_sqs as boto3\n{PATCH}", False),
}


@pytest.mark.parametrize("start", STARTS)
def test_greenlets_are_refused_as_threads_are_and_look_at_a_queue_once(
    start: str, emulator: Emulator, tmp_path: Path, good: str, bad: str
) -> None:
    lines, is_launched = STARTS[start]
    before = Counter(emulator.arrived)
    done = run(
        *("python", "-c", PROGRAM.format(start=lines), good, bad),
        environment=surroundings(emulator, tmp_path),
        is_guarded=is_launched,
    )
    assert done.code == 0, done.errors
    assert json.loads(done.output) == {"sent good": 30, "RefusedError bad": 30}
    assert Counter(emulator.arrived) - before == {"SendMessage": 30, "GetQueueAttributes": 2}
