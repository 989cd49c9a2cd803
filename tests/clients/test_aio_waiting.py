"""Asynchronous clients share one look at a queue, block no event loop with it, and survive whoever gives up."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import scripted
from clients.asynchronous import (
    SECONDS,
    gate,
    guarded_client,
    opening_after,
    outcome_of,
    run,
    turning,
    until,
)
from scripted import RESET, Answer, Asked, Server, attributes, fails, running, says
from support import UNENCRYPTED

from safe_sqs import RefusedError, UnverifiableError, judge
from safe_sqs.guarded import guards_of


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


def bad(asked: Asked) -> Answer:
    return attributes(asked, **UNENCRYPTED)


def send(client: Any, queue: str) -> Any:
    return client.send_message(QueueUrl=queue, MessageBody="x")


async def at_once(calls: list[Any]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


# --- one look for all --------------------------------------------------------------------------------------------


def test_two_hundred_tasks_on_a_cold_queue_make_one_look(server):
    async def main() -> list[Any]:
        async with guarded_client(server) as client:
            return await at_once([send(client, server.queue()) for _ in range(200)])

    assert all(each["MessageId"] for each in run(main))
    assert server.count() == 1


def test_a_thousand_tasks_over_fifty_queues_make_fifty_looks(server):
    async def main() -> list[Any]:
        async with guarded_client(server) as client:
            return await at_once([send(client, server.queue(f"queue-{n % 50}")) for n in range(1_000)])

    assert all(each["MessageId"] for each in run(main))
    assert server.count() == 50
    assert len({each.queue for each in server.asked}) == 50


@pytest.mark.parametrize(
    ("script", "kind"),
    [(bad, RefusedError), (fails("AccessDenied", 403), UnverifiableError), (RESET, UnverifiableError)],
    ids=["a bad queue", "a denied look", "a broken connection"],
)
def test_a_look_that_ends_badly_is_shared_as_well(server, script, kind):
    server.script["GetQueueAttributes"], opened = gate(script)

    async def main() -> list[Any]:
        async with guarded_client(server) as client:
            tasks = [asyncio.create_task(outcome_of(send(client, server.queue()))) for _ in range(200)]
            await until(lambda: server.count())
            opened.set()
            return list(await asyncio.gather(*tasks))

    outcomes = run(main)
    assert {type(each) for each in outcomes} == {kind}
    assert len({each.findings for each in outcomes}) == 1
    assert server.count() == 1
    assert not server.count("SendMessage")


def test_clients_of_one_loop_share_their_look(server):
    async def main() -> list[Any]:
        async with guarded_client(server) as one, guarded_client(server) as other:
            return await at_once([send(client, server.queue()) for client in (one, other) for _ in range(20)])

    assert all(each["MessageId"] for each in run(main))
    assert server.count() == 1


def test_one_task_refreshes_ahead_while_the_others_go_on(server, manual_clock):
    async def main() -> None:
        async with guarded_client(server, clock=manual_clock.clock) as client:
            await send(client, server.queue())
            server.script["GetQueueAttributes"], opened = gate()
            manual_clock.advance(299)
            leader = asyncio.create_task(send(client, server.queue()))
            await until(lambda: server.count() == 2)
            for _ in range(20):
                await send(client, server.queue())
            assert not leader.done()
            opened.set()
            await leader

    run(main)
    assert server.count() == 2
    assert server.count("SendMessage") == 22


# --- nothing blocks ----------------------------------------------------------------------------------------------


def test_others_go_on_while_a_queue_is_looked_at(server):
    server.script["GetQueueAttributes"], opened = gate()

    async def main() -> int:
        async with guarded_client(server) as client:
            with opening_after(opened, server) as turns:
                ticking = asyncio.create_task(turning(turns))
                await send(client, server.queue())
                ticking.cancel()
                return turns[0]

    assert run(main) >= 100


def test_others_go_on_while_a_key_is_looked_at(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(
        asked, KmsMasterKeyId="arn:aws:kms:us-east-1:123456789012:key/1"
    )
    server.script["DescribeKey"], opened = gate(says(KeyMetadata={"KeyManager": "CUSTOMER"}))

    async def main() -> int:
        async with guarded_client(server, levels={"queue-encryption": "customer-key"}) as client:
            with opening_after(opened, server, "DescribeKey") as turns:
                ticking = asyncio.create_task(turning(turns))
                await send(client, server.queue())
                ticking.cancel()
                return turns[0]

    assert run(main) >= 100


def test_others_go_on_while_a_name_is_resolved(server, monkeypatch):
    resolving, opened = Event(), Event()
    real = socket.getaddrinfo
    loops = []

    def getaddrinfo(*arguments: Any, **more: Any) -> Any:
        resolving.set()
        with suppress(RuntimeError):
            loops.append(asyncio.get_running_loop())
        assert opened.wait(SECONDS)
        return real(*arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main() -> Any:
        async with guarded_client(server, modes={"vpc-route": "enforce"}) as client:
            task = asyncio.create_task(outcome_of(send(client, server.queue())))
            await until(resolving.is_set)
            opened.set()
            return await task

    assert run(main)["MessageId"]
    assert loops == []


def test_a_large_policy_is_not_judged_in_the_event_loop(server, monkeypatch):
    judging, opened = Event(), Event()

    def check(*_: Any) -> Any:
        judging.set()
        assert opened.wait(SECONDS)
        return ()

    rules = tuple(each._replace(check=check) if each.name == "public-access" else each for each in judge.ALL_RULES)
    monkeypatch.setattr(judge, "ALL_RULES", rules)

    async def main() -> None:
        async with guarded_client(server) as client:
            for call in (
                send(client, server.queue()),
                client.set_queue_attributes(QueueUrl=server.queue(), Attributes={"Policy": "{}"}),
            ):
                judging.clear()
                opened.clear()
                task = asyncio.create_task(call)
                await until(judging.is_set)
                opened.set()
                await task

    run(main)


def test_a_judgement_does_not_wait_for_the_threads_of_the_loop(server):
    """They may all be waiting for a call that waits for the judgement."""

    async def main() -> Any:
        async with guarded_client(server) as client:
            await client.list_queues()  # which resolves a name and reads certificates, with threads of the loop
            loop, ended = asyncio.get_running_loop(), Event()
            loop.set_default_executor(ThreadPoolExecutor(1))
            waiting = loop.run_in_executor(None, ended.wait, SECONDS)
            change = {"QueueUrl": server.queue(), "Attributes": {"Policy": "{}"}}
            (hooks,) = guards_of(client)
            _, verdict = await hooks._run(hooks._guard.judge_change("SetQueueAttributes", change))
            ended.set()
            await waiting
            return verdict

    assert [each.rule for each in run(main).refusals] == ["public-access"]


def test_the_first_call_loads_the_guard_outside_of_the_event_loop():
    program = """
import asyncio, sys, threading
import safe_sqs, scripted
from aiobotocore.session import get_session

loaded_in = {}
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("safe_sqs.") or name == "structlog":
            loaded_in[name] = threading.current_thread() is threading.main_thread()
sys.meta_path.insert(0, Watch())
for name in [name for name in sys.modules if name.startswith("safe_sqs.") or name == "structlog"]:
    del sys.modules[name]
safe_sqs.install()

async def main(server):
    async with get_session().create_client("sqs", **server.settings()) as client:
        before = set(loaded_in)
        try:
            await client.send_message(QueueUrl=server.queue(), MessageBody="x")
        except Exception as error:
            print(type(error).__name__)
        print([name for name in loaded_in if name not in before and loaded_in[name]])
        assert "safe_sqs.hooks" in set(loaded_in) - before

with scripted.running() as server:
    asyncio.run(main(server))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(scripted.__file__).parent,
    )
    assert done.stdout.splitlines() == ["RefusedError", "[]"], done.stderr


# --- giving up ---------------------------------------------------------------------------------------------------


class Stop(BaseException):
    """Like a KeyboardInterrupt, without asyncio's own handling of that."""


@pytest.mark.parametrize("waiting", [50])
@pytest.mark.parametrize("script", [attributes, bad], ids=["good", "bad"])
def test_when_the_one_who_looks_is_cancelled_the_others_get_their_answer_by_one_more_look(server, script, waiting):
    server.script["GetQueueAttributes"], opened = gate(script)

    async def main() -> list[Any]:
        async with guarded_client(server) as client:
            leader = asyncio.create_task(send(client, server.queue()))
            await until(lambda: server.count() == 1)
            others = [asyncio.create_task(outcome_of(send(client, server.queue()))) for _ in range(waiting)]
            await asyncio.sleep(0.05)
            leader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leader
            opened.set()
            return list(await asyncio.gather(*others))

    outcomes = run(main)
    assert server.count() == 2
    if script is bad:
        assert {type(each) for each in outcomes} == {RefusedError}
    else:
        assert all(each["MessageId"] for each in outcomes)


def test_when_the_one_who_looks_runs_out_of_time_the_others_get_their_answer(server):
    server.script["GetQueueAttributes"], opened = gate()

    async def main() -> list[Any]:
        async with guarded_client(server) as client:
            leader = asyncio.create_task(asyncio.wait_for(send(client, server.queue()), 0.2))
            await until(lambda: server.count() == 1)
            others = [asyncio.create_task(send(client, server.queue())) for _ in range(50)]
            with pytest.raises(asyncio.TimeoutError):
                await leader
            opened.set()
            return await at_once(others)

    assert all(each["MessageId"] for each in run(main))
    assert server.count() == 2


def test_when_the_client_that_looks_is_closed_the_others_get_their_answer(server):
    server.script["GetQueueAttributes"], opened = gate()

    async def main() -> tuple[Any, list[Any]]:
        async with AsyncExitStack() as stack, guarded_client(server) as client:
            closing = await stack.enter_async_context(guarded_client(server))
            leader = asyncio.create_task(outcome_of(send(closing, server.queue())))
            await until(lambda: server.count() == 1)
            others = [asyncio.create_task(outcome_of(send(client, server.queue()))) for _ in range(50)]
            await asyncio.sleep(0.05)
            await closing.close()
            await asyncio.sleep(0.05)
            opened.set()
            return await leader, list(await asyncio.gather(*others))

    of_leader, of_others = run(main)
    assert isinstance(of_leader, Exception)
    assert all(isinstance(each, dict) for each in of_others), of_others[0]


def test_cancelling_one_who_waits_disturbs_nobody(server):
    server.script["GetQueueAttributes"], opened = gate()

    async def main() -> list[Any]:
        async with guarded_client(server) as client:
            leader = asyncio.create_task(send(client, server.queue()))
            await until(lambda: server.count() == 1)
            others = [asyncio.create_task(send(client, server.queue())) for _ in range(50)]
            await asyncio.sleep(0.05)
            for each in others[::2]:
                each.cancel()
            await asyncio.sleep(0)
            opened.set()
            return await at_once([leader, *others])

    outcomes = run(main)
    assert server.count() == 1
    assert len([each for each in outcomes if isinstance(each, asyncio.CancelledError)]) == 25
    assert len([each for each in outcomes if isinstance(each, dict)]) == 26


def test_an_interrupt_within_a_look_leaves_nobody_waiting(server):
    async def main() -> Any:
        async with guarded_client(server) as client:
            interrupts = [Stop()]

            def interrupt(**_: Any) -> None:
                if interrupts:
                    raise interrupts.pop()

            client.meta.events.register("before-send.sqs.GetQueueAttributes", interrupt)
            with pytest.raises(Stop):
                await send(client, server.queue())
            return await send(client, server.queue())

    assert run(main)["MessageId"]


def test_a_cancelled_judgement_leaves_nobody_waiting(server, monkeypatch):
    judging, opened = Event(), Event()

    def check(*_: Any) -> Any:
        judging.set()
        assert opened.wait(SECONDS)
        return ()

    rules = tuple(each._replace(check=check) if each.name == "public-access" else each for each in judge.ALL_RULES)
    monkeypatch.setattr(judge, "ALL_RULES", rules)

    async def main() -> Any:
        async with guarded_client(server) as client:
            leader = asyncio.create_task(send(client, server.queue()))
            await until(judging.is_set)
            other = asyncio.create_task(send(client, server.queue()))
            await asyncio.sleep(0.01)
            leader.cancel()
            await asyncio.sleep(0.01)
            opened.set()
            with pytest.raises(asyncio.CancelledError):
                await leader
            return await other

    assert run(main)["MessageId"]
    assert server.count() == 2


# --- several loops, and threads that block ------------------------------------------------------------------------


def leave_a_look_behind(server: Server, config: dict[str, Any]) -> tuple[Any, list[Any]]:
    """A loop that ends while one of its tasks, to which somebody holds on, looks at a queue."""
    loop = asyncio.new_event_loop()
    kept: list[Any] = []

    async def main() -> None:
        context = guarded_client(server, **config)
        client = await context.__aenter__()
        kept.extend([context, client, asyncio.ensure_future(send(client, server.queue()))])
        await until(lambda: server.count() == 1)

    loop.run_until_complete(main())
    return loop, kept


def clean_up(loop: Any, kept: list[Any]) -> None:
    """Let the loop end its task after all, so that no test after this one hears of it."""
    kept[2].cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(kept[2])
    loop.run_until_complete(kept[0].__aexit__(None, None, None))
    loop.close()


def test_a_loop_that_stands_still_with_a_look_under_way_holds_up_no_other(server):
    server.script["GetQueueAttributes"], opened = gate()
    loop, kept = leave_a_look_behind(server, {})

    async def main() -> Any:
        async with guarded_client(server) as client:
            task = asyncio.create_task(send(client, server.queue()))
            await until(lambda: server.count() == 2)
            opened.set()
            return await task

    try:
        assert run(main)["MessageId"]
    finally:
        opened.set()
        clean_up(loop, kept)


def test_a_loop_that_ends_in_the_middle_of_a_look_leaves_nothing_for_the_next(server):
    server.script["GetQueueAttributes"], opened = gate()
    tasks: list[Any] = []

    async def first() -> None:
        async with guarded_client(server) as client:
            tasks.append(asyncio.create_task(send(client, server.queue())))
            await until(lambda: server.count() == 1)

    async def second() -> Any:
        async with guarded_client(server) as client:
            return await send(client, server.queue())

    run(first)
    opened.set()
    assert run(second)["MessageId"]
    assert server.count() == 2


def test_loops_in_two_threads_share_their_verdicts(server):
    outcomes: list[Any] = []
    clients: list[Any] = []

    async def main() -> None:
        async with guarded_client(server) as client:
            clients.append(client)
            outcomes.extend(await at_once([send(client, server.queue()) for _ in range(50)]))

    threads = [Thread(target=run, args=(main,)) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    run(main)
    assert len(outcomes) == 150
    assert all(each["MessageId"] for each in outcomes)
    assert 1 <= server.count() <= 2
    assert len({id(guards_of(each)[0]._cache) for each in clients}) == 1


def test_a_client_that_blocks_the_loop_does_not_wait_for_a_task_of_that_loop(server):
    server.script["GetQueueAttributes"], opened = gate()
    blocking = server.client()

    async def main() -> Any:
        async with guarded_client(server) as client:
            task = asyncio.create_task(send(client, server.queue()))
            await until(lambda: server.count() == 1)
            with opening_after(opened, server) as turns:
                turns[0] = 100  # the loop is about to be blocked
                answer = send(blocking, server.queue())
            await task
            return answer

    assert run(main)["MessageId"]
    assert server.count() == 2


def test_a_verdict_serves_both_kinds_of_clients(server):
    blocking = server.client()

    async def main() -> None:
        async with guarded_client(server) as client:
            await send(client, server.queue())
            send(blocking, server.queue())
            send(blocking, server.queue("other"))
            await send(client, server.queue("other"))

    run(main)
    assert server.count() == 2
    assert server.count("SendMessage") == 4


@pytest.mark.parametrize("by", ["asynchronous", "synchronous"])
def test_a_change_by_one_kind_of_client_is_noticed_by_the_other(server, by):
    blocking = server.client(ttl_seconds=299)
    change = {"QueueUrl": server.queue(), "Attributes": {"DelaySeconds": "1"}}

    async def main() -> None:
        async with guarded_client(server) as client:
            await send(client, server.queue())
            send(blocking, server.queue())
            assert server.count() == 2
            server.script["GetQueueAttributes"] = bad
            if by == "asynchronous":
                await client.set_queue_attributes(**change)
                with pytest.raises(RefusedError):
                    send(blocking, server.queue())
            else:
                blocking.set_queue_attributes(**change)
            with pytest.raises(RefusedError):
                await send(client, server.queue())

    run(main)
    assert server.count("SendMessage") == 2


# --- the guard's own calls ---------------------------------------------------------------------------------------


def test_a_handler_that_sends_within_a_look_is_refused_and_hangs_nothing(server):
    async def main() -> tuple[Any, Any]:
        async with guarded_client(server) as client:
            inner: list[Any] = []

            async def within(**_: Any) -> None:
                inner.append(await outcome_of(send(client, server.queue())))

            client.meta.events.register_first("before-send.sqs.GetQueueAttributes", within)
            return await send(client, server.queue()), inner[0]

    outer, inner = run(main)
    assert outer["MessageId"]
    assert isinstance(inner, UnverifiableError)


def test_a_task_that_was_born_within_a_look_is_judged_as_any_other_afterwards(server, told):
    async def main() -> Any:
        async with guarded_client(server) as client:
            tasks: list[asyncio.Task[Any]] = []
            go = asyncio.Event()

            async def later() -> Any:
                await go.wait()
                return await outcome_of(send(client, server.queue("bad")))

            def begin(**_: Any) -> None:
                tasks[:] = tasks or [asyncio.create_task(later())]

            client.meta.events.register_first("before-send.sqs.GetQueueAttributes", begin)
            await send(client, server.queue())
            server.script["GetQueueAttributes"] = bad
            told.clear()
            go.set()
            return await tasks[0]

    assert isinstance(run(main), RefusedError)
    assert "Refused" in {type(each).__name__ for each in told}


# --- the check at start ------------------------------------------------------------------------------------------


def test_the_check_at_start_is_made_by_the_first_calls_until_the_queue_is_fit(server, manual_clock):
    server.script["GetQueueAttributes"] = bad
    settings: dict[str, Any] = {"verify_queues": [server.queue("named")], "clock": manual_clock.clock}

    async def main() -> None:
        async with guarded_client(server, **settings) as client:
            for _ in range(3):
                with pytest.raises(RefusedError) as refused:
                    await client.list_queues()
                assert "named" in str(refused.value)
                assert refused.value.operation == "the check at start"
            assert server.count() == 1
            server.script["GetQueueAttributes"] = attributes
            manual_clock.advance(31)
            await client.list_queues()
            server.script["GetQueueAttributes"] = bad
            manual_clock.advance(301)
            await client.list_queues()

    run(main)
    assert server.count("ListQueues") == 2


@pytest.mark.parametrize("script", [attributes, bad], ids=["fit", "not fit"])
def test_first_calls_at_once_all_wait_for_the_check_at_start(server, script):
    server.script["GetQueueAttributes"], opened = gate(script)

    async def main() -> list[Any]:
        async with guarded_client(server, verify_queues=[server.queue("named")]) as client:
            tasks = [asyncio.create_task(outcome_of(client.list_queues())) for _ in range(20)]
            await until(lambda: server.count() == 1)
            await asyncio.sleep(0.05)
            tasks += [asyncio.create_task(outcome_of(client.list_queues())) for _ in range(20)]
            await asyncio.sleep(0.05)
            assert not server.count("ListQueues")
            opened.set()
            return list(await asyncio.gather(*tasks))

    outcomes = run(main)
    assert server.count() == 1
    assert server.count("ListQueues") == (40 if script is attributes else 0)
    assert {type(each) for each in outcomes} == ({dict} if script is attributes else {RefusedError})


def test_the_check_at_start_costs_nothing_when_no_queue_is_named(server):
    async def main() -> None:
        async with guarded_client(server) as client:
            await client.list_queues()

    run(main)
    assert not server.count()
