"""The drop-in for aiobotocore and aioboto3, and the roads by which somebody might miss it."""

from __future__ import annotations

import asyncio
import builtins
import copy
import importlib
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from aiobotocore import session as theirs
from clients.asynchronous import outcome_of, run, turning
from scripted import Answer, Asked, Server, attributes, running, says
from support import UNENCRYPTED

import safe_sqs
from safe_sqs import ConfigError, GuardError, RefusedError, aio
from safe_sqs.guarded import is_guarded


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A service that the configuration of the process trusts."""
    with running() as one:
        monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", one.host)
        yield one


@pytest.fixture
def bad(server: Server) -> Server:
    def unencrypted(asked: Asked) -> Answer:
        return attributes(asked, **UNENCRYPTED)

    server.script["GetQueueAttributes"] = unencrypted
    return server


async def refusal_of(context: Any, server: Server) -> Any:
    async with context as client:
        return await outcome_of(client.send_message(QueueUrl=server.queue(), MessageBody="x"))


SESSIONS = {
    "get_session": lambda: aio.get_session(),
    "AioSession": lambda: aio.AioSession(),
    "session.get_session": lambda: aio.session.get_session(),
    "a copy": lambda: copy.copy(aio.get_session()),
    "as aiobotocore": lambda: importlib.import_module("safe_sqs.aio").session.AioSession(),
}


@pytest.mark.parametrize("make", SESSIONS.values(), ids=SESSIONS.keys())
def test_a_client_of_the_drop_in_is_guarded(bad, make):
    assert isinstance(run(lambda: refusal_of(make().create_client("sqs", **bad.settings()), bad)), RefusedError)
    assert bad.count() == 1
    assert not bad.count("SendMessage")


def test_a_good_queue_works_unchanged(server):
    answer = run(lambda: refusal_of(aio.get_session().create_client("sqs", **server.settings()), server))
    assert answer["MessageId"]


def test_sessions_are_of_aiobotocores_own_class():
    assert isinstance(aio.get_session(), theirs.AioSession)
    assert aio.AioSession.create_client.__wrapped__ is theirs.AioSession.create_client


def test_clients_of_other_services_are_left_alone(server):
    async def main() -> bool:
        async with aio.get_session().create_client("kms", **server.settings()) as client:
            return is_guarded(client)

    assert not run(main)


def test_where_nobody_said_anything_a_client_is_guarded_at_its_first_use(bad, monkeypatch):
    monkeypatch.delenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS")

    async def main() -> list[Any]:
        async with aio.get_session().create_client("sqs", **bad.settings()) as client:
            assert is_guarded(client)
            calls = [outcome_of(client.send_message(QueueUrl=bad.queue(), MessageBody="x")) for _ in range(20)]
            return list(await asyncio.gather(*calls))

    outcomes = run(main)
    assert {type(each) for each in outcomes} == {RefusedError}
    assert {each.findings[0].rule for each in outcomes} == {"endpoint-host"}
    assert not bad.asked


def test_a_mistake_in_the_configuration_is_told_when_the_client_is_made(server, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_PROFILE", "strikt")
    with pytest.raises(ConfigError):
        run(lambda: refusal_of(aio.get_session().create_client("sqs", **server.settings()), server))


def test_a_client_is_guarded_once_where_the_switch_is_on_as_well(bad):
    safe_sqs.install()
    try:
        outcome = run(lambda: refusal_of(aio.get_session().create_client("sqs", **bad.settings()), bad))
    finally:
        safe_sqs.uninstall()
    assert len(outcome.findings) == 1


def test_paginators_and_calls_by_name_are_judged(bad):
    async def main() -> list[Any]:
        async with aio.get_session().create_client("sqs", **bad.settings()) as client:
            arguments = {"QueueUrl": bad.queue(), "MessageBody": "x"}
            by_name = await outcome_of(client._make_api_call("SendMessage", arguments))
            page = client.get_paginator("list_queues").paginate()
            return [by_name, [each async for each in page]]

    bad.script["ListQueues"] = says(QueueUrls=[])
    by_name, pages = run(main)
    assert isinstance(by_name, RefusedError)
    assert pages[0]["QueueUrls"] == []


def test_a_paginator_does_not_go_where_a_call_may_not(server, monkeypatch):
    monkeypatch.delenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS")

    async def main() -> None:
        async with aio.get_session().create_client("sqs", **server.settings()) as client:
            async for _ in client.get_paginator("list_queues").paginate():
                pass

    with pytest.raises(RefusedError, match="endpoint-host"):
        run(main)
    assert not server.asked


@pytest.mark.parametrize("name", ["AioSession", "get_session"])
def test_what_the_drop_in_offers_can_be_pickled_by_name(name):
    assert pickle.loads(pickle.dumps(getattr(aio, name))) is getattr(aio, name)


def test_the_rest_of_aiobotocore_is_there():
    assert aio.ClientCreatorContext is theirs.ClientCreatorContext
    assert aio.config.AioConfig
    assert aio.guard is safe_sqs.guard
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = aio.nonsense


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As where a package is not installed."""
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", importing)


def test_where_aiobotocore_is_missing_the_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "safe_sqs.aio")
    without(monkeypatch, "aiobotocore")
    with pytest.raises(ImportError, match=r'pip install "safe_sqs\[aio\]"'):
        importlib.import_module("safe_sqs.aio")


def test_where_aioboto3_is_missing_its_session_names_what_to_install(monkeypatch):
    monkeypatch.delitem(vars(aio), "Session", raising=False)
    without(monkeypatch, "aioboto3")
    with pytest.raises(ImportError, match=r'pip install "safe_sqs\[aio\]" aioboto3'):
        _ = aio.Session


# --- aioboto3 ----------------------------------------------------------------------------------------------------


@pytest.fixture
def aioboto3() -> Any:
    return pytest.importorskip("aioboto3")


def test_a_client_of_aioboto3_is_guarded(aioboto3, bad):
    session = aio.Session()
    assert isinstance(session, aioboto3.Session)
    assert isinstance(run(lambda: refusal_of(session.client("sqs", **bad.settings()), bad)), RefusedError)
    assert not bad.count("SendMessage")


def test_so_it_is_with_a_session_of_aiobotocore_inside(aioboto3, bad):
    session = aio.Session(botocore_session=theirs.get_session())
    assert isinstance(run(lambda: refusal_of(session.client("sqs", **bad.settings()), bad)), RefusedError)
    assert not bad.count("SendMessage")


def test_a_resource_of_aioboto3_is_guarded(aioboto3, bad):
    settings = bad.settings()
    settings["config"] = None

    async def main() -> Any:
        async with aio.Session().resource("sqs", **settings) as sqs:
            queue = await sqs.Queue(bad.queue())
            return await outcome_of(queue.send_message(MessageBody="x"))

    assert isinstance(run(main), RefusedError)
    assert not bad.count("SendMessage")


def test_the_drop_in_stands_for_the_whole_of_aioboto3(aioboto3):
    import safe_sqs.aio as dropped_in

    assert dropped_in.Session is aio.Session
    assert dropped_in.session.Session is aio.Session
    assert dropped_in.__name__ == "safe_sqs.aio"
    assert pickle.loads(pickle.dumps(dropped_in.Session)) is dropped_in.Session


# --- processes and loops -----------------------------------------------------------------------------------------


def _in_child(settings: dict[str, Any], queue: str) -> str:
    async def main() -> str:
        async with aio.get_session().create_client("sqs", **settings) as client:
            try:
                await client.send_message(QueueUrl=queue, MessageBody="x")
            except GuardError as error:
                return type(error).__name__
            return "sent"

    return asyncio.run(main())


def _child(settings: dict[str, Any], queue: str, answers: Any) -> None:
    answers.put(_in_child(settings, queue))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_judges_and_has_threads_of_its_own(bad):
    settings = bad.settings()
    run(lambda: refusal_of(aio.get_session().create_client("sqs", **settings), bad))  # which starts the guard's threads
    forking = multiprocessing.get_context("fork")
    answers = forking.Queue()
    child = forking.Process(target=_child, args=(settings, bad.queue(), answers))
    child.start()
    assert answers.get(timeout=30) == "RefusedError"
    child.join()
    assert bad.count() == 2


def test_it_works_on_uvloop(bad):
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    outcome = loop.run_until_complete(refusal_of(aio.get_session().create_client("sqs", **bad.settings()), bad))
    loop.close()
    assert isinstance(outcome, RefusedError)


def test_no_call_blocks_the_loop_so_long_that_asyncio_complains(server, caplog):
    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 1.0
        async with aio.get_session().create_client("sqs", **server.settings()) as client:
            ticking = asyncio.create_task(turning([0]))
            for number in range(5):
                await client.send_message(QueueUrl=server.queue(str(number)), MessageBody="x")
            ticking.cancel()

    asyncio.run(main(), debug=True)
    assert [each for each in caplog.records if each.name == "asyncio" and "took" in each.message] == []


def test_importing_the_drop_in_loads_neither_the_guard_nor_aioboto3():
    program = (
        "import safe_sqs.aio, sys; print(*[n for n in ('safe_sqs.hooks', 'aioboto3', 'structlog') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
