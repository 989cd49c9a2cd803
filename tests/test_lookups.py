"""Look-ups end to end: when the guard asks about a queue, what it asks, and what becomes of an answer that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import pytest
import scripted
import support
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError
from scripted import RESET, Answer, Asked, Server, attributes, fails, says
from support import LONG_TERM, REGION, UNENCRYPTED

from safe_sqs import Mode, RefusedError, UnverifiableError, subscribe
from safe_sqs.cache import REFUSAL_SECONDS, UNVERIFIABLE_SECONDS
from safe_sqs.events import LookedUp, Noticed, Outcome, Refused, Warned
from safe_sqs.hooks import unreadable
from safe_sqs.model import Ask, Unreadable
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME

THREADS = 64
TTL = 300.0
QUEUE_RULES = [rule.name for rule in ALL_RULES if rule.attributes]
NONE_OFF_BUT = {rule: {each: "off" for each in QUEUE_RULES if each != rule} for rule in QUEUE_RULES}
NO_QUEUE_RULES = dict.fromkeys(QUEUE_RULES, "off")
SECRET = "IQoJb3JpZ2luX2VjSESSIONTOKEN"
OPEN_POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose answers the test scripts."""
    with scripted.running() as running:
        yield running


def send(client, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody="body")


def receive(client, queue: str) -> None:
    client.receive_message(QueueUrl=queue, WaitTimeSeconds=0)


def refusal(client, queue: str, use: Callable = send) -> RefusedError:
    """The error with which a call is refused."""
    with pytest.raises(RefusedError) as caught:
        use(client, queue)
    return caught.value


def unverifiable(client, queue: str) -> UnverifiableError:
    """The error with which a call is refused because nothing could be told."""
    error = refusal(client, queue)
    assert type(error) is UnverifiableError
    assert all(finding.unverifiable for finding in error.findings)
    assert (error.operation, error.queue) == ("SendMessage", queue)
    return error


def look_ups(client) -> Counter[str]:
    """The GetQueueAttributes that leave a client, by queue, from now on."""
    sent: Counter[str] = Counter()
    lock = Lock()

    def count(request, **_) -> None:
        with lock:
            sent[json.loads(request.body)["QueueUrl"]] += 1

    client.meta.events.register_first("before-send.sqs.GetQueueAttributes", count)
    return sent


def at_once(work: Callable[[], object], threads: int = THREADS) -> list[object]:
    """Do something in many threads at once. Returns what each gave, or the error that each got."""
    barrier = Barrier(threads)

    def one(_: int) -> object:
        barrier.wait(60)
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def when_all_are_there(client, operation: str = "SendMessage", threads: int = THREADS) -> Event:
    """An event that is set when so many calls of a client have come as far as its signature."""
    there, lock, arrived = Event(), Lock(), []

    def arrive(**_) -> None:
        with lock:
            arrived.append(1)
            if len(arrived) >= threads:
                there.set()

    client.meta.events.register_first(f"before-sign.sqs.{operation}", arrive)
    return there


# --- how many look-ups ---------------------------------------------------------------------------------------------


def test_each_queue_is_looked_up_once_per_ttl_under_many_threads(make_client, make_queue, manual_clock):
    client = make_client(clock=manual_clock.clock, ttl_seconds=TTL)
    queues = [make_queue("-one"), make_queue("-two")]
    sent = look_ups(client)

    def work() -> None:
        for queue in queues * 2:
            send(client, queue)
            receive(client, queue)

    assert at_once(work, 16) == [None] * 16
    assert sent == dict.fromkeys(queues, 1)
    manual_clock.advance(TTL)
    assert at_once(work, 16) == [None] * 16
    assert sent == dict.fromkeys(queues, 2)


def test_sixty_four_threads_on_a_cold_queue_make_one_look_up(server):
    client = server.client()
    all_there = when_all_are_there(client)
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked)._replace(after=all_there)
    assert at_once(lambda: send(client, server.queue())) == [None] * THREADS
    assert (server.count(), server.count("SendMessage")) == (1, THREADS)


def test_sixty_four_threads_make_one_look_up_when_it_fails_and_each_gets_the_reason(server):
    client = server.client()
    server.script["GetQueueAttributes"] = fails("InternalFailure", 500)._replace(after=when_all_are_there(client))
    errors = at_once(lambda: send(client, server.queue()))
    assert {type(error) for error in errors} == {UnverifiableError}
    assert {str(error) for error in errors} == {str(errors[0])}
    assert (server.count(), server.count("SendMessage")) == (1, 0)


def test_sixty_four_threads_make_one_look_up_when_the_queue_is_bad(server):
    client = server.client()
    all_there = when_all_are_there(client)
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)._replace(after=all_there)
    errors = at_once(lambda: send(client, server.queue()))
    assert {error.findings[0].rule for error in errors} == {"queue-encryption"}
    assert (server.count(), server.count("SendMessage")) == (1, 0)


def test_many_threads_expire_a_refusal_with_one_look_up(server, manual_clock):
    client = server.client(clock=manual_clock.clock)
    server.script["GetQueueAttributes"] = fails("ThrottlingException")
    unverifiable(client, server.queue())
    manual_clock.advance(UNVERIFIABLE_SECONDS)
    all_there = when_all_are_there(client)
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked)._replace(after=all_there)
    assert at_once(lambda: send(client, server.queue())) == [None] * THREADS
    assert server.count() == 2


def test_without_credentials_every_thread_gets_the_error_of_botocore(server):
    missing = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"))
    client = server.client(client=missing)
    errors = at_once(lambda: send(client, server.queue()), 8)
    assert {type(error) for error in errors} == {NoCredentialsError}
    assert server.asked == []


def test_operations_on_messages_that_are_held_need_no_look_up(server):
    client = server.client()
    queue = server.queue()
    entries = [{"Id": "1", "ReceiptHandle": "handle"}]
    client.delete_message(QueueUrl=queue, ReceiptHandle="handle")
    client.delete_message_batch(QueueUrl=queue, Entries=entries)
    client.change_message_visibility(QueueUrl=queue, ReceiptHandle="handle", VisibilityTimeout=1)
    client.change_message_visibility_batch(QueueUrl=queue, Entries=[entries[0] | {"VisibilityTimeout": 1}])
    assert server.count() == 0
    assert len(server.asked) == 4


def test_a_look_up_that_passes_writes_nothing(server, told, caplog, capfd):
    client = server.client(modes=dict.fromkeys(("tls-only-policy", "least-privilege"), "off"))
    for _ in range(3):
        send(client, server.queue())
    assert told == [LookedUp(server.queue(), Outcome.PASSES)]
    assert [record for record in caplog.records if record.name.startswith("safe_sqs")] == []
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_refused_call_is_told_once_and_its_look_up_is_not_told_as_refused(server, told):
    server.script["GetQueueAttributes"] = fails("ThrottlingException")
    error = unverifiable(server.client(), server.queue())
    assert told == [
        LookedUp(server.queue(), Outcome.UNVERIFIABLE),
        Refused("SendMessage", server.queue(), error.findings),
    ]


# --- what is asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", QUEUE_RULES)
def test_only_the_attributes_that_the_rules_need_are_asked_for(server, rule):
    client = server.client(modes=NONE_OFF_BUT[rule] | {rule: "warn"})
    send(client, server.queue())
    wanted = sorted({"QueueArn", *RULES_BY_NAME[rule].attributes})
    assert [
        list(asked.parameters["AttributeNames"]) for asked in server.asked if "AttributeNames" in asked.parameters
    ] == [wanted]


def test_the_baseline_asks_for_five_attributes_and_never_for_all(server):
    send(server.client(), server.queue())
    assert server.asked[0].parameters == {
        "QueueUrl": server.queue(),
        "AttributeNames": ["KmsMasterKeyId", "Policy", "QueueArn", "RedrivePolicy", "SqsManagedSseEnabled"],
    }


def test_nothing_is_asked_when_all_queue_rules_are_off(server):
    client = server.client(modes=NO_QUEUE_RULES)
    send(client, server.queue())
    receive(client, server.queue())
    assert [asked.operation for asked in server.asked] == ["SendMessage", "ReceiveMessage"]


def test_a_rule_that_is_off_does_not_judge_even_when_the_answer_tells_more(server):
    server.script["GetQueueAttributes"] = lambda asked: says(
        Attributes={**json.loads(attributes(asked).body)["Attributes"], "Policy": OPEN_POLICY}
    )
    send(
        server.client(modes={"public-access": "off", "least-privilege": "off", "tls-only-policy": "off"}),
        server.queue(),
    )


def test_the_look_up_is_made_by_the_guarded_client_itself(server):
    """Its credentials, its endpoint, its retries: what may send may also ask."""
    client = server.client(client={"config": ClientConfig(user_agent_extra="told-by-the-program")})
    send(client, server.queue())
    assert ["told-by-the-program" in asked.headers["User-Agent"] for asked in server.asked] == [True, True]


# --- early refresh and the end of a verdict ------------------------------------------------------------------------


def test_one_caller_refreshes_early_and_the_others_go_on_meanwhile(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    manual_clock.advance(0.96 * TTL)
    under_way, go_on = Event(), Event()

    def slow(asked: Asked) -> Answer:
        under_way.set()
        return attributes(asked)._replace(after=go_on)

    server.script["GetQueueAttributes"] = slow
    with ThreadPoolExecutor(1) as pool:
        refresher = pool.submit(send, client, server.queue())
        assert under_way.wait(60)
        assert at_once(lambda: send(client, server.queue()), 8) == [None] * 8
        assert not refresher.done()
        go_on.set()
        refresher.result(60)
    assert server.count() == 2
    manual_clock.advance(0.79 * TTL)
    send(client, server.queue())
    assert server.count() == 2, "the new verdict has a life of its own"


@pytest.mark.parametrize(
    "trouble",
    [
        fails("ThrottlingException", query_code="RequestThrottled"),
        fails("InternalFailure", 500),
        fails("AccessDeniedException", query_code="AccessDenied"),
        RESET,
        Answer(b"{"),
    ],
    ids=["throttled", "500", "denied", "reset", "garbled"],
)
def test_a_valid_verdict_survives_failed_refreshes_until_its_end_and_not_a_moment_longer(server, manual_clock, trouble):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    server.script["GetQueueAttributes"] = trouble
    for elapsed in (0.96 * TTL, 0.96 * TTL + UNVERIFIABLE_SECONDS, TTL - 0.001):
        manual_clock.advance(1_000.0 + elapsed - manual_clock.seconds)
        send(client, server.queue())
        receive(client, server.queue())
    assert server.count() == 4, "one look-up for each refresh"
    manual_clock.advance(1_000.0 + TTL - manual_clock.seconds)
    unverifiable(client, server.queue())
    refusal(client, server.queue(), receive)


def breaks_look_ups(client, before: Callable[[], None] = lambda: None) -> None:
    """Have a handler of the program's own raise at each GetQueueAttributes that is about to leave."""

    def crash(**_) -> None:
        before()
        raise RuntimeError("a handler of the program's own")

    client.meta.events.register_first("before-send.sqs.GetQueueAttributes", crash)


def test_a_valid_verdict_survives_a_refresh_that_crashes(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    breaks_look_ups(client)
    manual_clock.advance(0.96 * TTL)
    send(client, server.queue())
    manual_clock.advance(0.04 * TTL)
    with pytest.raises(RuntimeError):
        send(client, server.queue())
    assert server.count("SendMessage") == 2


def test_a_verdict_that_ends_while_its_refresh_crashes_is_not_served(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    manual_clock.advance(TTL - 1)
    breaks_look_ups(client, before=lambda: manual_clock.advance(1))
    with pytest.raises((RuntimeError, RefusedError)):
        send(client, server.queue())
    assert server.count("SendMessage") == 1


def test_a_verdict_that_ends_while_its_refresh_fails_is_not_served(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    manual_clock.advance(TTL - 1)

    def late(_: Asked) -> Answer:
        manual_clock.advance(1)
        return fails("ThrottlingException")

    server.script["GetQueueAttributes"] = late
    unverifiable(client, server.queue())


def test_a_handler_that_uses_the_queue_during_its_look_up_is_refused_and_does_not_hang(server):
    client = server.client()
    errors: list[RefusedError] = []
    client.meta.events.register_first(
        "before-send.sqs.GetQueueAttributes", lambda **_: errors.append(refusal(client, server.queue()))
    )
    thread = Thread(target=send, args=(client, server.queue()), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert server.count("SendMessage") == 1


def test_a_subscriber_may_use_the_client_that_it_hears_about(server):
    client = server.client()
    unsubscribe = subscribe(lambda event: send(client, server.queue("alarms")) if isinstance(event, Refused) else None)
    server.script["GetQueueAttributes"] = lambda asked: (
        attributes(asked) if asked.queue == server.queue("alarms") else attributes(asked, **UNENCRYPTED)
    )
    refusal(client, server.queue())
    unsubscribe()
    assert server.count("SendMessage", server.queue("alarms")) == 1


def test_a_refresh_that_finds_the_queue_bad_refuses_at_once(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    manual_clock.advance(0.96 * TTL)
    refusal(client, server.queue())
    refusal(client, server.queue())
    assert server.count() == 2


def test_a_refresh_that_sees_something_bad_refuses_even_when_the_dead_letter_queue_cannot_be_read(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    redrive = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:dead", "maxReceiveCount": 3})
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, RedrivePolicy=redrive)
    send(client, server.queue())

    def worse(asked: Asked) -> Answer:
        if asked.queue == server.queue("dead"):
            return fails("ThrottlingException")
        return attributes(asked, RedrivePolicy=redrive, Policy=OPEN_POLICY)

    server.script["GetQueueAttributes"] = worse
    manual_clock.advance(0.96 * TTL)
    rules = {finding.rule for finding in refusal(client, server.queue()).findings}
    assert rules == {"public-access", "dead-letter-queue"}


@pytest.mark.parametrize(
    ("script", "seconds"),
    [
        (fails("InternalFailure", 500), UNVERIFIABLE_SECONDS),
        (lambda asked: attributes(asked, **UNENCRYPTED), REFUSAL_SECONDS),
    ],
    ids=["could not tell", "bad"],
)
def test_a_refusal_is_reused_for_a_short_while_and_a_mended_queue_works_after_it(server, manual_clock, script, seconds):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    server.script["GetQueueAttributes"] = script
    first = refusal(client, server.queue())
    server.script["GetQueueAttributes"] = attributes
    manual_clock.advance(seconds - 0.001)
    assert refusal(client, server.queue()).findings == first.findings
    assert server.count() == 1
    manual_clock.advance(0.001)
    send(client, server.queue())
    assert server.count() == 2


def test_a_wall_clock_that_jumps_forward_ends_a_verdict(server, manual_clock):
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL)
    send(client, server.queue())
    manual_clock.wall_seconds += TTL
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    refusal(client, server.queue())


# --- look-ups that fail --------------------------------------------------------------------------------------------


def half(asked: Asked) -> Answer:
    """The attributes without the ARN, so that nothing says which queue they belong to."""
    return says(Attributes={"SqsManagedSseEnabled": "true"})


def of_another_queue(asked: Asked) -> Answer:
    return attributes(asked, QueueArn=f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:another")


def of_another_account(asked: Asked) -> Answer:
    return attributes(asked, QueueArn=f"arn:aws:sqs:{REGION}:999999999999:queue")


NONSENSE = "an answer that makes no sense"
TROUBLES: dict[str, tuple[scripted.Script | Answer, str]] = {
    "throttled": (fails("ThrottlingException"), "ThrottlingException"),
    "throttled, old code": (fails("ThrottlingException", query_code="RequestThrottled"), "RequestThrottled"),
    "500": (fails("InternalFailure", 500), "InternalFailure"),
    "503 of a load balancer": (Answer(b"<html>Service Unavailable</html>", 503), "503"),
    "503 without a body": (Answer(b"", 503), "503"),
    "redirect": (Answer(b"", 302, {"Location": "https://localhost:1/"}), "302"),
    "connection reset": (RESET, "ConnectionClosedError"),
    "deleted queue": (
        fails("QueueDoesNotExist", query_code="AWS.SimpleQueueService.NonExistentQueue"),
        "AWS.SimpleQueueService.NonExistentQueue",
    ),
    "denied": (fails("AccessDeniedException", 403, query_code="AccessDenied"), "AccessDenied"),
    "denied, new code only": (fails("AccessDeniedException", 400), "AccessDeniedException"),
    "expired credentials": (fails("ExpiredTokenException", 403), "ExpiredTokenException"),
    "half a JSON document": (Answer(b'{"Attributes": {"SqsManagedSseEnabled"'), NONSENSE),
    "empty body": (Answer(b""), NONSENSE),
    "empty object": (Answer(b"{}"), NONSENSE),
    "JSON list": (Answer(b"[1]"), NONSENSE),
    "JSON null": (Answer(b"null"), NONSENSE),
    "JSON of endless depth": (Answer(b"[" * 200_000), NONSENSE),
    "not UTF-8": (Answer(b'\xff\xfe{"Attributes": {}}'), NONSENSE),
    "attributes are null": (says(Attributes=None), NONSENSE),
    "attributes are a list": (says(Attributes=["QueueArn"]), NONSENSE),
    "attributes are numbers": (lambda asked: attributes(asked, SqsManagedSseEnabled=1), NONSENSE),
    "neither true nor false": (lambda asked: attributes(asked, SqsManagedSseEnabled="yes"), NONSENSE),
    "half the attributes": (half, NONSENSE),
    "of another queue": (of_another_queue, NONSENSE),
    "of another account": (of_another_account, NONSENSE),
    "an ARN that is none": (lambda asked: attributes(asked, QueueArn="queue"), NONSENSE),
}


@pytest.mark.parametrize(("script", "found"), TROUBLES.values(), ids=TROUBLES)
def test_a_look_up_that_fails_refuses_and_says_what_came(server, script, found):
    server.script["GetQueueAttributes"] = script
    client = server.client()
    error = unverifiable(client, server.queue())
    assert [each.rule for each in error.findings] == ["queue-attributes"]
    assert error.findings[0].found == f"the queue's attributes could not be read: {found}"
    assert "queue-encryption" in error.findings[0].expected
    refusal(client, server.queue(), receive)
    assert server.count("SendMessage") + server.count("ReceiveMessage") == 0


def test_a_read_timeout_refuses(server):
    never = Event()
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked)._replace(after=never)
    impatient = scripted.ONCE.merge(ClientConfig(read_timeout=0.2))
    error = unverifiable(server.client(client={"config": impatient}), server.queue())
    never.set()
    assert error.findings[0].found.endswith("ReadTimeoutError")


def test_a_server_that_went_away_refuses(server):
    client = server.client()
    server.script["GetQueueAttributes"] = RESET
    server.script["SendMessage"] = RESET
    unverifiable(client, server.queue())


@pytest.mark.parametrize(
    "retries", [{"mode": "legacy"}, {"mode": "standard"}, {"mode": "adaptive"}], ids=lambda it: it["mode"]
)
def test_a_look_up_is_retried_as_botocore_retries_before_it_counts_as_failed(server, retries):
    answers = iter([fails("InternalFailure", 503)])
    server.script["GetQueueAttributes"] = lambda asked: next(answers, None) or attributes(asked)
    send(server.client(client={"config": ClientConfig(retries=retries)}), server.queue())
    assert (server.count(), server.count("SendMessage")) == (2, 1)


@pytest.mark.parametrize(
    "denial",
    [
        fails("AccessDeniedException", 403, query_code="AccessDenied"),
        fails("AccessDeniedException"),
        fails("AccessDenied", 403),
    ],
)
def test_a_denied_look_up_names_the_permission_that_is_missing(server, denial):
    server.script["GetQueueAttributes"] = denial
    [finding] = unverifiable(server.client(), server.queue()).findings
    assert "sqs:GetQueueAttributes" in finding.next_step
    assert "when_unverifiable" in finding.next_step


@pytest.mark.parametrize("trouble", ["throttled", "500", "deleted queue", "of another queue"])
def test_other_troubles_do_not_blame_a_permission(server, trouble):
    server.script["GetQueueAttributes"] = TROUBLES[trouble][0]
    assert "sqs:GetQueueAttributes" not in str(unverifiable(server.client(), server.queue()))


def test_what_the_service_says_about_the_request_is_never_repeated(server, told, caplog):
    quoting = f"The Canonical String for this request should have been 'POST / host:sqs x-amz-security-token:{SECRET}'"
    server.script["GetQueueAttributes"] = fails("AccessDeniedException", 403, quoting, "AccessDenied")
    error = unverifiable(server.client(), server.queue())
    rendered = "".join(traceback.format_exception(error))
    assert SECRET not in "\n".join([rendered, repr(error), repr(error.args), repr(told), caplog.text])
    assert error.__context__ is None, "nothing to follow back to the answer either"


def test_a_garbled_policy_refuses(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, Policy="{not a policy")
    error = unverifiable(server.client(), server.queue())
    assert "public-access" in {finding.rule for finding in error.findings}


@pytest.mark.parametrize(
    "redrive", ["{", "[]", "null", "{}", '{"deadLetterTargetArn": 1}', '{"deadLetterTargetArn": "x"}']
)
def test_a_garbled_redrive_policy_refuses(server, redrive):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, RedrivePolicy=redrive)
    error = unverifiable(server.client(), server.queue())
    assert [finding.rule for finding in error.findings] == ["dead-letter-queue"]


def test_a_deleted_queue_refuses_on_the_emulator(make_client, raw, make_queue, manual_clock):
    queue = make_queue()
    client = make_client(clock=manual_clock.clock)
    send(client, queue)
    raw.delete_queue(QueueUrl=queue)
    manual_clock.advance(TTL)
    assert "NonExistentQueue" in unverifiable(client, queue).findings[0].found


def test_a_transient_trouble_is_over_when_the_service_is_back(server, manual_clock):
    client = server.client(clock=manual_clock.clock)
    server.script["GetQueueAttributes"] = RESET
    unverifiable(client, server.queue())
    server.script["GetQueueAttributes"] = attributes
    manual_clock.advance(UNVERIFIABLE_SECONDS)
    send(client, server.queue())


# --- when_unverifiable ---------------------------------------------------------------------------------------------

DENIED = fails("AccessDeniedException", 403, query_code="AccessDenied")
FOREIGN = "999999999999"


@pytest.mark.parametrize(
    ("trouble", "looks"), [(fails("ThrottlingException"), 2), (fails("AccessDeniedException", 403), 1)]
)
def test_where_it_only_warns_a_passing_trouble_is_looked_into_again_soon(server, manual_clock, trouble, looks):
    server.script["GetQueueAttributes"] = lambda _: trouble
    client = server.client(clock=manual_clock.clock, ttl_seconds=TTL, when_unverifiable="warn")
    send(client, server.queue())
    manual_clock.advance(UNVERIFIABLE_SECONDS)
    before = server.count()
    send(client, server.queue())
    assert (before, server.count()) == (1, looks)


def test_a_foreign_queue_may_be_used_unseen_where_the_configuration_says_so_by_pattern(server, told):
    server.script["GetQueueAttributes"] = DENIED
    client = server.client(when_unverifiable={f"arn:aws:sqs:*:{FOREIGN}:*": "warn"})
    foreign = server.queue("theirs", FOREIGN)
    for _ in range(3):
        send(client, foreign)
    unverifiable(client, server.queue())
    [warned] = [event for event in told if isinstance(event, Warned)]
    assert (warned.operation, warned.queue) == ("SendMessage", foreign)
    assert [(each.rule, each.mode) for each in warned.findings] == [("queue-attributes", Mode.WARN)]
    assert server.count(queue=foreign) == 1, "and it is not asked about at each call"


def test_the_first_pattern_that_fits_decides(server):
    server.script["GetQueueAttributes"] = DENIED
    patterns = [(f"arn:aws:sqs:*:{FOREIGN}:secret-*", "enforce"), ("*", "warn")]
    client = server.client(when_unverifiable=patterns)
    unverifiable(client, server.queue("secret-things", FOREIGN))
    send(client, server.queue("other-things", FOREIGN))


def test_a_queue_that_can_be_read_is_judged_even_where_unread_ones_only_warn(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    error = refusal(server.client(when_unverifiable="warn"), server.queue())
    assert [finding.rule for finding in error.findings] == ["queue-encryption"]


def test_what_was_seen_still_refuses_when_only_the_rest_could_not_be_told(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, Policy="{garbled", **UNENCRYPTED)
    error = refusal(server.client(when_unverifiable="warn"), server.queue())
    assert [finding.rule for finding in error.findings] == ["queue-encryption"]


def test_transport_and_credential_rules_hold_for_a_queue_that_may_be_used_unseen(server):
    server.script["GetQueueAttributes"] = DENIED
    stored = server.client(when_unverifiable="warn", client=LONG_TERM | {"aws_session_token": None})
    assert [each.rule for each in refusal(stored, server.queue()).findings] == ["static-credentials"]
    unknown = server.client(when_unverifiable="warn", trusted_endpoint_hosts=["elsewhere.example"])
    assert [each.rule for each in refusal(unknown, server.queue()).findings] == ["endpoint-host"]
    assert server.asked == [], "not even a look-up left"


def test_plain_http_is_refused_for_a_queue_that_may_be_used_unseen(server):
    plain = server.client(when_unverifiable="warn", client={"endpoint_url": f"http://{server.host}"})
    assert "https-endpoint" in {each.rule for each in refusal(plain, server.queue()).findings}
    assert server.asked == []


def test_a_queue_that_turns_bad_is_refused_once_it_can_be_read_again(server, manual_clock):
    client = server.client(when_unverifiable="warn", clock=manual_clock.clock, ttl_seconds=TTL)
    server.script["GetQueueAttributes"] = DENIED
    send(client, server.queue())
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    manual_clock.advance(TTL)
    refusal(client, server.queue())


# --- what makes the guard forget a queue ---------------------------------------------------------------------------

CHANGES: dict[str, Callable] = {
    "SetQueueAttributes": lambda client, queue: client.set_queue_attributes(
        QueueUrl=queue, Attributes={"VisibilityTimeout": "31"}
    ),
    "AddPermission": lambda client, queue: client.add_permission(
        QueueUrl=queue, Label="them", AWSAccountIds=["111122223333"], Actions=["SendMessage"]
    ),
    "RemovePermission": lambda client, queue: client.remove_permission(QueueUrl=queue, Label="them"),
    "CreateQueue": lambda client, queue: client.create_queue(QueueName=queue.rpartition("/")[2]),
    "DeleteQueue": lambda client, queue: client.delete_queue(QueueUrl=queue),
}


def as_created(asked: Asked) -> Answer:
    """The answer of CreateQueue, for which the test server's queue URL is the one of the request's host."""
    return says(QueueUrl=f"https://{asked.headers['Host']}/{scripted.ACCOUNT}/{asked.parameters['QueueName']}")


@pytest.fixture
def changing(server) -> Server:
    """A server whose queue has a policy that can be changed."""
    statement = {"Sid": "them", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    principal = {"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement | principal]})
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, Policy=policy)
    server.script["CreateQueue"] = as_created
    return server


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_through_the_client_makes_the_guard_look_again(changing, change):
    client = changing.client(modes={"least-privilege": "off", "tls-only-policy": "off"})
    send(client, changing.queue())
    send(client, changing.queue("untouched"))
    CHANGES[change](client, changing.queue())
    before = changing.count(queue=changing.queue())
    send(client, changing.queue())
    send(client, changing.queue("untouched"))
    assert changing.count(queue=changing.queue()) == before + 1
    assert changing.count(queue=changing.queue("untouched")) == 1


@pytest.mark.parametrize("answer", [fails("InternalFailure", 500), RESET], ids=["500", "reset"])
@pytest.mark.parametrize("change", ["SetQueueAttributes", "DeleteQueue"])
def test_a_change_that_failed_on_the_way_may_have_happened_so_the_guard_looks_again(changing, change, answer):
    client = changing.client(modes={"least-privilege": "off", "tls-only-policy": "off"})
    send(client, changing.queue())
    changing.script[change] = answer
    with pytest.raises((ClientError, HTTPClientError)):
        CHANGES[change](client, changing.queue())
    before = changing.count()
    send(client, changing.queue())
    assert changing.count() == before + 1


def test_a_change_during_a_look_up_is_not_hidden_by_its_answer(changing):
    """A look-up that began before a change must not be remembered after it."""
    client = changing.client(modes={"least-privilege": "off", "tls-only-policy": "off"})
    under_way, go_on = Event(), Event()

    def slow(asked: Asked) -> Answer:
        changing.script["GetQueueAttributes"] = attributes
        under_way.set()
        return attributes(asked)._replace(after=go_on)

    changing.script["GetQueueAttributes"] = slow
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, client, changing.queue())
        assert under_way.wait(60)
        CHANGES["DeleteQueue"](client, changing.queue())
        go_on.set()
        sending.result(60)
    changing.script["GetQueueAttributes"] = fails("QueueDoesNotExist")
    unverifiable(client, changing.queue())


@pytest.mark.parametrize("change", ["SetQueueAttributes", "DeleteQueue"])
def test_a_change_through_another_client_of_the_process_makes_the_guard_look_again(changing, change):
    producer = changing.client(role="producer")
    administrator = changing.client(role="administrator")
    send(producer, changing.queue())
    CHANGES[change](administrator, changing.queue())
    before = changing.count()
    send(producer, changing.queue())
    assert changing.count() == before + 1


def test_a_change_under_another_name_of_the_queue_makes_the_guard_look_again(changing):
    """Amazon SQS ignores the host in a queue URL, so two URLs may name one queue."""
    client = changing.client(modes={"least-privilege": "off", "tls-only-policy": "off"})
    legacy = f"https://queue.amazonaws.com/{scripted.ACCOUNT}/queue"
    send(client, legacy)
    CHANGES["SetQueueAttributes"](client, changing.queue())
    before = changing.count()
    send(client, legacy)
    assert changing.count() == before + 1


@pytest.mark.parametrize("operation", ["SendMessage", "ReceiveMessage"])
@pytest.mark.parametrize(
    "denial",
    [
        fails("AccessDeniedException", 403, query_code="AccessDenied"),
        fails("KmsAccessDenied", query_code="KMS.AccessDeniedException"),
        fails("KmsDisabled", query_code="KMS.DisabledException"),
        fails("KmsThrottled"),
        fails("InvalidSecurity"),
        fails("QueueDoesNotExist", query_code="AWS.SimpleQueueService.NonExistentQueue"),
    ],
    ids=lambda answer: json.loads(answer.body)["__type"].rpartition("#")[2],
)
def test_a_denial_by_the_service_makes_the_guard_look_again(server, operation, denial):
    client = server.client()
    use = send if operation == "SendMessage" else receive
    use(client, server.queue())
    server.script[operation] = denial
    with pytest.raises(ClientError):
        use(client, server.queue())
    server.script[operation] = says()
    assert server.count() == 1
    use(client, server.queue())
    assert server.count() == 2


def test_other_errors_of_the_service_leave_the_verdict(server):
    client = server.client()
    send(client, server.queue())
    server.script["SendMessage"] = fails("InvalidMessageContents")
    with pytest.raises(ClientError):
        send(client, server.queue())
    with pytest.raises(ClientError):
        send(client, server.queue())
    assert server.count() == 1


@pytest.mark.parametrize("status", [300, 301, 404])
def test_an_answer_that_names_no_error_leaves_the_verdict(server, status):
    """botocore takes the first of them for an answer like any other."""
    client = server.client()
    send(client, server.queue())
    server.script["SendMessage"] = Answer(b"{}", status)
    for _ in range(2):
        with suppress(ClientError):
            send(client, server.queue())
    assert (server.count(), server.count("SendMessage")) == (1, 3)


def test_a_queue_turned_bad_through_a_guarded_client_that_only_warns_is_refused_by_the_next_send(make_client, good):
    """Both clients are guarded; the change is judged by the softer one, the send by the other."""
    observer = make_client(profile="observe")
    producer = make_client()
    send(producer, good)
    observer.set_queue_attributes(QueueUrl=good, Attributes=UNENCRYPTED)
    refusal(producer, good)


# --- which clients share -------------------------------------------------------------------------------------------


def test_clients_of_one_endpoint_region_and_configuration_share_their_verdicts(server):
    for _ in range(3):
        client = server.client()
        send(client, server.queue())
    assert server.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"client": {"region_name": "eu-west-1"}},
        {"role": "producer"},
        {"profile": "observe"},
        {"ttl_seconds": 10},
        {"modes": {"tls-only-policy": "off"}},
    ],
    ids=["region", "role", "profile", "ttl", "modes"],
)
def test_clients_of_another_region_or_configuration_look_for_themselves(server, other):
    first, second = server.client(), server.client(**other)
    send(first, server.queue())
    send(second, server.queue())
    assert server.count() == 2


def test_clients_of_another_endpoint_look_for_themselves(server):
    with scripted.running() as elsewhere:
        hosts = [server.host, elsewhere.host]
        queue = server.queue()
        send(server.client(trusted_endpoint_hosts=hosts), queue)
        elsewhere.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
        refusal(elsewhere.client(trusted_endpoint_hosts=hosts), queue)


def test_a_shared_verdict_is_dropped_for_all_who_share_it(server):
    first, second = server.client(), server.client()
    send(first, server.queue())
    second.set_queue_attributes(QueueUrl=server.queue(), Attributes={"VisibilityTimeout": "31"})
    send(first, server.queue())
    assert server.count() == 2


# --- KMS -----------------------------------------------------------------------------------------------------------

CUSTOMER_KEY = {"levels": {"queue-encryption": "customer-key"}}


@pytest.fixture
def kms(make_raw):
    """The emulator's KMS."""
    return make_raw("kms")


def test_a_queue_under_a_key_of_the_customer_passes(make_client, make_queue, kms):
    key = kms.create_key()["KeyMetadata"]
    for name, value in (("-id", key["KeyId"]), ("-arn", key["Arn"])):
        send(make_client(**CUSTOMER_KEY), make_queue(name, KmsMasterKeyId=value))


def test_a_queue_under_an_alias_of_a_customer_key_passes(make_client, make_queue, kms, queue_name):
    alias = f"alias/{queue_name}"
    kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    send(make_client(**CUSTOMER_KEY), make_queue(KmsMasterKeyId=alias))


@pytest.mark.parametrize("key", ["alias/aws/sqs", f"arn:aws:kms:{REGION}:123456789012:alias/aws/sqs"])
def test_a_queue_under_the_key_that_aws_manages_is_refused(make_client, make_queue, key):
    error = refusal(make_client(**CUSTOMER_KEY), make_queue(KmsMasterKeyId=key))
    assert type(error) is RefusedError
    assert [finding.rule for finding in error.findings] == ["queue-encryption"]
    assert "which AWS manages" in error.findings[0].found


def test_a_key_that_aws_manages_is_refused_under_its_id_too(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="the-key")
    server.script["DescribeKey"] = says(KeyMetadata={"KeyId": "the-key", "KeyManager": "AWS"})
    error = refusal(server.client(**CUSTOMER_KEY), server.queue())
    assert type(error) is RefusedError
    assert "the-key, which AWS manages" in error.findings[0].found


@pytest.mark.parametrize("level", ["kms", "customer-key"])
def test_a_queue_under_a_key_that_sqs_owns_is_refused(make_client, good, level):
    error = refusal(make_client(levels={"queue-encryption": level}), good)
    assert "SSE-SQS" in error.findings[0].found


def test_a_key_that_does_not_exist_refuses(make_client, make_queue):
    error = unverifiable(make_client(**CUSTOMER_KEY), make_queue(KmsMasterKeyId="00000000-0000-0000-0000-000000000000"))
    assert "NotFoundException" in error.findings[0].found


def test_kms_is_not_asked_where_no_level_needs_it(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="key")
    send(server.client(levels={"queue-encryption": "kms"}), server.queue())
    assert server.count("DescribeKey") == 0


def test_kms_is_asked_once_with_the_look_up(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="key")
    client = server.client(**CUSTOMER_KEY)
    for _ in range(3):
        send(client, server.queue())
    assert (server.count(), server.count("DescribeKey")) == (1, 1)


def test_a_denied_describe_key_refuses_and_names_the_permission(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="the-key")
    server.script["DescribeKey"] = fails("AccessDeniedException", message=f"token {SECRET}")
    [finding] = unverifiable(server.client(**CUSTOMER_KEY), server.queue()).findings
    assert (finding.rule, "the-key" in finding.found) == ("queue-encryption", True)
    assert "AccessDeniedException" in finding.found
    assert "kms:DescribeKey" in finding.next_step
    assert SECRET not in repr(finding)


@pytest.mark.parametrize(
    "answer",
    [
        says(),
        says(KeyMetadata=None),
        says(KeyMetadata={"KeyId": "key"}),
        says(KeyMetadata={"KeyId": "key", "KeyManager": "NOBODY"}),
        Answer(b"{"),
        RESET,
        fails("KMSInternalException", 500),
    ],
    ids=["nothing", "null", "no manager", "unknown manager", "garbled", "reset", "500"],
)
def test_a_key_whose_manager_cannot_be_told_refuses(server, monkeypatch, answer):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="the-key")
    server.script["DescribeKey"] = answer
    [finding] = unverifiable(server.client(**CUSTOMER_KEY), server.queue()).findings
    assert finding.found.startswith("it is not known who manages the key the-key")


def test_the_question_to_kms_is_held_to_the_connection_rules(server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="the-key")
    send(server.client(**CUSTOMER_KEY), server.queue())
    [asked] = [asked for asked in server.asked if asked.operation == "DescribeKey"]
    assert f"Credential={support.TEMPORARY['aws_access_key_id']}/" in asked.headers["Authorization"]
    assert asked.parameters == {"KeyId": "the-key"}


# --- the dead-letter queue -----------------------------------------------------------------------------------------


def redrive_to(arn: str) -> dict[str, str]:
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})}


@pytest.fixture
def make_pair(raw, make_queue) -> Callable[..., str]:
    """Create a good queue with a dead-letter queue: `make_pair(attribute="value of the dead-letter queue")`."""

    def make(**attributes: str) -> str:
        dead = make_queue("-dead", **attributes)
        arn = raw.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return make_queue("-source", **redrive_to(arn))

    return make


def test_a_queue_whose_dead_letter_queue_is_good_passes(make_client, make_pair):
    client = make_client()
    queue = make_pair()
    sent = look_ups(client)
    send(client, queue)
    receive(client, queue)
    assert sent == {queue: 1, queue.replace("-source", "-dead"): 1}


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [(UNENCRYPTED, "queue-encryption"), ({"Policy": OPEN_POLICY}, "public-access")],
    ids=["not encrypted", "public"],
)
def test_a_queue_whose_dead_letter_queue_is_bad_is_refused(make_client, make_pair, queue_name, attributes, rule):
    error = refusal(make_client(), make_pair(**attributes))
    assert type(error) is RefusedError
    [finding] = error.findings
    assert finding.rule == "dead-letter-queue"
    assert finding.found.startswith(f"{rule}, on the dead-letter queue {queue_name}-dead:")


def test_the_dead_letter_queue_is_held_to_the_same_level(make_client, make_pair, kms):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    queue = make_pair(KmsMasterKeyId="alias/aws/sqs")
    client = make_client(**CUSTOMER_KEY)
    client.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": key})
    [finding] = refusal(client, queue).findings
    assert (finding.rule, "which AWS manages" in finding.found) == ("dead-letter-queue", True)


@pytest.mark.parametrize(
    ("changed", "looks"), [("dead", {"source": 2, "dead": 2}), ("other", {"source": 1, "dead": 1}), ("source", None)]
)
def test_after_a_change_of_the_dead_letter_queue_its_source_is_looked_at_anew(server, changed, looks):
    redrive = redrive_to(f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:dead")

    def answer(asked: Asked) -> Answer:
        return attributes(asked, **(redrive if asked.queue == server.queue("source") else {}))

    server.script["GetQueueAttributes"] = answer
    client = server.client()
    send(client, server.queue("source"))
    client.set_queue_attributes(QueueUrl=server.queue(changed), Attributes={"VisibilityTimeout": "1"})
    send(client, server.queue("source"))
    expected = looks or {"source": 2, "dead": 2}
    assert {name: server.count(queue=server.queue(name)) for name in expected} == expected


def test_the_dead_letter_queue_is_not_looked_at_when_its_rule_is_off(make_client, make_pair):
    client = make_client(modes={"dead-letter-queue": "off"})
    sent = look_ups(client)
    queue = make_pair(**UNENCRYPTED)
    send(client, queue)
    assert sent == {queue: 1}


def test_a_dead_letter_queue_that_is_its_own_source_is_no_endless_loop(server):
    arn = f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:queue"
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **redrive_to(arn))
    send(server.client(), server.queue())
    assert server.count() == 2


def test_the_dead_letter_queue_is_asked_for_under_the_same_host_and_without_its_own_redrive_policy(server):
    arn = f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:dead"
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **redrive_to(arn))
    send(server.client(), server.queue())
    assert server.asked[1].queue == server.queue("dead")
    assert "RedrivePolicy" not in server.asked[1].parameters["AttributeNames"]


@pytest.mark.parametrize("trouble", ["denied", "throttled", "deleted queue", "of another queue", "connection reset"])
def test_a_dead_letter_queue_that_cannot_be_read_refuses_and_says_what_is_missing(server, trouble):
    script = TROUBLES[trouble][0]
    arn = f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:dead"

    def answer(asked: Asked) -> Answer:
        if asked.queue == server.queue("dead"):
            return script if isinstance(script, Answer) else script(asked)
        return attributes(asked, **redrive_to(arn))

    server.script["GetQueueAttributes"] = answer
    [finding] = unverifiable(server.client(), server.queue()).findings
    assert finding.rule == "dead-letter-queue"
    assert arn in finding.found
    assert ("sqs:GetQueueAttributes" in finding.next_step) is (trouble == "denied")
    assert "  " not in finding.next_step, "no gap where a permission would stand"


# --- forks ---------------------------------------------------------------------------------------------------------

FORKING = """
import json, multiprocessing, os, sys, threading
import boto3
import scripted
from safe_sqs import Config, guard
from safe_sqs.cache import all_caches

settings = json.loads(sys.argv[1])
queue, host = settings.pop("queue"), settings.pop("host")


def make():
    client = boto3.session.Session().client("sqs", config=scripted.ONCE, **settings)
    return guard(client, Config(trusted_endpoint_hosts=[host]))


def send(client):
    client.send_message(QueueUrl=queue, MessageBody="body")


def child(client):
    # Both kinds of client: the one that came along with the fork, and one that is made here.
    assert sum(map(len, all_caches())) == 0, "the child starts with verdicts of its parent"
    first = client or make()  # held, as the cache goes with the last client
    send(first)
    send(make())
"""
FORKS = {
    "os.fork": """
        client = make()
        send(client)
        if (pid := os.fork()) == 0:
            try:
                child(client)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        send(client)
    """,
    "multiprocessing fork": """
        client = make()
        send(client)
        process = multiprocessing.get_context("fork").Process(target=child, args=(client,))
        process.start()
        process.join()
        assert process.exitcode == 0
        send(client)
    """,
    "multiprocessing spawn": """
        if __name__ == "__main__":
            client = make()
            send(client)
            process = multiprocessing.get_context("spawn").Process(target=child, args=(None,))
            process.start()
            process.join()
            assert process.exitcode == 0
            send(client)
    """,
    "os.fork while another thread holds every lock of the cache": """
        client = make()
        send(client)
        from safe_sqs import cache as module
        [cache] = all_caches()
        held, done = threading.Event(), threading.Event()
        def hold():
            with cache._lock, module._shared_lock:
                held.set()
                done.wait(60)
        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(60)
        if (pid := os.fork()) == 0:
            try:
                child(client)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        status = os.waitpid(pid, 0)[1]
        done.set()
        holder.join()
        assert status == 0
        send(client)
    """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.parametrize("way", FORKS)
def test_a_child_process_starts_with_an_empty_cache_and_works(server, tmp_path, way):
    program = tmp_path / "program.py"
    program.write_text(FORKING + textwrap.dedent(FORKS[way]))
    path = [str(Path(scripted.__file__).parent), os.environ.get("PYTHONPATH")]
    settings = server.settings(config=None) | {"queue": server.queue(), "host": server.host}
    del settings["config"]
    finished = subprocess.run(
        [sys.executable, str(program), json.dumps(settings)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    # One look-up by the parent, one by the child, whose two clients share; four sends in all.
    assert (server.count(), server.count("SendMessage")) == (2, 4)


# --- what an answer says -------------------------------------------------------------------------------------------

ASK = Ask("sqs", "GetQueueAttributes", {})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "x"), Unreadable("AccessDenied", "GetQueueAttributes", "")),
        (
            ClientError({"Error": {"Code": "AccessDeniedException"}}, "x"),
            Unreadable("AccessDeniedException", "GetQueueAttributes", ""),
        ),
        (ClientError({"Error": {"Code": "RequestThrottled"}}, "x"), Unreadable("RequestThrottled", "", "")),
        (ClientError({"Error": {"Message": SECRET}}, "x"), Unreadable("no error code", "", "")),
        (ClientError({}, "x"), Unreadable("no error code", "", "")),
        (NoCredentialsError(), Unreadable("NoCredentialsError", "", "")),
        (ValueError(SECRET), Unreadable("an answer that makes no sense", "", "")),
    ],
)
def test_of_a_look_up_that_failed_its_code_is_told_and_nothing_else(error, said):
    assert unreadable(error, ASK) == said


# --- queues to verify at the start ---------------------------------------------------------------------------------


def test_queues_that_are_fit_are_looked_up_at_the_start_and_not_again(server):
    queues = [server.queue("one"), server.queue("two")]
    client = server.client(verify_queues=queues)
    assert [asked.queue for asked in server.asked] == queues
    for queue in queues:
        send(client, queue)
    assert server.count() == 2


def test_all_queues_that_are_not_fit_are_said_in_one_error_at_the_start(make_client, good, bad, make_queue):
    public = make_queue("-public", Policy=OPEN_POLICY)
    with pytest.raises(RefusedError) as caught:
        make_client(verify_queues=[good, bad, public])
    found = {finding.rule: finding.found for finding in caught.value.findings}
    assert set(found) == {"queue-encryption", "public-access"}
    assert found["queue-encryption"].startswith(f"{bad}: ")
    assert found["public-access"].startswith(f"{public}: ")
    assert good not in str(caught.value)


def test_a_queue_that_cannot_be_read_at_the_start_is_an_unverifiable_error(server):
    server.script["GetQueueAttributes"] = DENIED
    with pytest.raises(UnverifiableError, match="sqs:GetQueueAttributes"):
        server.client(verify_queues=[server.queue()])


def test_the_check_at_the_start_is_held_to_the_connection_rules(server):
    with pytest.raises(RefusedError) as caught:
        server.client(verify_queues=[server.queue()], client=LONG_TERM | {"aws_session_token": None})
    assert [finding.rule for finding in caught.value.findings] == ["static-credentials"]
    assert server.asked == []


def test_nothing_is_asked_at_the_start_when_all_queue_rules_are_off(server):
    server.client(verify_queues=[server.queue()], modes=NO_QUEUE_RULES)
    assert server.asked == []


def test_the_check_at_the_start_only_warns_where_the_rules_only_warn(server, told):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    server.client(profile="observe", verify_queues=[server.queue()])
    [warned] = [event for event in told if isinstance(event, Warned)]
    assert "queue-encryption" in {finding.rule for finding in warned.findings}


# --- queue URLs ----------------------------------------------------------------------------------------------------


def test_a_queue_of_another_account_is_looked_up_by_its_own_url(server):
    queue = server.queue("theirs", FOREIGN)
    send(server.client(), queue)
    assert [asked.queue for asked in server.asked] == [queue, queue]


@pytest.mark.parametrize(
    "host", ["sqs.eu-west-1.amazonaws.com", "sqs-fips.us-west-2.amazonaws.com", "eu-west-1.queue.amazonaws.com"]
)
def test_a_queue_url_of_another_region_is_said_once_and_goes_to_the_region_of_the_client(server, told, host):
    queue = f"https://{host}/{scripted.ACCOUNT}/queue"
    client = server.client()
    for _ in range(3):
        send(client, queue)
        receive(client, queue)
    [noticed] = [event for event in told if isinstance(event, Noticed) and event.topic == "queue-region"]
    assert noticed.queue == queue
    assert REGION in noticed.text
    assert len(server.asked) == 7, "all of it went where the client goes"


@pytest.mark.parametrize(
    "host", [f"sqs.{REGION}.amazonaws.com", f"sqs-fips.{REGION}.amazonaws.com", f"{REGION}.queue.amazonaws.com"]
)
def test_a_queue_url_of_the_region_of_the_client_is_not_remarked_on(server, told, host):
    send(server.client(), f"https://{host}/{scripted.ACCOUNT}/queue")
    assert [event for event in told if isinstance(event, Noticed) and event.topic == "queue-region"] == []


@pytest.mark.parametrize("name", ["queue with spaces", 'quo"te', "back\\slash", "ünï", "☃"])
def test_a_queue_url_with_odd_characters_is_looked_up_as_it_stands(server, name):
    client = server.client()
    queue = f"{server.url}/{scripted.ACCOUNT}/{name}"
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    assert refusal(client, queue).queue == queue
    assert server.asked[0].queue == queue


def test_a_verdict_that_ran_out_does_not_come_back_when_the_wall_clock_is_set_back(server, manual_clock):
    """Each of the two clients remembers the verdict of its last call, and both come from one cache."""
    first, second = (server.client(clock=manual_clock.clock, ttl_seconds=TTL) for _ in range(2))
    for client in (first, second) * 2:
        send(client, server.queue())
    assert server.count() == 1
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    manual_clock.wall_seconds += TTL
    refusal(first, server.queue())
    manual_clock.wall_seconds -= TTL
    refusal(second, server.queue())
