"""Processes that begin as a copy of this one, and processes that this one starts."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from support import UNENCRYPTED, new_session

import safe_sqs
from bypasses.stage import Stage
from bypasses.threads import at_the_first_look
from bypasses.ways import Face, Family
from safe_sqs import launch

FAMILY = Family("forks")
way, way_where, out_of_scope = FAMILY.way, FAMILY.way_where, FAMILY.out_of_scope


def no_forks() -> str:
    return "" if hasattr(os, "fork") else "this system knows no fork"


way_with_forks = FAMILY.way_where(missing=no_forks)


def in_fork(action: Callable[[], Any]) -> None:
    """Do something in a fork of this process. Raises what it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # whatever hangs there ends
        error = None
        try:
            action()
        except BaseException as caught:
            error = caught
        try:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(error, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    error = pickle.loads(said)
    if error is not None:
        raise error


@way_with_forks
def client_of_the_parent(stage: Stage) -> None:
    """A client that was made and used before a fork, in the fork."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    in_fork(lambda: client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret))


@way_with_forks
def client_made_in_the_fork(stage: Stage) -> None:
    """A client that is made in a fork."""
    in_fork(lambda: stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret))


@way_with_forks
def first_use_in_the_fork(stage: Stage) -> None:
    """A client that is made before a fork, and used for the first time in it."""
    client = stage.library.client("sqs")
    in_fork(lambda: client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret))


@way_with_forks
def verdict_of_the_parent(stage: Stage) -> None:
    """A queue that was good before a fork, and has lost its encryption since."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
    stage.watch(stage.good)
    in_fork(lambda: client.send_message(QueueUrl=stage.good, MessageBody=stage.secret))


@way_with_forks
def fork_inside_of_a_look(stage: Stage) -> None:
    """A fork inside of the guard's look at a queue, in which a bad queue is used."""
    client = stage.client()
    at_the_first_look(
        client,
        lambda: in_fork(lambda: client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)),
    )
    if not stage.is_guarded:
        client.get_queue_attributes(QueueUrl=stage.good, AttributeNames=["QueueArn"])
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way_with_forks
def plain_http_in_the_fork(stage: Stage) -> None:
    """A fork that turns the client which it was given to plain HTTP."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def turn() -> None:
        client._resolve_endpoint_ruleset = lambda *_, **__: (stage.plain.url, {}, {})
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    in_fork(turn)


def send_by_boto3(queue: str, text: str) -> None:
    """What a process of a pool does, which knows nothing of the guard."""
    logging.getLogger("safe_sqs").addHandler(logging.NullHandler())  # its refusal is told by the pool
    new_session().client("sqs").send_message(QueueUrl=queue, MessageBody=text)


def send_by_the_drop_in(queue: str, text: str) -> None:
    """The same with the drop-in."""
    logging.getLogger("safe_sqs").addHandler(logging.NullHandler())
    safe_sqs.client("sqs").send_message(QueueUrl=queue, MessageBody=text)


def in_a_pool(stage: Stage, method: str) -> None:
    """Send to a bad queue in a process of a pool."""
    send = send_by_the_drop_in if stage.face is Face.GUARD else send_by_boto3
    with multiprocessing.get_context(method).Pool(1) as pool:
        pool.apply_async(send, (stage.bad, stage.secret)).get(60)


@way_with_forks
def pool_of_forks(stage: Stage) -> None:
    """A process of a pool that forks."""
    in_a_pool(stage, "fork")


@way
def pool_of_new_processes(stage: Stage) -> None:
    """A process of a pool that starts its processes anew."""
    in_a_pool(stage, "spawn")


PROGRAM = """
import sys, boto3
boto3.client("sqs").send_message(QueueUrl=sys.argv[1], MessageBody=sys.argv[2])
"""


@out_of_scope("A child that is started with `-I`, `-E` or `-S`, with an environment of its own")
def child_with_an_isolated_interpreter(stage: Stage) -> None:
    """A Python program that is started with `-I`, from a process that `safe-sqs run` started."""
    path = str(launch.__path__[0]) + "/on_path"
    environment = {**os.environ, "PYTHONPATH": path} if stage.is_guarded else dict(os.environ)
    command = [sys.executable, "-I", "-c", PROGRAM, stage.bad, stage.secret]
    subprocess.run(command, env=environment, check=True, timeout=60, capture_output=True)


@way_where(only=Face.SWITCH)
def child_of_a_program_that_was_started_guarded(stage: Stage) -> None:
    """A Python program that is started by a program which `safe-sqs run` started."""
    path = str(launch.__path__[0]) + "/on_path"
    environment = {**os.environ, "PYTHONPATH": path} if stage.is_guarded else dict(os.environ)
    command = [sys.executable, "-c", PROGRAM, stage.bad, stage.secret]
    done = subprocess.run(command, env=environment, check=False, timeout=60, capture_output=True, text=True)
    if "RefusedError" in done.stderr:
        raise safe_sqs.GuardError(done.stderr.splitlines()[-1])
