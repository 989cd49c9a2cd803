"""The adapter to botocore: subscribes to a client's events, and carries out what the guard decides.

Public events only: `before-parameter-build` sees the call, `before-sign` the request before any signature exists,
`before-send` what really leaves, `after-call` the service's answer. All are subscribed at the root of the event tree
and last, so that every other handler has had its say.

The handlers compare what they see with what was approved before; whatever differs goes to the slow path below them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    StubAssertionError,
    StubResponseError,
    UnStubbedResponseError,
)

from safe_sqs import events
from safe_sqs.cache import Clock, Entry, needle_of
from safe_sqs.config import Config
from safe_sqs.decisions import Guard, Scope
from safe_sqs.errors import RefusedError, refusal
from safe_sqs.judge import unreadable_request
from safe_sqs.model import Ask, Finding, Mode, Queue, Unreadable, Verdict
from safe_sqs.operations import OPERATIONS, Kind, kind_of
from safe_sqs.way_out import MARK, WayOut
from safe_sqs.wire import key_client, parameters_in_body, partitions

__all__ = ["guard"]

C = TypeVar("C")
R = TypeVar("R")

_OUTDATING = frozenset({"AddPermission", "CreateQueue", "DeleteQueue", "RemovePermission", "SetQueueAttributes"})
"""Operations after which what is known of a queue is out of date."""
_DENIALS = re.compile("AccessDenied|Kms|KMS|InvalidSecurity|NonExistentQueue|QueueDoesNotExist|QueueDeletedRecently")
"""Error codes which say that a queue is not what it was."""
_STUBBED = (StubResponseError, UnStubbedResponseError, StubAssertionError)
_CREDENTIALS_MISSING = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_REGION_IN_HOST = re.compile(r"https?://(?:sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.|(?P<legacy>[a-z0-9-]+)\.queue\.)")

_asking: ContextVar[bool] = ContextVar("safe_sqs_asking", default=False)


class Approval(NamedTuple):
    """Travels with a call in botocore's request context: its queue, and what the body of the request must contain."""

    queue: str
    needle: bytes


def guard(client: C, config: Config | None = None, *, clock: Clock | None = None) -> C:
    """Guard an existing SQS client of boto3 or botocore, and return it.

    Guarding twice with the same configuration is the same as once; with another configuration, both hold. `config` is
    read from the environment and files when it is left out. `clock` is for tests.

    Raises ConfigError for a wrong configuration, TypeError for anything but an SQS client, and RefusedError when one
    of `verify_queues` is not fit for use.
    """
    service = getattr(getattr(getattr(client, "meta", None), "service_model", None), "service_name", None)
    if service != "sqs":
        raise TypeError(f"guard() takes an SQS client of boto3, not {type(client).__name__} ({service or 'no service'})")
    hooks = Hooks(client, config or Config(), clock or Clock())
    hooks.subscribe()
    hooks.verify_queues()
    return client


class Hooks:
    """The guard's ear and hand at one client."""

    def __init__(self, client: Any, config: Config, clock: Clock) -> None:
        meta = client.meta
        self._client = client
        self._clock = clock
        self._guard = Guard(Scope(meta.endpoint_url, meta.region_name or "", config), partitions(), clock)
        self._cache = self._guard.cache
        self._way_out = WayOut(client, self._guard, "sqs", self._refuse)
        self._key_client: Any = None
        self._told: set[str] = set()

    def subscribe(self) -> None:
        """Subscribe to the client's events, unless a guard with this configuration already has."""
        emitter = self._client.meta.events
        for event, handler in (
            ("before-parameter-build", self._call_handler()),
            ("before-sign", self._sign_handler()),
            ("before-send", self._way_out.send_handler()),
            ("after-call", self._answer_handler()),
            ("after-call-error", self._failure),
        ):
            emitter.register_last(event, handler, unique_id=("safe_sqs", event, self._guard.config, self._clock))

    def verify_queues(self) -> None:
        """Judge the queues that the configuration names. Raises one RefusedError for all that are not fit for use."""
        findings: list[Finding] = []
        bad: list[str] = []
        for url in self._guard.config.verify_queues:
            entry = self._entry("the check at start", url)
            if entry is not None and not entry.passes:
                bad.append(url)
                findings += [each._replace(found=f"{url}: {each.found}") for each in entry.verdict.refusals]
        if findings:
            self._refuse(tuple(findings), "the check at start", ", ".join(bad))

    # --- warm path ---------------------------------------------------------------------------------------------

    def _call_handler(self) -> Callable[..., None]:
        cache = self._cache
        entries = cache.fresh
        monotonic, wall = self._clock
        judged = frozenset(
            operation
            for operation in OPERATIONS
            if self._guard.needs_queue(operation) and not self._guard.judge_operation(operation).findings
        )
        judge = self._judge_call

        def before_parameter_build(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
            if model.name in judged:
                try:
                    entry = entries.get(params["QueueUrl"])
                except (KeyError, TypeError):
                    return  # botocore is about to say what is wrong with this parameter
                if entry is not None and entry.passes and monotonic() < entry.fresh and wall() < entry.fresh_wall:
                    cache.hits += 1
                    context[MARK] = entry
                    return
            judge(model.name, params, context)

        return before_parameter_build

    def _sign_handler(self) -> Callable[..., None]:
        way_out = self._way_out
        monotonic = self._clock.monotonic
        judge = self._judge_unsigned

        def before_sign(
            request: Any, signature_version: Any, request_signer: Any, operation_name: str, **_: Any
        ) -> None:
            way = way_out.approved
            approval = request.context.get(MARK)
            if (
                approval is not None
                and type(request.data) is bytes
                and approval.needle in request.data
                and request.url == way.url
                and signature_version == way.signature_version
                and request_signer._credentials is way.credentials
                and monotonic() < way.ends
            ):
                return
            judge(request, signature_version, request_signer, operation_name)

        return before_sign

    def _answer_handler(self) -> Callable[..., None]:
        outdated = self._outdated

        def after_call(http_response: Any, parsed: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
            if http_response.status_code >= 300 or model.name in _OUTDATING:
                outdated(http_response, parsed, model.name, context)

        return after_call

    # --- the call ----------------------------------------------------------------------------------------------

    def _judge_call(self, operation: str, parameters: Mapping[str, Any], context: dict[str, Any]) -> None:
        """Refuse the call, or leave an approval in its context."""
        url = parameters.get("QueueUrl", "")
        if not isinstance(url, str):
            return  # botocore is about to say what is wrong with it
        findings = self._findings_of_role(operation, url)
        approval: Approval | Entry | None = Approval(url, b"")
        try:
            if self._guard.needs_queue(operation):
                approval = self._entry(operation, url)
                findings += approval.verdict.refusals if approval is not None else ()
            elif self._guard.is_change(operation, parameters):
                findings += self._refusals_of_change(operation, parameters)
                approval = Approval(url, needle_of(url) if url else b"")
        except RefusedError as refused:  # the guard's own look at the queue was refused, for what holds of the call too
            findings += refused.findings
        except _STUBBED:
            approval = None  # the answers are made up, so nothing goes out; if it does, before-sign has no approval
        if findings:
            self._refuse(findings, operation, url)
        if approval is not None:
            context[MARK] = approval

    def _findings_of_role(self, operation: str, url: str) -> tuple[Finding, ...]:
        verdict = self._guard.judge_operation(operation)
        if operation not in self._told:
            self._told.add(operation)
            _warn(verdict, operation, url)
        return verdict.refusals

    def _refusals_of_change(self, operation: str, parameters: Mapping[str, Any]) -> tuple[Finding, ...]:
        queue, verdict = self._run(self._guard.judge_change(operation, parameters))
        _warn(verdict, operation, queue.url or queue.name)
        return verdict.refusals

    def _entry(self, operation: str, url: str) -> Entry | None:
        """The verdict about a queue: from the cache, from whoever is fetching it, or by a look of our own.

        None when the client is stubbed, so that there is nothing to look at.
        """
        while True:
            entry, flight, leads = self._cache.look_up(url)
            if flight is None:
                return entry
            if leads:
                return self._look_at(operation, url, flight)
            error = flight.exception()
            if error is None:
                return flight.result()
            if isinstance(error, _STUBBED):
                return None
            if isinstance(error, RefusedError):
                raise refusal(error.findings, operation, url)
            # Whoever was fetching was interrupted or lacks credentials; that is theirs, so ask anew.

    def _look_at(self, operation: str, url: str, flight: Any) -> Entry | None:
        queue = self._guard.queue(url)
        try:
            facts = self._run(self._guard.look_at(queue))
            verdict, at_most = self._guard.judge(queue, facts)
        except BaseException as error:
            self._cache.abandon(url, flight, error)
            if isinstance(error, _STUBBED):
                return None
            raise
        entry = self._cache.settle(url, flight, verdict, at_most)
        _warn(verdict, operation, url)
        events.emit(events.LookedUp(url, _outcome(verdict)))
        self._notice(queue)
        return entry

    def _notice(self, queue: Queue) -> None:
        match = _REGION_IN_HOST.match(queue.url)
        region = (match["region"] or match["legacy"]) if match else queue.region
        if region != queue.region:
            text = f"the queue URL names the region {region}, but the client sends to {queue.region}"
            events.emit(events.Noticed("queue-region", text, queue.url))

    # --- look-ups ----------------------------------------------------------------------------------------------

    def _run(self, asking: Generator[Ask, Mapping[str, object] | Unreadable, R]) -> R:
        """Answer the questions of a look-up until it is done."""
        token = _asking.set(True)
        try:
            ask = next(asking)
            while True:
                ask = asking.send(self._answer(ask))
        except StopIteration as stop:
            result: R = stop.value
            return result
        finally:
            _asking.reset(token)

    def _answer(self, ask: Ask) -> Mapping[str, object] | Unreadable:
        try:
            client = self._client if ask.service == "sqs" else self._keys()
            method = {"GetQueueAttributes": "get_queue_attributes", "DescribeKey": "describe_key"}[ask.operation]
            answer: Mapping[str, object] = getattr(client, method)(**ask.parameters)
        except (*_STUBBED, *_CREDENTIALS_MISSING):
            raise
        except ClientError as error:
            # The code only: a message of the service may quote the request, and with it the session token.
            code = str(error.response.get("Error", {}).get("Code", "no error code"))
            return Unreadable(code, ask.operation if "AccessDenied" in code else "", "")
        except BotoCoreError as error:
            return Unreadable(type(error).__name__, "", "")
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # an answer that botocore cannot parse
            return Unreadable(type(error).__name__, "", "")
        return answer

    def _keys(self) -> Any:
        """A KMS client with the credentials of the SQS client, held to the same connection rules."""
        if self._key_client is None:
            client = key_client(self._client)
            way_out = WayOut(client, self._guard, "kms", self._refuse)
            client.meta.events.register_last("before-sign", way_out.judge_unsigned)
            client.meta.events.register_last("before-send", way_out.send_handler())
            self._key_client = client
        return self._key_client

    # --- the request -------------------------------------------------------------------------------------------

    def _judge_unsigned(self, request: Any, signature_version: Any, request_signer: Any, operation_name: str) -> None:
        """Judge the way out of a request, and the call itself when nobody approved it under this body."""
        self._way_out.judge_unsigned(request, signature_version, request_signer, operation_name)
        approval = request.context.get(MARK)
        data = request.data.encode() if isinstance(request.data, str) else request.data
        if approval is not None and isinstance(data, bytes) and approval.needle in data:
            return
        if kind_of(operation_name) in (Kind.READ, Kind.SETTLE):
            parameters: Any = {}
        else:
            parameters = parameters_in_body(data)
        if parameters is None:
            self._refuse((unreadable_request(),), operation_name, "")
        self._judge_call(operation_name, parameters, request.context)

    def _refuse(self, findings: tuple[Finding, ...], operation: str, queue: str) -> NoReturn:
        if not _asking.get():
            events.emit(events.Refused(operation, queue, findings))
        raise refusal(findings, operation, queue)

    # --- the answer --------------------------------------------------------------------------------------------

    def _outdated(self, http_response: Any, parsed: Any, operation: str, context: Mapping[str, Any]) -> None:
        """Forget a queue that was changed, or that the service now denies."""
        code = str(parsed.get("Error", {}).get("Code", "")) if http_response.status_code >= 300 else ""
        if operation in _OUTDATING or _DENIALS.search(code):
            approval = context.get(MARK)
            for url in {parsed.get("QueueUrl"), approval.queue if approval else None} - {None, ""}:
                self._cache.drop(url)

    def _failure(self, context: Mapping[str, Any], event_name: str, **_: Any) -> None:
        """A call that failed on the way may have changed the queue all the same."""
        approval = context.get(MARK)
        if approval and event_name.rpartition(".")[2] in _OUTDATING:
            self._cache.drop(approval.queue)


def _warn(verdict: Verdict, operation: str, queue: str) -> None:
    findings = tuple(each for each in verdict.findings if each.mode is Mode.WARN)
    if findings:
        events.emit(events.Warned(operation, queue, findings))


def _outcome(verdict: Verdict) -> events.Outcome:
    if not verdict.refusals:
        return events.Outcome.PASS
    return events.Outcome.UNVERIFIABLE if verdict.unverifiable else events.Outcome.REFUSE
