"""A dozen telling queues, judged by the real judge, and inspections of them, for tests of what is written out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timezone
from typing import Any

from support import NEXT_MONTH

from safe_sqs import Config, Exemption
from safe_sqs.evaluation import Evaluation, Opinion, evaluation_of
from safe_sqs.inspection import Inspection, Tally, Trouble
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, KeyManager, Mode, Queue, Unreadable

OWN = "111122223333"
OTHER = "444455556666"
STRANGER = "999988887777"
TODAY = date(2026, 11, 24)
AT = datetime(2026, 11, 24, 9, 30, tzinfo=timezone.utc)


def queue(name: str, region: str = "us-east-1", account: str = OWN) -> Queue:
    """A queue of AWS by its name."""
    return Queue(f"https://sqs.{region}.amazonaws.com/{account}/{name}", "aws", region, account, name)


def statement(**elements: Any) -> dict[str, Any]:
    """A statement that lets one role send, with some of it changed."""
    role = f"arn:aws:iam::{OWN}:role/app"
    return {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "sqs:SendMessage", "Resource": "*"} | elements


def policy(*statements: dict[str, Any]) -> str:
    """A queue policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _denying(sid: str, **condition: Any) -> dict[str, Any]:
    return statement(Sid=sid, Effect="Deny", Principal="*", Action="sqs:*", Condition=condition)


HTTPS_ONLY = _denying("HttpsOnly", Bool={"aws:SecureTransport": "false"})
ENDPOINT_ONLY = _denying("EndpointOnly", StringNotEquals={"aws:SourceVpce": "vpce-0a1b2c3d"})
SEND_AND_CLOSED = policy(statement(Sid="Producer"), HTTPS_ONLY)
CONFINED = policy(statement(Sid="Producer"), HTTPS_ONLY, ENDPOINT_ONLY)


def config(**settings: Any) -> Config:
    """The configuration of the examples: baseline, one queue exempt, one account trusted."""
    examples: dict[str, Any] = {
        "trusted_accounts": [OWN, OTHER],
        "exemptions": [
            Exemption(f"arn:aws:sqs:*:{OWN}:partner-*", "queue-encryption", "the partner cannot use it yet", NEXT_MONTH)
        ],
    }
    return Config(**(examples | settings))


def looked_at() -> dict[str, tuple[Queue, Facts | Unreadable]]:
    """The examples: what each one shows, to the queue and what SQS says of it."""
    unreadable = Unreadable("AccessDenied", "sqs:GetQueueAttributes", "")

    def facts(name: str, region: str = "us-east-1", account: str = OWN, **known: Any) -> tuple[Queue, Facts]:
        of = queue(name, region, account)
        return of, Facts(of, **{"sse_sqs": True, "policy": SEND_AND_CLOSED, **known})

    kms = {"sse_sqs": False, "kms_key": "alias/orders", "key_manager": KeyManager.CUSTOMER}
    dead = facts("orders-failed", sse_sqs=False)[1]
    _, far = facts("parcels-failed", "eu-central-1")
    return {
        "public": facts("orders-open", policy=policy(statement(Sid="Anyone", Principal="*"), HTTPS_ONLY)),
        "public behind a condition": facts(
            "clicks",
            "eu-west-1",
            policy=policy(
                statement(
                    Sid="Browsers",
                    Principal="*",
                    Action=["sqs:SendMessage", "sqs:ReceiveMessage"],
                    Condition={"StringLike": {"aws:UserAgent": "Mozilla*"}},
                ),
                HTTPS_ONLY,
            ),
        ),
        "plain HTTP": facts("invoices", policy=policy(statement(Sid="Producer"))),
        "unencrypted": facts("images-raw.fifo", "eu-west-1", sse_sqs=False),
        "bad dead-letter queue": facts("orders", dead_letter=dead, **kms),
        "dead-letter queue unreadable": facts(
            "parcels", "eu-central-1", dead_letter=unreadable._replace(subject=far.queue.arn)
        ),
        "exempt": facts("partner-feed", sse_sqs=False),
        "unreadable": (queue("payroll"), unreadable._replace(subject=queue("payroll").arn)),
        "foreign account": facts(
            "reports",
            account=OTHER,
            policy=policy(
                statement(Sid="Auditors", Principal={"AWS": f"arn:aws:iam::{STRANGER}:root"}, Action="sqs:*"),
                HTTPS_ONLY,
            ),
        ),
        "service for anyone": facts(
            "bucket-events",
            "eu-west-1",
            OTHER,
            policy=policy(statement(Sid="S3", Principal={"Service": "s3.amazonaws.com"}), HTTPS_ONLY),
        ),
        "garbled policy": facts("legacy", account=OTHER, policy='{"Statement": ['),
        "all at once": facts("sandbox", "eu-west-1", OTHER, sse_sqs=False, policy=policy(statement(Principal="*"))),
        "good": facts("mail", **kms),
        "strictly good": facts("payments.fifo", policy=CONFINED, **kms),
    }


def evaluation(
    shows: str = "", *, known: tuple[Queue, Facts | Unreadable] | None = None, **settings: Any
) -> Evaluation:
    """The evaluation of an example, or of a queue and its facts."""
    of, facts = known or looked_at()[shows]
    by = config(**settings)
    return evaluation_of(of, judge_queue(facts, of, by, TODAY), by, TODAY)


def evaluations(**settings: Any) -> list[Evaluation]:
    """The evaluations of all examples; on two of them somebody else has an opinion as well."""
    by = config(**settings)
    judged = {
        shows: evaluation_of(of, judge_queue(facts, of, by, TODAY), by, TODAY)
        for shows, (of, facts) in looked_at().items()
    }
    source = "IAM Access Analyzer"
    agrees = Opinion(source, agrees=True, told="CheckNoPublicAccess: FAIL, the policy grants public access")
    differs = Opinion(source, agrees=False, told="CheckNoPublicAccess: PASS, while safe_sqs has found a way in")
    silent = Opinion(source, agrees=None, told="CheckNoPublicAccess: AccessDeniedException")
    judged["public"] = judged["public"]._replace(opinions=(agrees,))
    judged["public behind a condition"] = judged["public behind a condition"]._replace(opinions=(differs,))
    judged["service for anyone"] = judged["service for anyone"]._replace(opinions=(silent,))
    return list(judged.values())


TROUBLE = Trouble(
    f"account {STRANGER}, eu-west-1",
    "its queues could not be listed: AccessDenied",
    "allow sqs:ListQueues to the role Audit of that account",
)


def inspection_of(
    judged: Iterable[Evaluation], *troubles: Trouble, fail_on: Mode = Mode.WARN, **settings: Any
) -> Inspection:
    """An inspection of evaluations, which have to be good for more than one round."""
    tally = Tally(fail_on)
    for each in judged:
        tally.add(each)
    return Inspection(judged, tally, AT, config(**settings), troubles)


def inspection(*troubles: Trouble, fail_on: Mode = Mode.WARN, **settings: Any) -> Inspection:
    """An inspection of all examples."""
    return inspection_of(evaluations(**settings), *troubles, fail_on=fail_on, **settings)


class Many:
    """As many evaluations as wanted, none of which is kept: the examples under other names, again and again."""

    def __init__(self, count: int, **settings: Any) -> None:
        self.count = count
        self._examples = evaluations(**settings)

    def __iter__(self) -> Iterator[Evaluation]:
        for number in range(self.count):
            example = self._examples[number % len(self._examples)]
            old = example.queue
            name = f"{old.name.removesuffix('.fifo')}-{number:05}{'.fifo' if old.name.endswith('.fifo') else ''}"
            yield example._replace(queue=queue(name, old.region, old.account))


def facts_named(name: str, **known: Any) -> tuple[Queue, Facts]:
    """A queue with a name of anybody's choice and facts about it, for names that SQS would not give."""
    of = queue(name)
    return of, Facts(of, **known)
