"""The handler of the Lambda function that AWS Config starts: judges queues, and says how they comply.

A change is judged by the configuration that AWS Config recorded, where that says all the rules need, and by a look at
the queue where it does not. A periodic evaluation looks at every queue of the account and region.

PutEvaluations takes no INSUFFICIENT_DATA. A queue of which something could not be told does not comply, and its
annotation says so: otherwise its last evaluation would stand, which may say that it complies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from safe_sqs.aws_config.annotation import annotation_of
from safe_sqs.aws_config.invocation import (
    RESOURCE_TYPE,
    ChangedResource,
    EventError,
    Invocation,
    attributes_in,
    invocation_from,
)
from safe_sqs.aws_config.parameters import RuleParameters, parameters_from
from safe_sqs.config import Config
from safe_sqs.errors import GuardError
from safe_sqs.evaluation import Compliance, Evaluation
from safe_sqs.fleet.access import Access, Account
from safe_sqs.fleet.looks import Look, look
from safe_sqs.fleet.security_hub import ClientFor, clients_of, import_findings
from safe_sqs.formats.asff import findings_of
from safe_sqs.judge import attributes_needed
from safe_sqs.model import Unreadable

__all__ = ["NOT_APPLICABLE", "RejectedEvaluationsError", "RejectedFindingsError", "handler"]

NOT_APPLICABLE = "NOT_APPLICABLE"
MOST_EVALUATIONS = 100
"""In one PutEvaluations. Source: AWS Config API reference."""
LOOKS_AT_ONCE = 8
_TEST_TOKEN = "TESTMODE"  # noqa: S105  what AWS's own rules take for a dry run, and no secret
_RETRIES = {"mode": "standard", "total_max_attempts": 8}
_SERVICE_LINKED = "/aws-service-role/"
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_ONE_SECOND = timedelta(seconds=1)
_NOT_THERE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


class RejectedEvaluationsError(GuardError):
    """AWS Config did not take evaluations; the text says how many, and the first of them."""


class RejectedFindingsError(GuardError):
    """Security Hub did not take findings; the text says how many, and why. Their evaluations are put all the same."""


class _Clients(NamedTuple):
    sqs: Any
    config: Any
    security_hub: ClientFor


class _Judged(NamedTuple):
    """An evaluation as AWS Config wants it, and the one of safe_sqs behind it where a queue was judged."""

    resource_type: str
    resource_id: str
    compliance: str
    annotation: str = ""
    evaluation: Evaluation | None = None


def handler(event: Mapping[str, Any], context: Any) -> dict[str, int]:
    """Judge what AWS Config asks about, and put the evaluations. Returns how many there were of each compliance.

    Raises EventError for an event of somebody else's, ConfigError for a wrong parameter, RefusedError when the way to
    the queues is not safe, RejectedEvaluationsError, RejectedFindingsError, and botocore's errors. Lambda counts the
    error and writes it to its log, and AWS Config shows that the last evaluation failed; nothing passes for compliant.
    """
    invocation = invocation_from(event)
    parameters = parameters_from(invocation.parameters)
    access = _access(invocation, parameters, context.invoked_function_arn)
    clients = _clients(access, invocation.region, parameters.config)
    counted: Counter[str] = Counter()
    for judged in _batches(_judged(invocation, parameters, clients)):
        _put(judged, invocation, clients.config)
        if parameters.security_hub:
            _import(judged, clients.security_hub)
        counted.update(each.compliance for each in judged)
    return dict(counted)


# --- as whom -----------------------------------------------------------------------------------------------------


def _access(invocation: Invocation, parameters: RuleParameters, function_arn: str) -> Access:
    """As whom: the function itself in its own account, and a role of the other account in that one."""
    account = invocation.account
    if function_arn.split(":")[4] == account:
        return Access()
    if parameters.execution_role:
        return Access(role_arn=f"arn:{invocation.partition}:iam::{account}:role/{parameters.execution_role}")
    role = invocation.recorder_role
    if not role.startswith(f"arn:{invocation.partition}:iam::{account}:role/") or _SERVICE_LINKED in role:
        raise EventError(
            f"the rule is of account {account}, and AWS Config's own role there cannot be assumed by a function; "
            "set the rule's parameter ExecutionRoleName to the role that member-role.yaml makes in each account"
        )
    return Access(role_arn=role)


@lru_cache(maxsize=32)
def _clients(access: Access, region: str, config: Config) -> _Clients:
    """Kept between invocations: making them takes longer than a look."""
    account = Account(access)
    sqs = account.sqs(config, region, retries=_RETRIES, max_pool_connections=LOOKS_AT_ONCE)
    return _Clients(sqs, account.client("config", region, retries=_RETRIES), clients_of(account))


# --- judging -----------------------------------------------------------------------------------------------------


def _judged(invocation: Invocation, parameters: RuleParameters, clients: _Clients) -> Iterator[_Judged]:
    if invocation.resource is not None:
        yield _judge_resource(invocation.resource, parameters, clients)
        return
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as threads:
        for page in _pages_of_queues(clients.sqs):
            yield from threads.map(lambda url: _judge_queue(url, None, parameters, clients), page)


def _pages_of_queues(sqs: Any) -> Iterator[list[str]]:
    """The URLs of all queues of the account and region, which are the ids that AWS Config knows them by."""
    for page in sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1000}):
        yield page.get("QueueUrls", [])


def _judge_resource(resource: ChangedResource, parameters: RuleParameters, clients: _Clients) -> _Judged:
    if resource.is_gone or resource.type != RESOURCE_TYPE:
        return _Judged(resource.type, resource.id, NOT_APPLICABLE)
    recorded = resource.configuration
    if recorded is None:
        recorded = _from_history(resource, clients.config)
    attributes = attributes_in(recorded, attributes_needed(parameters.config))
    return _judge_queue(resource.id, attributes, parameters, clients)


def _from_history(resource: ChangedResource, client: Any) -> Any:
    """The configuration that was too long for an event; None where it cannot be had, so that the queue is looked at.

    The history may not have it yet. The item that it has in its place is of an earlier time, and says nothing.
    """
    try:
        answer = client.get_resource_config_history(
            resourceType=resource.type, resourceId=resource.id, laterTime=resource.captured, limit=1
        )
    except ClientError:
        return None
    captured = parse_timestamp(resource.captured)
    for item in answer.get("configurationItems", []):
        if abs(item.get("configurationItemCaptureTime", _NEVER) - captured) < _ONE_SECOND:
            return item.get("configuration")
    return None


def _judge_queue(
    url: str, attributes: Mapping[str, str] | None, parameters: RuleParameters, clients: _Clients
) -> _Judged:
    seen = look(clients.sqs, url, parameters.config, attributes=attributes)
    if _is_not_there(seen):
        return _Judged(RESOURCE_TYPE, url, NOT_APPLICABLE)
    compliance = seen.evaluation.compliance(parameters.fail_on)
    if compliance is Compliance.INSUFFICIENT_DATA:
        compliance = Compliance.NON_COMPLIANT
    annotation = annotation_of(seen.evaluation, parameters.fail_on)
    return _Judged(RESOURCE_TYPE, url, compliance.value, annotation, seen.evaluation)


def _is_not_there(seen: Look) -> bool:
    """A queue that was deleted since AWS Config, or the list of queues, named it."""
    return isinstance(seen.facts, Unreadable) and seen.facts.code in _NOT_THERE


# --- telling -----------------------------------------------------------------------------------------------------


def _batches(judged: Iterable[_Judged]) -> Iterator[list[_Judged]]:
    each = iter(judged)
    while batch := list(islice(each, MOST_EVALUATIONS)):
        yield batch


def _put(judged: list[_Judged], invocation: Invocation, client: Any) -> None:
    answer = client.put_evaluations(
        Evaluations=[_as_asked(each, invocation.at) for each in judged],
        ResultToken=invocation.token,
        TestMode=invocation.token == _TEST_TOKEN,
    )
    if failed := answer.get("FailedEvaluations"):
        first = failed[0].get("ComplianceResourceId", "")
        raise RejectedEvaluationsError(
            f"AWS Config did not take {len(failed)} of {len(judged)} evaluations; the first is of {first}"
        )


def _as_asked(judged: _Judged, at: str) -> dict[str, str]:
    asked = {
        "ComplianceResourceType": judged.resource_type,
        "ComplianceResourceId": judged.resource_id,
        "ComplianceType": judged.compliance,
        "OrderingTimestamp": at,
    }
    return {**asked, "Annotation": judged.annotation} if judged.annotation else asked


def _import(judged: list[_Judged], client_for: ClientFor) -> None:
    now = datetime.now(timezone.utc)
    evaluations = (each.evaluation for each in judged if each.evaluation is not None)
    came = import_findings(client_for, (finding for each in evaluations for finding in findings_of(each, now)))
    if came.failed:
        why = [f"{each.found}; {each.next_step}" for each in came.troubles] or [each.code for each in came.examples]
        raise RejectedFindingsError(
            f"Security Hub did not take {came.failed} of {came.failed + came.accepted} findings: {why[0]}"
        )
