"""Lambda on the loopback address: the runtime API, and a sandbox in which the real runtime client runs a function."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from support import REGION, TEMPORARY

__all__ = ["Outcome", "Sandbox", "sandbox", "unpack"]

PATIENCE_SECONDS = 60

# Does with the path what Lambda's own program of this name does before it starts the runtime client.
BOOTSTRAP = """
import os
import sys

if "PYTHONPATH" not in os.environ:
    sys.path.insert(0, os.environ["TEST_OPT"] + "/python")
sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
os.environ.setdefault("PYTHONPATH", os.environ["LAMBDA_RUNTIME_DIR"])

from awslambdaric.__main__ import main

main(["bootstrap", os.environ["_HANDLER"]])
"""


class Outcome(NamedTuple):
    """What became of an invocation: what the handler returned, or the error as the runtime reported it."""

    result: Any
    error: dict[str, Any] | None


class _Api(ThreadingHTTPServer):
    """Hands out events one at a time, and takes results, errors, and an error of the start."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[bytes] = queue.Queue()
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self.init_errors: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked = Event()
        self.asked_at = 0.0

    def handle_error(self, *_: Any) -> None:
        """Nothing: a sandbox that is ended in the middle of a question is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Api

    def do_GET(self) -> None:
        if not self.server.asked.is_set():
            self.server.asked_at = time.perf_counter()
            self.server.asked.set()
        body = self.server.events.get()
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 60_000),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:123456789012:function:f",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        said = json.loads(self._body() or b"null")
        if self.path.endswith("/response"):
            self.server.outcomes.put(Outcome(said, None))
        elif self.path.endswith("/init/error"):
            self.server.init_errors.put(said)
        else:
            self.server.outcomes.put(Outcome(None, said))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: Any) -> None:
        pass


class Sandbox:
    """A process that runs a function."""

    def __init__(self, api: _Api, process: subprocess.Popen[bytes], log: Path, started: float) -> None:
        self._api = api
        self._process = process
        self._log = log
        self._started = started

    @property
    def log(self) -> str:
        """What the function has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def invoke(self, event: Any = None) -> Outcome:
        """Hand it an event, and wait for what becomes of that."""
        self._api.events.put(json.dumps(event).encode())
        return self._wait(self._api.outcomes)

    def init_error(self) -> dict[str, Any]:
        """The error with which it did not start."""
        error: dict[str, Any] = self._wait(self._api.init_errors)
        assert self._process.wait(PATIENCE_SECONDS) != 0
        return error

    def init_seconds(self) -> float:
        """How long it took from the start of the process to its first question for an event."""
        self._wait_until(self._api.asked.is_set)
        return self._api.asked_at - self._started

    def freeze(self, seconds: float) -> None:
        """Stop the process, as Lambda does between invocations, and let it go on after a while."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def _wait(self, answers: queue.Queue[Any]) -> Any:
        self._wait_until(lambda: not answers.empty())
        return answers.get()

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            ended = self._process.poll() is not None
            time.sleep(0.005)
            if (ended and not is_so()) or time.monotonic() > ends:
                raise AssertionError(f"the sandbox {'ended' if ended else 'does not answer'}:\n{self.log}")


@contextmanager
def sandbox(
    task: Path, opt: Path, handler: str, environment: Mapping[str, str], *, wrappers: int = 0
) -> Iterator[Sandbox]:
    """Run the function whose code is in `task`, with the layers unpacked to `opt`, and the wrapper in front of it as
    often as is said."""
    runtime = task.parent / f"{task.name}-runtime"
    runtime.mkdir(exist_ok=True)
    (runtime / "bootstrap.py").write_text(BOOTSTRAP, encoding="utf-8")
    api = _Api()
    Thread(target=api.serve_forever, daemon=True).start()
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(runtime),
        "TEST_OPT": str(opt),
        "_HANDLER": handler,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "LAMBDA_TASK_ROOT": str(task),
        "LAMBDA_RUNTIME_DIR": str(runtime),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's file system is read-only
        **{name.upper(): text for name, text in TEMPORARY.items()},
        **environment,
    }
    command = [*([str(opt / "safe-sqs-wrapper")] * wrappers), sys.executable, str(runtime / "bootstrap.py")]
    log = runtime / "log.txt"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=task, env=variables, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield Sandbox(api, process, log, started)
        finally:
            process.kill()
            process.wait()
            api.shutdown()
            api.server_close()


def unpack(layer: Path, folder: Path) -> Path:
    """Unpack a layer as Lambda does to /opt, with its modes. Returns the folder."""
    with zipfile.ZipFile(layer) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, folder))
            path.chmod(entry.external_attr >> 16 & 0o777)
    return folder
