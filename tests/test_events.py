"""What is told, to whom, and how often: the records, the log, and the profile that only observes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
import scripted
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from scripted import Server, fails
from sockets import certificates, listening
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED, WIRE_ONLY

from safe_sqs import Config, Mode, RefusedError, events, guard, subscribe
from safe_sqs.events import LookedUp, Noticed, Outcome, Refused, Warned
from safe_sqs.rules import ALL_RULES

QUIET = {rule.name: "off" for rule in ALL_RULES if rule.baseline is not Mode.ENFORCE}
"""Modes in which nothing warns."""
OPEN = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)


def send(client: Any, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody="x")


def kinds(told: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in told]


def rules(told: list[events.Event], kind: type = Warned) -> list[str]:
    """The rules that spoke in the events of one kind."""
    return [finding.rule for event in told if isinstance(event, kind) for finding in event.findings]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose answers the test scripts."""
    with scripted.running() as running:
        yield running


# --- the log, in a process of its own ----------------------------------------------------------------------------

PROGRAM = """
    import logging, sys
    {before}
    import safe_sqs

    client = safe_sqs.client("sqs", endpoint_url="http://sqs.us-east-1.amazonaws.com", region_name="us-east-1",
                             aws_access_key_id="ASIAEXAMPLEEXAMPLE01", aws_secret_access_key="s", aws_session_token="t")
    try:
        client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/123456789012/q", MessageBody="the body")
    except safe_sqs.RefusedError:
        pass
    else:
        raise SystemExit("not refused")
    {after}
"""


def run(before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    """A program whose call is refused."""
    program = textwrap.dedent(PROGRAM).format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_without_any_logging_set_up_nothing_is_printed_to_standard_output():
    done = run()
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "event='SendMessage refused' rule='https-endpoint'" in done.stderr


def test_a_program_that_logs_with_the_standard_library_finds_it_under_the_name_of_the_package():
    done = run("logging.basicConfig(stream=sys.stderr, format='%(levelname)s|%(name)s|%(message)s')")
    assert done.stdout == ""
    level, name, message = done.stderr.strip().split("|")
    assert (level, name) == ("WARNING", "safe_sqs")
    assert message.startswith("event='SendMessage refused' rule='https-endpoint' queue='https://sqs.us-east-1")
    assert "found='plain HTTP to http://sqs.us-east-1.amazonaws.com'" in message
    assert "expected=" in message
    assert "next_step=" in message
    assert "the body" not in message


@pytest.mark.parametrize(
    "silenced",
    [
        "logging.getLogger('safe_sqs').setLevel(logging.ERROR)",
        "logging.getLogger('safe_sqs').addHandler(logging.NullHandler())",
        "logging.disable(logging.WARNING)",
    ],
)
def test_the_log_is_silenced_as_any_other(silenced):
    done = run(silenced)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_program_that_configured_structlog_finds_it_there_and_nowhere_else():
    done = run(
        "import structlog; logging.basicConfig(stream=sys.stderr); "
        "structlog.configure(processors=[structlog.processors.JSONRenderer()], "
        "logger_factory=structlog.PrintLoggerFactory(sys.stdout))"
    )
    record = json.loads(done.stdout)
    assert record["event"] == "SendMessage refused"
    assert record["rule"] == "https-endpoint"
    assert record["queue"] == "https://sqs.us-east-1.amazonaws.com/123456789012/q"
    assert set(record) == {"event", "rule", "queue", "found", "expected", "next_step"}
    assert done.stderr == ""


def test_structlog_is_not_configured_by_the_guard():
    run(after="import structlog; assert not structlog.is_configured()")


def test_structlog_that_is_configured_later_is_found_too():
    done = run(
        "logging.getLogger('safe_sqs').addHandler(logging.NullHandler())",
        "import structlog; structlog.configure(processors=[structlog.processors.JSONRenderer()]); "
        "safe_sqs.events.emit(safe_sqs.events.Noticed('topic', 'a sentence', 'a queue'))",
    )
    assert json.loads(done.stdout) == {"event": "a sentence", "topic": "topic", "queue": "a queue"}
    assert done.stderr == ""


# --- records -----------------------------------------------------------------------------------------------------


def test_a_refusal_is_told_with_the_findings_of_the_error(make_client, bad, told):
    with pytest.raises(RefusedError) as caught:
        send(make_client(modes=QUIET), bad)
    assert told == [
        LookedUp(bad, Outcome.REFUSES),
        Refused("SendMessage", bad, caught.value.findings),
    ]


def test_every_refused_call_is_told(make_client, bad, told):
    client = make_client(modes=QUIET)
    for _ in range(3):
        with pytest.raises(RefusedError):
            send(client, bad)
    assert kinds(told) == ["LookedUp", "Refused", "Refused", "Refused"]


@pytest.mark.parametrize(
    ("outcome", "script"),
    [
        (Outcome.PASSES, None),
        (Outcome.UNVERIFIABLE, fails("AccessDenied", 403)),
    ],
)
def test_a_look_up_is_told_with_its_outcome(outcome, script, server, told):
    if script:
        server.script["GetQueueAttributes"] = script
    try:
        send(server.client(modes=QUIET), server.queue())
    except RefusedError:
        assert script
    assert told[0] == LookedUp(server.queue(), outcome)


def test_nothing_is_told_of_a_call_that_passes(make_client, good, told, caplog, capfd):
    client = make_client(modes=QUIET)
    caplog.set_level(logging.DEBUG, "safe_sqs")
    send(client, good)
    assert told == [LookedUp(good, Outcome.PASSES)]
    told.clear()
    for _ in range(3):
        send(client, good)
        client.send_message_batch(QueueUrl=good, Entries=[{"Id": "1", "MessageBody": "x"}])
        for message in client.receive_message(QueueUrl=good)["Messages"]:
            client.delete_message(QueueUrl=good, ReceiptHandle=message["ReceiptHandle"])
        client.set_queue_attributes(QueueUrl=good, Attributes={"VisibilityTimeout": "7"})
        client.list_queues()
    assert [event for event in told if not isinstance(event, LookedUp)] == []
    assert [record for record in caplog.records if record.name == "safe_sqs"] == []
    assert capfd.readouterr() == ("", "")


def test_a_look_up_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG, "safe_sqs")
    events.emit(LookedUp("queue", Outcome.PASSES))
    assert caplog.records == []


def test_a_queue_that_only_warns_is_told_once_for_each_look(make_client, good, told, manual_clock):
    client = make_client(modes={**QUIET, "tls-only-policy": "warn"}, clock=manual_clock.clock)
    for _ in range(3):
        send(client, good)
        client.receive_message(QueueUrl=good)
    assert kinds(told) == ["Warned", "LookedUp"]
    assert (told[0].operation, told[0].queue) == ("SendMessage", good)
    assert [(finding.rule, finding.mode) for finding in told[0].findings] == [("tls-only-policy", Mode.WARN)]
    manual_clock.advance(301)
    for _ in range(3):
        send(client, good)
    assert kinds(told) == ["Warned", "LookedUp"] * 2


def test_a_connection_that_only_warns_is_told_once_for_each_kind_of_it(server, told):
    client = server.client(
        modes={**WIRE_ONLY, **QUIET, "static-credentials": "warn"},
        client={**LONG_TERM, "aws_session_token": None},
    )
    for _ in range(3):
        send(client, server.queue())
        client.list_queues()
    assert rules(told) == ["static-credentials"]
    client._request_signer._credentials = boto3.session.Session(
        aws_access_key_id="AKIAEXAMPLEEXAMPLE09", aws_secret_access_key="s"
    ).get_credentials()
    for _ in range(3):
        send(client, server.queue())
    assert rules(told) == ["static-credentials"] * 2


def test_an_operation_of_another_role_that_only_warns_is_told_once(server, told):
    client = server.client(role="consumer", modes={**WIRE_ONLY, **QUIET, "role-operations": "warn"})
    for _ in range(3):
        send(client, server.queue())
        client.list_queues()
    assert rules(told) == ["role-operations"]
    assert [(event.operation, event.queue) for event in told if isinstance(event, Warned)] == [
        ("SendMessage", server.queue())
    ]


def test_a_change_that_only_warns_is_told(make_client, good, told):
    client = make_client(modes={**QUIET, "queue-encryption": "warn"})
    client.set_queue_attributes(QueueUrl=good, Attributes=UNENCRYPTED)
    (warned,) = [event for event in told if isinstance(event, Warned)]
    assert (warned.operation, warned.queue) == ("SetQueueAttributes", good)


def test_a_call_that_is_refused_for_one_thing_still_warns_of_another(make_client, bad, told):
    with pytest.raises(RefusedError):
        send(make_client(modes={**QUIET, "tls-only-policy": "warn"}), bad)
    assert (rules(told), rules(told, Refused)) == (["tls-only-policy"], ["queue-encryption"])


def test_a_queue_of_another_region_is_noticed_once(server, told, caplog):
    client = server.client(modes=QUIET)
    elsewhere = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
    for _ in range(3):
        send(client, elsewhere)
    (noticed,) = [event for event in told if isinstance(event, Noticed)]
    assert (noticed.topic, noticed.queue) == ("queue-region", elsewhere)
    assert noticed.text == "the queue URL names the region eu-west-1, but the client sends to us-east-1"
    assert noticed.text in caplog.text


@pytest.mark.parametrize(
    "queue",
    ["https://sqs.us-east-1.amazonaws.com/123456789012/orders", "https://us-east-1.queue.amazonaws.com/123456789012/q"],
)
def test_a_queue_of_the_same_region_is_not_noticed(queue, server, told):
    send(server.client(modes=QUIET), queue)
    assert kinds(told) == ["LookedUp"]


def test_a_configuration_that_refuses_less_than_usual_is_noticed_once(server, told):
    def loosened() -> list[str]:
        return [event.text for event in told if isinstance(event, Noticed) and event.topic == "loosened"]

    # A time to live that no other test uses, because what was told once in a process is not told again.
    loose = {"modes": {"public-access": "warn", "https-endpoint": "off"}, "ttl_seconds": 12_345}
    for _ in range(2):
        server.client(**loose)
    (text,) = loosened()
    assert "public-access is warn" in text
    assert "https-endpoint is off" in text
    assert "queue-encryption" not in text
    server.client(profile="local", ttl_seconds=12_345)
    assert "loopback" in loosened()[1]
    server.client(ttl_seconds=12_345)
    server.client(profile="strict", ttl_seconds=12_345)
    assert len(loosened()) == 2


def test_a_check_at_start_that_is_refused_is_told(make_client, bad, told):
    with pytest.raises(RefusedError) as caught:
        make_client(verify_queues=[bad], modes=QUIET)
    assert told[-1] == Refused("the check at start", bad, caught.value.findings)


def test_a_check_at_start_that_is_refused_for_its_way_out_is_told_too(make_client, good, told):
    with pytest.raises(RefusedError) as caught:
        make_client(verify_queues=[good], modes=QUIET, client={**LONG_TERM, "aws_session_token": None})
    assert rules(told, Refused) == ["static-credentials"]
    assert caught.value.operation == "the check at start"


@pytest.mark.parametrize("event", [Refused("a", "b", ()), Warned("a", "b", ()), Noticed("a", "b"), LookedUp("a", "b")])
def test_records_are_frozen(event):
    for name in (*event._fields, "something_new"):
        with pytest.raises(AttributeError):
            setattr(event, name, "x")


# --- subscribers -------------------------------------------------------------------------------------------------

EVENT = LookedUp("queue", Outcome.PASSES)


def test_whoever_subscribes_is_told_until_the_end_of_it():
    first: list[events.Event] = []
    second: list[events.Event] = []
    end_first, end_second = subscribe(first.append), subscribe(second.append)
    events.emit(EVENT)
    end_first()
    end_first()
    events.emit(EVENT)
    end_second()
    events.emit(EVENT)
    assert (first, second) == ([EVENT], [EVENT, EVENT])


def test_a_callback_that_subscribed_twice_is_ended_once_at_a_time():
    seen: list[events.Event] = []
    callback = seen.append
    end_first, end_second = subscribe(callback), subscribe(callback)
    events.emit(EVENT)
    end_first()
    events.emit(EVENT)
    end_second()
    events.emit(EVENT)
    assert len(seen) == 3


def test_a_subscriber_that_crashes_changes_nothing(make_client, good, bad, told, caplog):
    ends = subscribe(lambda _: 1 / 0)
    also: list[events.Event] = []
    ends_also = subscribe(also.append)
    try:
        client = make_client(modes=QUIET)
        send(client, good)
        with pytest.raises(RefusedError) as caught:
            send(client, bad)
    finally:
        ends()
        ends_also()
    assert [finding.rule for finding in caught.value.findings] == ["queue-encryption"]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert told == also
    assert kinds(also) == ["LookedUp", "LookedUp", "Refused"]
    assert caplog.text.count("a subscriber of safe_sqs failed") == 3
    assert "ZeroDivisionError" in caplog.text


def test_a_subscriber_may_end_itself_while_it_is_told():
    seen: list[events.Event] = []

    def once(event: events.Event) -> None:
        seen.append(event)
        end()

    end = subscribe(once)
    events.emit(EVENT)
    events.emit(EVENT)
    assert seen == [EVENT]


# --- observing ---------------------------------------------------------------------------------------------------


@pytest.fixture
def observing(make_raw, make_config) -> Any:
    """Make a client that only observes the emulator."""

    def make(client: dict[str, Any] | None = None, **settings: Any) -> Any:
        return guard(make_raw(**(client or {})), make_config(profile="observe", **settings))

    return make


def use(client: Any, queue: str) -> None:
    """Send, receive and settle a message."""
    client.send_message(QueueUrl=queue, MessageBody="x")
    client.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "x"}])
    for message in client.receive_message(QueueUrl=queue)["Messages"]:
        client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def worst(raw, make_queue) -> str:
    """A queue with which everything is wrong."""
    dead = make_queue("-dead", **UNENCRYPTED)
    arn = raw.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    url: str = make_queue("-worst", Policy=OPEN, RedrivePolicy=redrive, **UNENCRYPTED)
    return url


def test_observing_warns_of_everything_that_is_wrong_with_a_queue_and_refuses_nothing(observing, worst, told):
    use(observing(), worst)
    assert "Refused" not in kinds(told)
    assert set(rules(told)) == {rule.name for rule in ALL_RULES if rule.attributes}
    assert {finding.mode for event in told if isinstance(event, Warned) for finding in event.findings} == {Mode.WARN}


def test_observing_verifies_queues_at_start_and_refuses_none(observing, worst, told):
    observing(verify_queues=[worst])
    assert "queue-encryption" in rules(told)
    assert "Refused" not in kinds(told)


@pytest.mark.parametrize("role", ["producer", "consumer", "administrator"])
def test_observing_warns_of_operations_of_another_role(role, observing, good, told):
    client = observing(role=role)
    use(client, good)
    client.set_queue_attributes(QueueUrl=good, Attributes={"VisibilityTimeout": "7"})
    assert "role-operations" in rules(told)
    assert "Refused" not in kinds(told)


def test_observing_warns_of_a_change_for_the_worse(observing, good, told, raw):
    observing().set_queue_attributes(QueueUrl=good, Attributes={**UNENCRYPTED, "Policy": OPEN})
    state = raw.get_queue_attributes(QueueUrl=good, AttributeNames=["All"])["Attributes"]
    assert state["SqsManagedSseEnabled"] == "false"
    assert {"queue-encryption", "public-access"} <= set(rules(told))
    assert "Refused" not in kinds(told)


def test_observing_warns_of_long_term_credentials(observing, good, told):
    use(observing(client={**LONG_TERM, "aws_session_token": None}), good)
    assert "static-credentials" in rules(told)
    assert "Refused" not in kinds(told)


def test_observing_warns_of_unsigned_requests(server, told):
    client = server.client(
        profile="observe", client={"config": scripted.ONCE.merge(ClientConfig(signature_version=UNSIGNED))}
    )
    send(client, server.queue())
    assert "static-credentials" in rules(told)
    assert "Refused" not in kinds(told)


def test_observing_warns_of_switched_off_certificate_checks(server, told):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unverified HTTPS request")
        send(server.client(profile="observe", client={"verify": False}), server.queue())
    assert "tls-verification" in rules(told)
    assert "Refused" not in kinds(told)


@pytest.mark.parametrize("trouble", [fails("AccessDenied", 403), fails("InternalFailure", 500), scripted.RESET])
def test_observing_warns_of_a_queue_that_cannot_be_read(trouble, server, told):
    server.script["GetQueueAttributes"] = trouble
    send(server.client(profile="observe"), server.queue())
    assert server.count("SendMessage") == 1
    assert "queue-attributes" in rules(told)
    assert "Refused" not in kinds(told)


@pytest.fixture
def plain_and_tls(tmp_path) -> Iterator[tuple[str, str, str]]:
    """The URLs of a server on plain HTTP and of one on TLS that nobody trusts, and the authority of the latter."""
    context, authority = certificates(tmp_path)
    with ExitStack() as stack:
        plain = stack.enter_context(listening())
        tls = stack.enter_context(listening(context=context))
        yield plain.url, tls.url, authority


def listener_client(url: str, authority: str, **settings: Any) -> Any:
    client = boto3.session.Session().client(
        "sqs", endpoint_url=url, verify=authority, region_name=REGION, config=scripted.ONCE, **TEMPORARY
    )
    return guard(client, Config(profile="observe", **settings))


def test_observing_warns_of_plain_http_and_of_a_host_that_nobody_knows(plain_and_tls, told):
    plain, tls, authority = plain_and_tls
    send(listener_client(plain, authority), f"{plain}/123456789012/q")
    assert {"https-endpoint", "endpoint-host"} <= set(rules(told))
    told.clear()
    send(listener_client(tls, authority), f"{tls}/123456789012/q")
    assert "endpoint-host" in rules(told)
    assert "https-endpoint" not in rules(told)
    assert "Refused" not in kinds(told)


def test_observing_warns_of_a_request_that_cannot_be_read(plain_and_tls, told):
    _, tls, authority = plain_and_tls
    client = listener_client(tls, authority)

    def garble(request: Any, **_: Any) -> None:
        request.data = b"Action=SendMessage"

    client.meta.events.register("before-sign.sqs.SendMessage", garble)
    send(client, f"{tls}/123456789012/q")
    assert "request-body" in rules(told)
    assert "Refused" not in kinds(told)
