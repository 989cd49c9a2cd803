"""The adapter to botocore: subscribes to a client's events, and carries out what the guard decides.

Public events only. `before-sign` sees a request before any signature exists: its way out is judged there, on every
road. `before-send` sees what really leaves: the signature is judged there, and the call, by the body that goes out.
Presigned URLs, and requests that a program signs with the client and sends by itself, never come there, so their call
is judged at `before-sign` too. `after-call` sees the service's answer. All are subscribed at the root of the event
tree and last, so that every other handler has had its say.

The handlers compare what they see with what was approved before; whatever differs goes to the slow path below them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from safe_sqs import events
from safe_sqs.cache import Clock, Entry, Flight, drop_everywhere
from safe_sqs.config import Config
from safe_sqs.decisions import Guard, Scope
from safe_sqs.errors import RefusedError, refusal
from safe_sqs.model import Ask, Finding, Mode, Queue, Unreadable, Verdict, without_secrets
from safe_sqs.operations import CHANGES, OPERATIONS
from safe_sqs.rules import ALL_RULES
from safe_sqs.way_out import MARK, WayOut, is_watched, seal
from safe_sqs.wire import (
    QUEUE_FIRST,
    QUEUE_URL,
    SIGNATURE,
    key_client,
    key_of,
    parameters_in_body,
    partitions,
    queue_in_body,
    shown_url,
    url_of,
)

__all__ = ["Hooks", "guard", "subscribe"]

C = TypeVar("C")
R = TypeVar("R")

_OUTDATING = frozenset({"AddPermission", "CreateQueue", "DeleteQueue", "RemovePermission", "SetQueueAttributes"})
"""Operations after which what is known of a queue is out of date."""
_DENIALS = re.compile("AccessDenied|Kms|KMS|InvalidSecurity|NonExistentQueue|QueueDoesNotExist|QueueDeletedRecently")
"""Error codes which say that a queue is not what it was."""
_CREDENTIALS_MISSING = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_REGION_IN_HOST = re.compile(r"https?://(?:sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.|(?P<legacy>[a-z0-9-]+)\.queue\.)")

_NO_QUEUE: tuple[bytes, Entry | None] = (b"\0", None)
"""How a body begins, and the verdict about the queue that it then names: no body begins so."""

_START = "the check at start"

_asking: ContextVar[bool] = ContextVar("safe_sqs_asking", default=False)


def guard(client: C, config: Config | None = None, *, clock: Clock | None = None) -> C:
    """Guard an existing SQS client of boto3 or botocore, and return it.

    Guarding twice with the same configuration is the same as once; with another configuration, both hold. `config` is
    read from the environment and files when it is left out. `clock` is for tests.

    Raises ConfigError for a wrong configuration, TypeError for anything but an SQS client, and RefusedError when one
    of `verify_queues` is not fit for use.
    """
    service = getattr(getattr(getattr(client, "meta", None), "service_model", None), "service_name", None)
    if service != "sqs":
        hint = "; of a resource, pass resource.meta.client" if hasattr(client, "meta") and service is None else ""
        raise TypeError(f"guard() takes an SQS client of boto3, not {service or type(client).__name__}{hint}")
    subscribe(client, config, clock).verify_queues()
    return client


def subscribe(client: Any, config: Config | None = None, clock: Clock | None = None) -> Hooks:
    """Guard a client, without a look at any queue. Raises ConfigError."""
    hooks = Hooks(client, config or Config(), clock or Clock())
    hooks.subscribe()
    _tell_if_loose(hooks.config)
    return hooks


_told_loose: set[Config] = set()


def _tell_if_loose(config: Config) -> None:
    """Say once in a process that a configuration refuses less than the profile `baseline` does."""
    loose = [
        f"{rule.name} is {config.mode(rule.name).value}"
        for rule in ALL_RULES
        if rule.baseline is Mode.ENFORCE and config.mode(rule.name) is not Mode.ENFORCE
    ]
    if config.loopback_is_safe:
        loose.append("plain HTTP and made-up credentials pass to loopback addresses")
    if loose and config not in _told_loose:
        _told_loose.add(config)
        events.emit(events.Noticed("loosened", f"safe_sqs is set to refuse less than usual: {', '.join(loose)}"))


class Hooks:
    """The guard's ear and hand at one client."""

    def __init__(self, client: Any, config: Config, clock: Clock) -> None:
        meta = client.meta
        self.config = config
        self._client = client
        self._clock = clock
        self._guard = Guard(Scope(meta.endpoint_url, meta.region_name or "", config), partitions(), clock)
        self._cache = self._guard.cache
        self._way_out = WayOut(client, self._guard, "sqs", self._refuse)
        self._key_client: Any = None
        self._told: set[str] = set()
        self._last: tuple[bytes, Entry | None] = _NO_QUEUE
        # Where nothing is refused, nothing is kept from being changed either.
        self._keep = seal if Mode.ENFORCE in dict(config.modes).values() else _leave
        self.before_sign = self._sign_handler()
        self.before_send = self._send_handler()

    def subscribe(self) -> None:
        """Subscribe to the client's events, unless a guard with this configuration already has."""
        handlers: dict[str, Callable[..., None]] = {
            "before-sign": self.before_sign,
            "before-send": self.before_send,
            "after-call": self._denial_handler(),
            "after-call-error": self._forget,
            **{f"after-call.sqs.{operation}": self._forget for operation in _OUTDATING},
        }
        for event, handler in handlers.items():
            name = ("safe_sqs", event, self.config, self._clock)
            self._client.meta.events.register_last(event, handler, unique_id=name)

    def verify_queues(self) -> None:
        """Judge the queues that the configuration names. Raises one RefusedError for all that are not fit for use."""
        findings: list[Finding] = []
        bad: list[str] = []
        for url in self.config.verify_queues if self._guard.needs_queue("SendMessage") else ():
            shown = without_secrets(url)
            try:
                refusals = self._verdict(_START, key_of(url)).refusals
            except RefusedError as refused:  # the way out, which is the same for all of them
                self._refuse(refused.findings, _START, shown)
            if refusals:
                bad.append(shown)
                findings += [each._replace(found=f"{shown}: {each.found}") for each in refusals]
        if findings:
            self._refuse(tuple(findings), _START, ", ".join(bad))

    # --- warm path ---------------------------------------------------------------------------------------------

    def _sign_handler(self) -> Callable[..., None]:
        way_out = self._way_out
        judge = self._judge_unsigned

        # All arguments of the event are named, because collecting the rest of them costs more than the work done here.
        def before_sign(
            request: Any,
            signature_version: Any,
            request_signer: Any,
            operation_name: str,
            signing_name: Any = None,
            region_name: Any = None,
            event_name: Any = None,
            **_: Any,
        ) -> None:
            way = way_out.approved
            context = request.context
            context[MARK] = request.data
            if (
                "retries" not in context
                or "signing" in context
                or request.url != way.url
                or signature_version != way.signature_version
                or request_signer._credentials is not way.credentials
            ):
                judge(request, signature_version, request_signer, operation_name)

        return before_sign

    def _send_handler(self) -> Callable[..., None]:
        client, way_out, cache, entries = self._client, self._way_out, self._cache, self._cache.entries
        monotonic, wall = self._clock
        by_queue = {f"before-send.sqs.{operation}" for operation in self._unquestioned(needs_queue=True)}
        by_way_only = {f"before-send.sqs.{operation}" for operation in self._unquestioned(needs_queue=False)}
        judge, keep = self._judge_signed, self._keep

        def before_send(request: Any, event_name: str, **_: Any) -> None:
            way = way_out.approved
            now = monotonic()
            session = client._endpoint.http_session
            try:
                signature = request.headers["Authorization"]
            except KeyError:
                signature = None
            if (
                request.url == way.url
                and now < way.ends
                and type(signature) is bytes
                and signature.startswith(way.signature_start)
                and signature[-76:-64] == SIGNATURE
                and session is way.http_session
                and session._verify is way.verify
            ):
                if event_name in by_queue:
                    body = request.body
                    start, entry = self._last
                    if type(body) is not bytes:
                        entry = None
                    elif not body.startswith(start):
                        at = body.find(QUEUE_URL) + len(QUEUE_URL)
                        key = body[at : body.find(b'"', at)] if at >= len(QUEUE_URL) else b""
                        entry = entries.get(key)
                        if entry is not None and at == len(QUEUE_FIRST):
                            self._last = (QUEUE_FIRST + key + b'"', entry)
                    if entry is not None and entry.passes and now < entry.fresh and wall() < entry.fresh_wall:
                        cache.hits += 1
                        keep(request)
                        return
                elif event_name in by_way_only:
                    keep(request)
                    return
            self._last = _NO_QUEUE
            judge(request, event_name.rpartition(".")[2])
            keep(request)

        return before_send

    def _unquestioned(self, *, needs_queue: bool) -> frozenset[str]:
        """The operations about which the call rules and the judge of changes have nothing to say."""
        return frozenset(
            operation
            for operation in OPERATIONS
            if operation not in _OUTDATING
            and self._guard.needs_queue(operation) is needs_queue
            and not self._guard.judge_operation(operation).findings
        )

    # --- the request -------------------------------------------------------------------------------------------

    def _judge_unsigned(self, request: Any, signature_version: Any, request_signer: Any, operation: str) -> None:
        """Judge the way out of a request, and its call where nobody will see what leaves. Raises RefusedError."""
        findings = self._way_out.findings_before_signature(request, signature_version, request_signer, operation)
        if findings or not is_watched(request, signature_version):
            self._judge_call(findings, operation, request.data)
            self._keep(request)

    def _judge_signed(self, request: Any, operation: str) -> None:
        """Judge what is about to leave: its way out, and the call in its body. Raises RefusedError."""
        findings = self._way_out.findings_after_signature(request, operation)
        self._judge_call(findings, operation, request.body)

    def _judge_call(self, findings: tuple[Finding, ...], operation: str, body: Any) -> None:
        """Refuse a call, or let it go on. `findings` are what refuses its way out."""
        key = queue_in_body(body)
        url = shown_url(key)
        is_safe = not findings  # over a bad way out the queue cannot be looked at
        findings += self._findings_of_operation(operation, url)
        try:
            if is_safe and self._guard.needs_queue(operation):
                findings += self._findings_of_queue(operation, key)
            elif is_safe and operation in CHANGES:
                findings += self._findings_of_change(operation, body, url)
        except RefusedError as refused:  # the guard's own look at the queue was refused
            findings += refused.findings
        if findings:
            self._refuse(findings, operation, url)

    def _findings_of_operation(self, operation: str, url: str) -> tuple[Finding, ...]:
        verdict = self._guard.judge_operation(operation)
        if operation not in self._told:
            self._told.add(operation)
            _warn(verdict, operation, url)
        return verdict.refusals

    def _findings_of_queue(self, operation: str, key: bytes) -> tuple[Finding, ...]:
        if not key:
            return self._refusals_of_unreadable(operation)
        return self._verdict(operation, key).refusals

    def _refusals_of_unreadable(self, operation: str) -> tuple[Finding, ...]:
        verdict = self._guard.unreadable_request()
        _warn(verdict, operation, "")
        return verdict.refusals

    def _findings_of_change(self, operation: str, body: Any, url: str) -> tuple[Finding, ...]:
        parameters = parameters_in_body(body)
        if parameters is None:
            return self._refusals_of_unreadable(operation)
        if not self._guard.is_change(operation, parameters):
            return ()
        queue, verdict = self._run(self._guard.judge_change(operation, parameters))
        _warn(verdict, operation, url or queue.name)
        return verdict.refusals

    def _verdict(self, operation: str, key: bytes) -> Verdict:
        """The verdict about a queue: from the cache, from whoever is fetching it, or by a look of our own."""
        while True:
            entry, flight, leads = self._cache.look_up(key)
            if flight is None:
                assert entry is not None
                return entry.verdict
            if leads:
                return self._look_at(operation, key, flight)
            if _asking.get():  # waiting from within a look at a queue could wait for ourselves
                verdict = self._guard.inside_a_look()
                _warn(verdict, operation, shown_url(key))
                return verdict
            error = flight.exception()
            if error is None:
                return flight.result().verdict
            if isinstance(error, RefusedError):
                raise refusal(error.findings, operation, shown_url(key))
            # Whoever was fetching was interrupted or lacks credentials; that is theirs, so ask anew.

    def _look_at(self, operation: str, key: bytes, flight: Flight) -> Verdict:
        """Fetch and judge. When that fails, a verdict that is still good stands."""
        queue = self._guard.queue(url_of(key))
        try:
            facts = self._run(self._guard.look_at(queue))
            verdict, at_most = self._guard.judge(queue, facts)
        except BaseException as error:
            living = self._cache.abandon(key, flight, error)
            if living is not None and living.passes and isinstance(error, Exception):
                return living.verdict
            raise
        entry = self._cache.settle(key, flight, verdict, at_most)
        _warn(verdict, operation, queue.shown)
        events.emit(events.LookedUp(queue.shown, _outcome(verdict)))
        self._notice(queue)
        return entry.verdict

    def _notice(self, queue: Queue) -> None:
        match = _REGION_IN_HOST.match(queue.url)
        region = (match["region"] or match["legacy"]) if match else queue.region
        if region != queue.region:
            text = f"the queue URL names the region {region}, but the client sends to {queue.region}"
            events.emit(events.Noticed("queue-region", text, queue.shown))

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
        except _CREDENTIALS_MISSING:
            raise
        except ClientError as error:
            # The code only: a message of the service may quote the request, and with it the session token.
            code = str(error.response.get("Error", {}).get("Code", "no error code"))
            return Unreadable(code, ask.operation if "AccessDenied" in code else "", "")
        except BotoCoreError as error:
            return Unreadable(type(error).__name__, "", "")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # what botocore cannot parse
            return Unreadable("an answer that makes no sense", "", "")
        return answer

    def _keys(self) -> Any:
        """A KMS client with the credentials of the SQS client, held to the same connection rules."""
        if self._key_client is None:
            client = key_client(self._client)
            WayOut(client, self._guard, "kms", self._refuse).subscribe(client.meta.events)
            self._key_client = client
        return self._key_client

    def _refuse(self, findings: tuple[Finding, ...], operation: str, queue: str) -> NoReturn:
        if not _asking.get():
            events.emit(events.Refused(operation, queue, findings))
        raise refusal(findings, operation, queue)

    # --- the answer --------------------------------------------------------------------------------------------

    def _denial_handler(self) -> Callable[..., None]:
        denied = self._denied

        def after_call(
            http_response: Any, parsed: Any, context: Any, model: Any = None, event_name: Any = None, **_: Any
        ) -> None:
            if http_response.status_code >= 300 and not _asking.get():
                denied(parsed, context)

        return after_call

    def _denied(self, parsed: Any, context: Mapping[str, Any]) -> None:
        """Forget a queue when the service says that it is not what it was."""
        if _DENIALS.search(str(parsed.get("Error", {}).get("Code", ""))):
            self._cache.drop(queue_in_body(context.get(MARK)))

    def _forget(self, context: Mapping[str, Any], event_name: str, parsed: Any = None, **_: Any) -> None:
        """Forget a queue that was changed. A call that failed on the way may have changed it all the same."""
        if event_name.rpartition(".")[2] in _OUTDATING:
            drop_everywhere(queue_in_body(context.get(MARK)) or key_of(str((parsed or {}).get("QueueUrl", ""))))


def _leave(_: Any) -> None:
    """Do nothing to a request."""


def _warn(verdict: Verdict, operation: str, queue: str) -> None:
    findings = tuple(each for each in verdict.findings if each.mode is Mode.WARN)
    if findings:
        events.emit(events.Warned(operation, queue, findings))


def _outcome(verdict: Verdict) -> events.Outcome:
    if not verdict.refusals:
        return events.Outcome.PASSES
    return events.Outcome.UNVERIFIABLE if verdict.unverifiable else events.Outcome.REFUSES
