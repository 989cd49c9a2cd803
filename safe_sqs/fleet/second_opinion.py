"""What IAM Access Analyzer says of a queue's policy, beside what the judge says: agreement, or where they differ.

Two of its checks are asked, both about a policy and not about a live queue: CheckNoPublicAccess, which answers the
question of the rule public-access, and CheckAccessNotGranted for the actions that administer a queue, which shows
whether both see the same in a policy that grants no more than it should. AWS charges for each check.

Whoever looks at queues makes one for each region and account, and adds the opinion to the evaluation; one can be
shared by threads::

    analyzer = AccessAnalyzer(account.client(AccessAnalyzer.SERVICE, region, **AccessAnalyzer.SETTINGS))
    evaluation = look.evaluation._replace(opinions=(*look.evaluation.opinions, analyzer.opinion_on(look)))

Opinions change neither findings nor the exit status: a difference is for a person to look into. The guard itself never
asks, since its answers are needed before a message is sent.

Source: "CheckNoPublicAccess" and "CheckAccessNotGranted", IAM Access Analyzer API reference.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Any, ClassVar, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from safe_sqs import policy
from safe_sqs.evaluation import Evaluation, Opinion, State
from safe_sqs.fleet.looks import Look
from safe_sqs.model import Facts, Role
from safe_sqs.operations import OPERATIONS, Kind

__all__ = ["SOURCE", "AccessAnalyzer"]

SOURCE = "access-analyzer"

_RULE = "public-access"
_ADMINISTRATION = sorted(f"sqs:{name}" for name, kind in OPERATIONS.items() if kind is Kind.ADMINISTER)
_MOST_REASONS = 3
_NOT_WORTH_ASKING_AGAIN = frozenset({"AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"})


class _Said(NamedTuple):
    """What the service said to one check: whether it passed (None where it did not say), and why."""

    passed: bool | None
    why: str = ""


class AccessAnalyzer:
    """Asks for second opinions with one client of `accessanalyzer`. Answers are kept by the hash of the policy, at most
    `most` of them. Safe to share between threads.
    """

    SERVICE = "accessanalyzer"
    SETTINGS: ClassVar[dict[str, Any]] = {"retries": {"mode": "adaptive", "max_attempts": 6}}
    """What botocore's client is best made with: the service answers few calls a second."""

    def __init__(self, client: Any, *, most: int = 10_000) -> None:
        self._client = client
        self._most = most
        self._known: OrderedDict[str, tuple[_Said, _Said]] = OrderedDict()
        self._given_up = ""
        self._lock = Lock()

    def opinion_on(self, look: Look) -> Opinion:
        """What it says of a queue. Never raises for what the service answers, or for no answer."""
        if not isinstance(look.facts, Facts):
            return Opinion(SOURCE, None, "nothing was asked, as the queue's policy could not be read")
        return self.opinion_of(look.policy, look.evaluation)

    def opinion_of(self, document: str | None, evaluation: Evaluation) -> Opinion:
        """What it says of a policy, compared with the evaluation of its queue."""
        if not document:
            return Opinion(SOURCE, True, "nothing was asked: a queue without a policy is not public")
        is_public, administers = self._ask(document)
        if is_public.passed is None:
            return Opinion(SOURCE, None, f"it could not say whether the queue is public: {is_public.why}")
        ours = evaluation.state_of(_RULE)
        agrees, told = _compared(ours, is_public)
        if administers.passed is None:
            return Opinion(SOURCE, agrees, f"{told}; who may administer it, it could not say: {administers.why}")
        differs = _differs_on_administration(document, evaluation, administers)
        return Opinion(SOURCE, False if differs and agrees else agrees, "; ".join(filter(None, (told, differs))))

    def _ask(self, document: str) -> tuple[_Said, _Said]:
        key = hashlib.sha256(document.encode()).hexdigest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        public = self._call("check_no_public_access", policyDocument=document, resourceType="AWS::SQS::Queue")
        administers = _Said(None, "it was not asked")
        if public.passed is not None:
            administers = self._call(
                "check_access_not_granted",
                policyDocument=document,
                access=[{"actions": _ADMINISTRATION}],
                policyType="RESOURCE_POLICY",
            )
        if public.passed is not None and administers.passed is not None:
            with self._lock:
                self._known[key] = (public, administers)
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
        return public, administers

    def _call(self, operation: str, **parameters: Any) -> _Said:
        if self._given_up:
            return _Said(None, self._given_up)
        try:
            answer = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "an error without a code"))
            why = _of_service(code, error.operation_name, str(error.response.get("Error", {}).get("Message", "")))
            if code in _NOT_WORTH_ASKING_AGAIN:
                self._given_up = why
            return _Said(None, why)
        except BotoCoreError as error:
            self._given_up = f"no answer ({type(error).__name__})"
            return _Said(None, self._given_up)
        result = answer.get("result")
        if result not in ("PASS", "FAIL"):
            return _Said(None, "an answer that makes no sense")
        return _Said(result == "PASS", _reasons(answer))


def _of_service(code: str, operation: str, message: str) -> str:
    if code == "AccessDeniedException":
        return f"{code}, allow access-analyzer:{operation}"
    if code in ("ThrottlingException", "TooManyRequestsException"):
        return f"{code}, it was asked too often"
    return f"{code}, {_one_line(message)}" if message else code


def _reasons(answer: Any) -> str:
    """Why, in the words of AWS."""
    reasons = [each for each in answer.get("reasons") or () if each.get("description")]
    told = [f"{_one_line(each['description'])}{_statement(each)}" for each in reasons[:_MOST_REASONS]]
    return ", and ".join(told) or _one_line(answer.get("message") or "")


def _statement(reason: Any) -> str:
    if reason.get("statementId"):
        return f" (statement {reason['statementId']!r})"
    if reason.get("statementIndex") is not None:
        return f" (statement number {int(reason['statementIndex']) + 1})"
    return ""


def _one_line(text: str) -> str:
    return " ".join(str(text).split()).rstrip(".")


def _compared(ours: State, theirs: _Said) -> tuple[bool | None, str]:
    they_say = "not public" if theirs.passed else "public"
    because = "" if theirs.passed or not theirs.why else f": {theirs.why}"
    if ours in (State.EXEMPT, State.OFF):
        return None, f"it says {they_say}{because}; the rule {_RULE} is {ours.value}, so there is nothing to compare"
    if ours is State.UNKNOWN:
        return None, f"it says {they_say}{because}, where our judge could not tell"
    is_public = ours is not State.PASSED
    if is_public is not theirs.passed:
        return True, f"it says {they_say} as well{because}"
    if theirs.passed:
        return False, "it says not public, where our judge has a request of an outsider that gets in (see the finding)"
    return False, f"it says public, where our judge found no request of an outsider that gets in{because}"


def _differs_on_administration(document: str, evaluation: Evaluation, theirs: _Said) -> str:
    """The difference on whether anyone may administer the queue by the policy, or ""."""
    try:
        grants = policy.grants(document, queue_arn=evaluation.queue.arn)
    except policy.PolicyError:
        return ""
    ours = [str(grant) for grant in grants if Role.ADMINISTRATOR in grant.roles]
    if bool(ours) is not theirs.passed:
        return ""
    if ours:
        return f"it says that nobody may administer the queue, where our judge lets {', '.join(ours[:_MOST_REASONS])}"
    return f"it says that somebody may administer the queue, where our judge lets nobody ({theirs.why})"
