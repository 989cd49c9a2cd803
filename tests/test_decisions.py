"""What the guard decides by itself: how long a verdict may live, which queue a call means, and what has to be asked."""

from __future__ import annotations

import json
import time
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from support import NEXT_MONTH, ManualClock

from safe_sqs import Config
from safe_sqs.cache import UNVERIFIABLE_SECONDS
from safe_sqs.decisions import Guard, Scope
from safe_sqs.model import Ask, Facts, KeyManager, Queue, Unreadable, Work
from safe_sqs.wire import partitions

ACCOUNT = "123456789012"
URL = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders"
QUEUE = Queue(URL, "aws", "us-east-1", ACCOUNT, "orders")
DEAD = QUEUE._replace(name="dead")
FORBIDDEN = Unreadable("AccessDenied", "sqs:GetQueueAttributes", QUEUE.arn)
THROTTLED = Unreadable("RequestThrottled", "", QUEUE.arn)
NOT_ENCRYPTED = Facts(QUEUE)
DAY = 86_400.0


@pytest.fixture
def new_guard(manual_clock):
    """A guard: `new_guard(endpoint=..., region=..., config_key=...)`."""

    def make(
        endpoint: str = "https://sqs.us-east-1.amazonaws.com", region: str = "us-east-1", **settings: Any
    ) -> Guard:
        return Guard(Scope(endpoint, region, Config(**settings)), partitions(), manual_clock.clock)

    return make


def exempt(until: date = NEXT_MONTH, rule: str = "queue-encryption") -> dict[str, Any]:
    return {"rule": rule, "queue": "*", "reason": "moves", "until": until}


def set_wall(clock: ManualClock, day: date, hour: int = 0) -> None:
    """Set the wall clock to an hour of a day, UTC."""
    clock.wall_seconds = datetime(day.year, day.month, day.day, hour, tzinfo=timezone.utc).timestamp()


def run(steps: Any, *answers: Any) -> Any:
    """Carry a judgement out with these answers. Gives the questions, and what it returned."""
    left, asked = iter(answers), []
    try:
        want = next(steps)
        while True:
            if isinstance(want, Work):
                want = steps.send(want.judge())
            else:
                asked.append(want)
                want = steps.send(next(left))
    except StopIteration as stop:
        assert list(left) == []
        return asked, stop.value


def has(**attributes: str) -> dict[str, Any]:
    return {"Attributes": {"QueueArn": QUEUE.arn, **attributes}}


# --- how long a verdict may live ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        (NOT_ENCRYPTED, None),
        (FORBIDDEN, None),
        (THROTTLED, UNVERIFIABLE_SECONDS),
        (NOT_ENCRYPTED._replace(dead_letter=NOT_ENCRYPTED), None),
        (NOT_ENCRYPTED._replace(dead_letter=FORBIDDEN), None),
        (NOT_ENCRYPTED._replace(dead_letter=THROTTLED), UNVERIFIABLE_SECONDS),
    ],
)
def test_what_may_be_otherwise_in_a_moment_lives_for_a_moment(new_guard, facts, seconds):
    assert new_guard().judge(QUEUE, facts)[1] == seconds


def test_a_verdict_about_a_url_that_names_no_queue_lives_for_no_time(new_guard):
    nameless = QUEUE._replace(account="", name="")
    for facts in (Facts(nameless), THROTTLED):
        assert new_guard(exemptions=[exempt()]).judge(nameless, facts)[1] == 0.0


@pytest.mark.parametrize(("hour", "seconds"), [(0, DAY), (18, DAY / 4)])
def test_a_verdict_ends_with_the_day_on_which_an_exemption_ends(new_guard, manual_clock, hour, seconds):
    later = exempt(NEXT_MONTH + timedelta(1), "public-access")
    guard = new_guard(exemptions=[later, exempt()])
    set_wall(manual_clock, NEXT_MONTH, hour)
    verdict, at_most = guard.judge(QUEUE, NOT_ENCRYPTED)
    assert "queue-encryption" not in [finding.rule for finding in verdict.findings]
    assert at_most == seconds
    set_wall(manual_clock, NEXT_MONTH + timedelta(1), hour)
    verdict, at_most = guard.judge(QUEUE, NOT_ENCRYPTED)
    assert "queue-encryption" in [finding.rule for finding in verdict.findings]
    assert at_most == seconds, "that of the other one"
    set_wall(manual_clock, NEXT_MONTH + timedelta(2), hour)
    assert guard.judge(QUEUE, NOT_ENCRYPTED)[1] is None


def test_a_passing_trouble_does_not_outlive_an_exemption(new_guard, manual_clock):
    guard = new_guard(exemptions=[exempt()])
    set_wall(manual_clock, NEXT_MONTH + timedelta(1))
    manual_clock.wall_seconds -= 1.0
    assert guard.judge(QUEUE, THROTTLED)[1] == 1.0
    manual_clock.wall_seconds -= UNVERIFIABLE_SECONDS
    assert guard.judge(QUEUE, THROTTLED)[1] == UNVERIFIABLE_SECONDS


@pytest.fixture(params=["Pacific/Kiritimati", "Etc/GMT+12"])
def far_away(request, monkeypatch):
    """A machine whose clock shows another day than that of Greenwich for much of it."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set on this system")
@pytest.mark.parametrize("hour", [0, 23])
def test_days_are_those_of_greenwich_wherever_the_machine_stands(new_guard, manual_clock, far_away, hour):
    guard = new_guard(exemptions=[exempt()])
    change = {"QueueUrl": URL, "Attributes": {"SqsManagedSseEnabled": "false"}}
    for day, is_exempt in ((NEXT_MONTH, True), (NEXT_MONTH + timedelta(1), False)):
        set_wall(manual_clock, day, hour)
        verdict, _ = guard.judge(QUEUE, NOT_ENCRYPTED)
        _, (_, changed) = run(guard.judge_change("SetQueueAttributes", change), has(SqsManagedSseEnabled="true"))
        for each in (verdict, changed):
            assert ("queue-encryption" not in [finding.rule for finding in each.findings]) is is_exempt


# --- which queue is meant ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("mars-1", "aws"), ("", "aws")],
)
def test_a_queue_is_in_the_region_of_the_client_and_in_its_partition(new_guard, region, partition):
    assert new_guard(region=region).queue(URL) == QUEUE._replace(region=region, partition=partition)


@pytest.mark.parametrize("endpoint", ["https://localhost:4566/X", "https://localhost:4566/X/"])
def test_a_queue_that_is_to_be_created_is_named_after_the_call(new_guard, endpoint):
    guard = new_guard(endpoint)
    steps = guard.judge_change("CreateQueue", {"QueueName": "new", "Attributes": {"SqsManagedSseEnabled": "false"}})
    asked, (queue, verdict) = run(steps)
    assert asked == []
    assert queue == Queue("https://localhost:4566/X/ACCOUNT/new", "aws", "us-east-1", "", "new")
    assert [finding.rule for finding in verdict.refusals] == ["queue-encryption"]


def test_the_dead_letter_queue_of_a_queue_that_is_to_be_created_is_looked_for_beside_it(new_guard):
    redrive = json.dumps({"deadLetterTargetArn": DEAD.arn, "maxReceiveCount": 3})
    steps = new_guard().judge_change("CreateQueue", {"QueueName": "new", "Attributes": {"RedrivePolicy": redrive}})
    (question,), _ = run(steps, FORBIDDEN)
    assert question.parameters["QueueUrl"] == f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/dead"


def test_a_change_that_names_no_queue_is_a_change_of_a_queue_without_a_name(new_guard):
    _, (queue, _) = run(new_guard().judge_change("CreateQueue", {"Attributes": {}}))
    assert queue == Queue("https://sqs.us-east-1.amazonaws.com/ACCOUNT/", "aws", "us-east-1", "", "")
    _, (queue, _) = run(new_guard().judge_change("SetQueueAttributes", {"Attributes": {}}), FORBIDDEN)
    assert queue == Queue("", "aws", "us-east-1", "", "")


# --- what is asked -----------------------------------------------------------------------------------------------

CUSTOMER_KEY = {"levels": {"queue-encryption": "customer-key"}}
DESCRIBED = {"KeyMetadata": {"KeyManager": "CUSTOMER"}}
DESCRIBE = Ask("kms", "DescribeKey", {"KeyId": "k"})


def test_what_is_known_of_the_attributes_is_not_asked_again(new_guard):
    assert run(new_guard().look_at(QUEUE, has(KmsMasterKeyId="k"))) == ([], Facts(QUEUE, kms_key="k"))
    asked, facts = run(new_guard(**CUSTOMER_KEY).look_at(QUEUE, has(KmsMasterKeyId="k")), DESCRIBED)
    assert (asked, facts.key_manager) == ([DESCRIBE], KeyManager.CUSTOMER)
    redrive = json.dumps({"deadLetterTargetArn": DEAD.arn})
    (question,), _ = run(new_guard().look_at(QUEUE, has(RedrivePolicy=redrive)), FORBIDDEN)
    assert question.parameters["AttributeNames"] == ["KmsMasterKeyId", "Policy", "QueueArn", "SqsManagedSseEnabled"]


def test_who_manages_a_key_is_asked_where_the_level_needs_it(new_guard):
    for settings, questions in ((CUSTOMER_KEY, [DESCRIBE]), ({}, [])):
        asked, _ = run(new_guard(**settings).look_at(QUEUE), has(KmsMasterKeyId="k"), *[DESCRIBED][: len(questions)])
        assert asked[1:] == questions
        change = {"QueueUrl": URL, "Attributes": {"KmsMasterKeyId": "k"}}
        steps = new_guard(**settings).judge_change("SetQueueAttributes", change)
        asked, _ = run(steps, has(), *[DESCRIBED][: len(questions)])
        assert asked[1:] == questions


def test_a_change_of_a_queue_that_cannot_be_read_is_judged_as_one(new_guard, manual_clock):
    guard = new_guard(exemptions=[exempt()])
    set_wall(manual_clock, NEXT_MONTH)
    change = {"QueueUrl": URL, "Attributes": {"SqsManagedSseEnabled": "false"}}
    _, (queue, verdict) = run(guard.judge_change("SetQueueAttributes", change), FORBIDDEN)
    assert queue == QUEUE
    assert [finding.rule for finding in verdict.refusals] == ["queue-attributes"]
