"""Threads, event loops, and what happens inside of the guard's own look at a queue."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

from support import UNENCRYPTED, new_session

from bypasses.stage import Stage
from bypasses.ways import Family
from safe_sqs import GuardError

FAMILY = Family("threads")
way = FAMILY.way


@way
def many_at_once(stage: Stage) -> None:
    """Many threads that use one client for a bad queue at once."""
    client = stage.client()
    missed = []

    def attempt(_: int) -> None:
        try:
            client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
        except GuardError:
            return
        missed.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(16)))
    stage.watch_state(lambda: len(missed))
    client.receive_message(QueueUrl=stage.bad)


@way
def good_and_bad_at_once(stage: Stage) -> None:
    """Threads that use one new client for a good queue and a bad one at the same moment."""
    client = stage.client()
    barrier = Barrier(4)

    def attempt(number: int) -> None:
        barrier.wait(30)
        queue, text = ((stage.good, "harmless"), (stage.bad, stage.secret))[number % 2]
        client.send_message(QueueUrl=queue, MessageBody=text)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(attempt, number) for number in range(4)]:
            each.result()


@way
def another_thread(stage: Stage) -> None:
    """Another thread than the one that made the client."""
    client = stage.client()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(client.send_message, QueueUrl=stage.bad, MessageBody=stage.secret).result()


@way
def client_made_in_a_thread(stage: Stage) -> None:
    """A client that is made and used in a thread."""
    with ThreadPoolExecutor(1) as pool:
        make = stage.client
        pool.submit(lambda: make().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)).result()


@way
def client_for_each_thread(stage: Stage) -> None:
    """A client of its own for each thread, of which only one sends to a bad queue."""

    def attempt(queue: str) -> None:
        new = stage.protect(new_session().client("sqs"))
        new.send_message(QueueUrl=queue, MessageBody=stage.secret if queue == stage.bad else "harmless")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(attempt, [stage.good, stage.bad]))


@way
def thread_of_an_event_loop(stage: Stage) -> None:
    """A call that an event loop hands to a thread."""
    client = stage.client()
    asyncio.run(asyncio.to_thread(client.send_message, QueueUrl=stage.bad, MessageBody=stage.secret))


@way
def client_made_in_a_thread_of_an_event_loop(stage: Stage) -> None:
    """A client that is made in a thread of an event loop."""
    client = asyncio.run(asyncio.to_thread(stage.client))
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def many_of_an_event_loop(stage: Stage) -> None:
    """Many calls that an event loop hands to its pool at once."""
    client = stage.client()

    async def attempts() -> None:
        loop = asyncio.get_running_loop()
        calls = [
            loop.run_in_executor(None, lambda: client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret))
            for _ in range(4)
        ]
        await asyncio.gather(*calls)

    asyncio.run(attempts())


def at_the_first_look(client: Any, action: Any) -> None:
    """Do something while the guard looks at a queue for the first time, or at once where there is no guard."""
    done: list[int] = []

    def handler(**_: Any) -> None:
        if not done:
            done.append(1)
            action()

    client.meta.events.register_first("before-send.sqs.GetQueueAttributes", handler)


@way
def inside_of_a_look(stage: Stage) -> None:
    """A handler that sends to a bad queue while the guard looks at a good one."""
    client = stage.client()
    at_the_first_look(client, lambda: client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret))
    client.get_queue_attributes(QueueUrl=stage.good, AttributeNames=["QueueArn"])
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way
def inside_of_a_look_at_the_same_queue(stage: Stage) -> None:
    """A handler that sends to a bad queue while the guard looks at this very queue."""
    client = stage.client()
    at_the_first_look(client, lambda: client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret))
    if not stage.is_guarded:
        client.get_queue_attributes(QueueUrl=stage.bad, AttributeNames=["QueueArn"])
    client.send_message(QueueUrl=stage.bad, MessageBody="harmless")


@way
def context_of_a_look(stage: Stage) -> None:
    """A thread that takes along the context of a look, and sends to a bad queue when the look is over."""
    client = stage.client()
    kept: list[contextvars.Context] = []
    at_the_first_look(client, lambda: kept.append(contextvars.copy_context()))
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    context = kept[0] if kept else contextvars.copy_context()
    context.run(client.send_message, QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def thread_inside_of_a_look(stage: Stage) -> None:
    """A thread that a handler starts inside of a look, and that sends to a bad queue with the look's context."""
    client = stage.client()
    errors: list[BaseException] = []

    def send() -> None:
        try:
            client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
        except GuardError as error:
            errors.append(error)

    def start() -> None:
        thread = Thread(target=contextvars.copy_context().run, args=(send,))
        thread.start()
        thread.join(30)

    at_the_first_look(client, start)
    if not stage.is_guarded:
        client.get_queue_attributes(QueueUrl=stage.good, AttributeNames=["QueueArn"])
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    if errors:
        raise errors[0]


@way
def queue_that_another_thread_spoils(stage: Stage) -> None:
    """A queue that another thread of this process deletes and makes anew without encryption."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def spoil() -> None:
        client.delete_queue(QueueUrl=stage.good)
        stage.raw.create_queue(QueueName=stage.good.rpartition("/")[2], Attributes=UNENCRYPTED)

    thread = Thread(target=spoil)
    thread.start()
    thread.join(30)
    stage.watch(stage.good)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
