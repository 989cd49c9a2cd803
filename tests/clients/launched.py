"""Programs of users in processes of their own: under `safe-sqs run`, in the surroundings of an operator."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import certifi
from support import REGION, TEMPORARY

from safe_sqs.demo.emulator import Emulator

PROGRAMS = Path(__file__).parent / "programs"
_SCRIPTS = Path(sys.executable).parent
_SECONDS = 600
"""How long a program may take before it counts as hanging: never reached but when something is wrong."""


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    output: str
    errors: str


class Started(NamedTuple):
    """A program that runs, and the file that collects what it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> Ended:
        """Ask it to end, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> Ended:
        """Wait until it ends by itself."""
        try:
            code = self.process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"hangs:\n{self.log.read_text()}") from None
        return Ended(code, "", self.log.read_text())

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that the program brings about. Raises AssertionError when it ends before that."""
        end = time.monotonic() + _SECONDS
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"ended with {self.process.poll()}:\n{self.log.read_text()}")
            time.sleep(0.05)


def surroundings(emulator: Emulator, folder: Path, **more: str | None) -> dict[str, str]:
    """The environment of a program that an operator has pointed to the emulator; a variable with None is left out."""
    ours = {
        "PATH": f"{_SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": f"{PROGRAMS}{os.pathsep}{trusting_certifi(emulator, folder)}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ENDPOINT_URL_SQS": emulator.url,
        "AWS_CA_BUNDLE": emulator.authority,
        "AWS_ACCESS_KEY_ID": TEMPORARY["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": TEMPORARY["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": TEMPORARY["aws_session_token"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
        **more,
    }
    return {name: value for name, value in ours.items() if value is not None}


def trusting_certifi(emulator: Emulator, folder: Path) -> Path:
    """A folder with certifi as an operator patches it in an image: its bundle and the emulator's authority.

    Nothing else tells the HTTP client of kombu, which sends what a worker receives, whom to trust.
    """
    patched = folder / "certificates"
    if not patched.exists():
        shutil.copytree(Path(certifi.__file__).parent, patched / "certifi")
        with (patched / "certifi" / "cacert.pem").open("a") as bundle:
            bundle.write(Path(emulator.authority).read_text())
    return patched


def run(*command: str, environment: Mapping[str, str], is_guarded: bool = True) -> Ended:
    """Run a program to its end, under `safe-sqs run` unless told otherwise."""
    done = subprocess.run(
        [*(_GUARDED if is_guarded else ()), *command],
        env=dict(environment),
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(*command: str, environment: Mapping[str, str]) -> Iterator[Started]:
    """Start a program under `safe-sqs run`; at the end it is stopped when it still runs."""
    log = Path(environment["HOME"]) / f"log-{time.monotonic_ns()}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*_GUARDED, *command],
            env=dict(environment),
            cwd=environment["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Started(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_GUARDED = (str(_SCRIPTS / "safe-sqs"), "run", "--")
