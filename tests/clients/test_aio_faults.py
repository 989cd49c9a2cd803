"""Under faults of network and service asynchronous clients send nothing unsafe either, and nothing is lost, doubled or
stuck: a short form of `make faults`. And a redirect takes nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clients.asynchronous import guarded_client, outcome_of, raw_client, run
from faults import runs
from faults.catalogue import FAULTS_BY_NAME, Level
from faults.runs import World
from scripted import Answer, Asked, Server, attributes
from scripted import running as scripted_server
from sockets import Listener, listening
from support import TEMPORARY

from safe_sqs import UnverifiableError, guard

JOBS = 16
KEY = "key-of-the-queue"
REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with runs.world(timeout=1.0) as made:
        yield made


@pytest.fixture
def server() -> Iterator[Server]:
    with scripted_server() as one:
        yield one


@pytest.fixture
def plain() -> Iterator[Listener]:
    """A server that speaks plain HTTP, and answers as a service with good queues."""
    with listening() as one:
        yield one


@pytest.mark.parametrize("level", Level)
def test_under_every_fault_nothing_unsafe_leaves_and_nothing_is_lost_doubled_or_stuck(world, level):
    cases = [case for case in runs.short_cases(["async"]) if FAULTS_BY_NAME[case.fault].level is level]
    reports = runs.try_all(world, cases, JOBS)
    assert {str(report.case): report.problems for report in reports if report.problems} == {}
    assert all(report.counts["faults"] for report in reports)
    assert sum(report.counts["messages sent"] for report in reports) > len(reports)


# --- redirects ----------------------------------------------------------------------------------------------------


def redirect(plain: Listener, status: int) -> Answer:
    return Answer(b"", status, {"Location": plain.url})


def encrypted_by_a_key(asked: Asked) -> Answer:
    return attributes(asked, KmsMasterKeyId=KEY)


async def send(server: Server, **settings: Any) -> Any:
    """How a message of a guarded client ends."""
    async with guarded_client(server, **settings) as client:
        return await outcome_of(client.send_message(QueueUrl=server.queue(), MessageBody="for your eyes only"))


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_takes_neither_a_message_nor_a_session_token_to_plain_http(server, plain, status):
    server.script["SendMessage"] = redirect(plain, status)
    error = run(lambda: send(server))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert plain.requests == []
    assert server.count("SendMessage") == 1


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("operation", ["GetQueueAttributes", "DescribeKey"])
def test_a_look_follows_no_redirect_either(server, plain, operation, status):
    server.script["GetQueueAttributes"] = encrypted_by_a_key
    server.script[operation] = redirect(plain, status)
    error = run(lambda: send(server, levels={"queue-encryption": "customer-key"}))
    assert type(error) is UnverifiableError
    assert plain.requests == []
    assert server.count("SendMessage") == 0


def test_no_redirect_is_followed_to_another_host_over_https(server):
    with scripted_server() as other:
        server.script["SendMessage"] = Answer(b"", 307, {"Location": f"{other.url}/"})
        error = run(lambda: send(server))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 307
    assert other.asked == []


def test_redirects_are_not_followed_by_an_http_session_that_is_put_in_later(server, plain):
    """The second one is judged anew, and its redirects are an answer like those of the first."""

    async def main() -> Any:
        async with guarded_client(server) as client, raw_client(server) as other:
            await client.send_message(QueueUrl=server.queue(), MessageBody="x")
            server.script["SendMessage"] = redirect(plain, 307)
            own, client._endpoint.http_session = client._endpoint.http_session, other._endpoint.http_session
            error = await outcome_of(client.send_message(QueueUrl=server.queue(), MessageBody="x"))
            client._endpoint.http_session = own
            return error

    assert run(main).response["ResponseMetadata"]["HTTPStatusCode"] == 307
    assert plain.requests == []


def test_redirects_are_not_followed_by_an_http_session_that_somebody_else_has_wrapped(server, plain):
    """As tracing does: what hands out the session of aiohttp is then the wrapper's already."""

    async def main() -> Any:
        async with raw_client(server) as client:
            session = client._endpoint.http_session
            theirs, calls = session._get_session, []

            async def wrapped(proxy_url: Any) -> Any:
                calls.append(proxy_url)
                return await theirs(proxy_url)

            session._get_session = wrapped
            guard(client, server.config())
            server.script["SendMessage"] = redirect(plain, 307)
            error = await outcome_of(client.send_message(QueueUrl=server.queue(), MessageBody="x"))
            assert len(calls) == 2  # the look and the call
            return error

    assert run(main).response["ResponseMetadata"]["HTTPStatusCode"] == 307
    assert plain.requests == []


def test_where_nothing_is_refused_redirects_are_left_as_they_were(server, plain):
    """A client under the profile `observe` does what it did before: aiohttp follows."""
    server.script["SendMessage"] = redirect(plain, 307)
    run(lambda: send(server, profile="observe"))
    assert len(plain.requests) == 1
    assert plain.requests[0].headers["X-Amz-Security-Token"] == TEMPORARY["aws_session_token"]
