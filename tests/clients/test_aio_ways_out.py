"""What aiobotocore offers to configure of its way out, in both of its HTTP libraries, is read as it is."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from aiobotocore import httpsession
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials
from aiohttp.abc import AbstractResolver
from clients.asynchronous import guarded_client, new_aio_session, outcome_of, run
from scripted import Answer, Asked, Server, attributes, fails, running
from sockets import certificates, listening, record_signatures
from support import LONG_TERM, TEMPORARY, UNENCRYPTED

from safe_sqs import RefusedError, guard

ONCE = {"retries": {"total_max_attempts": 1}}


def kinds() -> dict[str, Any]:
    """The HTTP sessions that this aiobotocore has, and whose library is installed."""
    found: dict[str, Any] = {"aiohttp": httpsession.AIOHTTPSession}
    try:
        from aiobotocore.httpxsession import HttpxSession

        pytest.importorskip("httpx")
    except (ImportError, pytest.skip.Exception):
        return found
    return {**found, "httpx": HttpxSession}


KINDS = kinds()

pytestmark = [
    pytest.mark.filterwarnings("ignore:aiobotocore's httpx backend:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:ssl_context is deprecated:DeprecationWarning"),
]


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def kind(request: pytest.FixtureRequest) -> Any:
    """A class of HTTP sessions."""
    return request.param


def config(kind: Any, **settings: Any) -> AioConfig:
    """A client's configuration with this HTTP session, which old versions take under no name."""
    named = "http_session_cls" in inspect.signature(AioConfig.__init__).parameters
    return AioConfig(**(ONCE | settings | ({"http_session_cls": kind} if named else {})))


async def sent(server: Server, client: dict[str, Any], calls: int = 1, **settings: Any) -> Any:
    async with guarded_client(server, client=client, **settings) as made:
        outcome: Any = None
        for number in range(calls):
            outcome = await outcome_of(made.send_message(QueueUrl=server.queue(f"queue-{number}"), MessageBody="x"))
        return outcome


def test_a_file_with_an_authority_is_fine(server, kind):
    assert run(lambda: sent(server, {"config": config(kind)}))["MessageId"]


@pytest.mark.parametrize("calls", [1, 2], ids=["at the first call", "at the second"])
def test_certificates_that_are_not_checked_are_refused(server, kind, calls, monkeypatch):
    signatures = record_signatures(monkeypatch)
    outcome = run(lambda: sent(server, {"config": config(kind), "verify": False}, calls))
    assert isinstance(outcome, RefusedError)
    assert [each.rule for each in outcome.findings] == ["tls-verification"]
    assert not server.asked
    assert not signatures


def blind() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def nameless(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    return context


@pytest.mark.parametrize("make", [lambda _: blind(), nameless], ids=["no certificates", "no names"])
@pytest.mark.parametrize("verify", [True, None, "file"])
def test_an_ssl_context_of_the_programs_own_that_does_not_check_never_carries_a_message(server, kind, make, verify):
    verify = server.authority if verify == "file" else verify
    settings = config(kind, connector_args={"ssl_context": make(server.authority)})
    outcome = run(lambda: sent(server, {"config": settings, "verify": verify}, 2))
    assert isinstance(outcome, Exception)
    assert not server.asked


def test_an_ssl_context_that_checks_is_fine(server, kind):
    if kind is httpsession.AIOHTTPSession:
        pytest.skip("aiobotocore makes its own for aiohttp, which takes one only")
    settings = config(kind, connector_args={"ssl_context": ssl.create_default_context(cafile=server.authority)})
    assert run(lambda: sent(server, {"config": settings, "verify": None}))["MessageId"]


def test_a_server_that_another_authority_vouches_for_gets_nothing(kind, tmp_path, server):
    context, _ = certificates(tmp_path)
    with listening(context=context) as impostor:
        client = {"config": config(kind), "endpoint_url": impostor.url}
        hosts = [impostor.netloc]
        outcome = run(lambda: sent(server, client, trusted_endpoint_hosts=hosts))
        assert isinstance(outcome, RefusedError)
        assert impostor.requests == []


def test_a_class_of_http_sessions_that_nobody_knows_is_refused(server):
    class Unknown(httpsession.AIOHTTPSession):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            del self._verify

    named = "http_session_cls" in inspect.signature(AioConfig.__init__).parameters
    if not named:
        pytest.skip("this aiobotocore has one class only")
    outcome = run(lambda: sent(server, {"config": config(Unknown)}))
    assert isinstance(outcome, RefusedError)
    assert not server.asked


KEY = {"KmsMasterKeyId": "arn:aws:kms:us-east-1:123456789012:key/1"}


def test_a_key_is_looked_at_over_the_same_way_with_the_same_certificates(server, kind):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **KEY)
    outcome = run(lambda: sent(server, {"config": config(kind)}, 3, levels={"queue-encryption": "customer-key"}))
    assert outcome["MessageId"]
    assert server.count("DescribeKey") == 3


def test_keys_of_many_queues_are_looked_at_at_once(server, kind):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **KEY)

    async def main() -> list[Any]:
        settings = {"levels": {"queue-encryption": "customer-key"}}
        async with guarded_client(server, client={"config": config(kind)}, **settings) as client:
            calls = [client.send_message(QueueUrl=server.queue(f"{n}"), MessageBody="x") for n in range(20)]
            first = await asyncio.gather(*calls)
            await client.send_message(QueueUrl=server.queue("last"), MessageBody="x")
            return first

    assert len(run(main)) == 20
    assert server.count("DescribeKey") == 21


# --- names -------------------------------------------------------------------------------------------------------


class Elsewhere(AbstractResolver):
    """Resolves by a table of the program's own."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[tuple[Any, ...]] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        self.asked.append((host, port, family))
        return [
            {"hostname": host, "host": self.address, "port": port, "family": 2, "proto": 0, "flags": 0},
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("address", "passes"), [("127.0.0.1", True), ("8.8.8.8", False)])
def test_the_route_is_judged_by_what_the_clients_own_resolver_says(server, address, passes):
    resolver = Elsewhere(address)
    client = {"config": AioConfig(**ONCE, connector_args={"resolver": resolver})}
    try:
        outcome = run(lambda: sent(server, client, modes={"vpc-route": "enforce"}))
    except Exception as error:  # an aiobotocore that takes none
        pytest.skip(f"{type(error).__name__}: {error}")
    assert isinstance(outcome, dict) is passes
    assert resolver.asked[0] == ("localhost", server.server_port, socket.AF_UNSPEC)
    if not passes:
        assert [each.rule for each in outcome.findings] == ["vpc-route"]
        assert address in str(outcome)


NOBODY = "nobody.invalid"


def test_it_is_the_name_of_the_endpoint_that_is_resolved(server, kind):
    client = {"config": config(kind), "endpoint_url": f"https://{NOBODY}"}
    settings = {"modes": {"vpc-route": "enforce"}, "trusted_endpoint_hosts": [NOBODY]}
    outcome = run(lambda: sent(server, client, **settings))
    assert "the endpoint's name does not resolve" in str(outcome)


# --- retries and credentials -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_a_refusal_is_not_tried_again(server, mode):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    client = {"config": AioConfig(retries={"mode": mode, "total_max_attempts": 5})}
    attempts: list[Any] = []

    async def main() -> Any:
        async with guarded_client(server, client=client) as made:
            made.meta.events.register("before-send.sqs.SendMessage", lambda **event: attempts.append(event))
            return await outcome_of(made.send_message(QueueUrl=server.queue(), MessageBody="x"))

    assert isinstance(run(main), RefusedError)
    assert len(attempts) == 1
    assert server.count() == 1


def test_each_attempt_is_judged(server, manual_clock):
    answers = [attributes, lambda asked: attributes(asked, **UNENCRYPTED)]
    server.script["GetQueueAttributes"] = lambda asked: answers.pop(0)(asked)

    def failing(_: Asked) -> Answer:
        manual_clock.advance(301)
        return fails("ServiceUnavailable", 503)

    server.script["SendMessage"] = failing
    client = {"config": AioConfig(retries={"mode": "standard", "total_max_attempts": 2})}
    outcome = run(lambda: sent(server, client, clock=manual_clock.clock))
    assert isinstance(outcome, RefusedError)
    assert server.count("SendMessage") == 1


def renewing(keys: dict[str, str], refreshed: list[Any]) -> Any:
    """Credentials that are fetched anew, asynchronously, before the first signature."""

    async def refresh() -> dict[str, str]:
        refreshed.append(keys)
        later = datetime.now(timezone.utc) + timedelta(hours=1)
        token = keys.get("aws_session_token")
        return {
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
            "token": token or "",
            "expiry_time": later.isoformat(),
        }

    class Provider:
        async def load_credentials(self) -> Any:
            return AioRefreshableCredentials(
                "ASIAEXAMPLEEXAMPLE00", "old", "old", datetime.now(timezone.utc), refresh, "assume-role"
            )

    return Provider()


@pytest.mark.parametrize(("keys", "passes"), [(TEMPORARY, True), (LONG_TERM, False)], ids=["temporary", "long-term"])
def test_credentials_that_renew_themselves_are_awaited_and_judged_as_they_then_are(server, keys, passes):
    refreshed: list[Any] = []

    async def main() -> Any:
        session = new_aio_session()
        session.register_component("credential_provider", renewing(keys, refreshed))
        settings = {name: value for name, value in server.settings().items() if name not in TEMPORARY}
        async with session.create_client("sqs", **settings) as client:
            guard(client, server.config())
            return await outcome_of(client.send_message(QueueUrl=server.queue(), MessageBody="x"))

    outcome = run(main)
    assert len(refreshed) == 1
    assert isinstance(outcome, dict) is passes
    if passes:
        assert all(keys["aws_access_key_id"] in each.headers["Authorization"] for each in server.asked)
    else:
        assert not server.asked


# --- the other event loop ----------------------------------------------------------------------------------------


def test_it_works_on_trio(server):
    trio = pytest.importorskip("trio")
    if "httpx" not in KINDS or not hasattr(httpsession, "_ProxySSLTCPConnector"):
        pytest.skip("this aiobotocore does not run on trio")
    server.script["GetQueueAttributes"] = lambda asked: attributes(
        asked, **({} if asked.queue.endswith("good") else UNENCRYPTED)
    )

    async def main() -> list[Any]:
        outcomes: list[Any] = []
        client = {"config": config(KINDS["httpx"])}

        async def send(made: Any, name: str) -> None:
            outcomes.append(await outcome_of(made.send_message(QueueUrl=server.queue(name), MessageBody="x")))

        with trio.fail_after(30):
            async with (
                guarded_client(server, client=client, modes={"vpc-route": "warn"}) as made,
                trio.open_nursery() as tasks,
            ):
                for number in range(40):
                    tasks.start_soon(send, made, ("good", "bad")[number % 2])
        return outcomes

    outcomes = trio.run(main)
    assert len([each for each in outcomes if isinstance(each, dict)]) == 20
    assert len([each for each in outcomes if isinstance(each, RefusedError)]) == 20
    assert server.count() == 2
