"""The adapter to botocore's events: subscribes to those of a client, and carries out what the guard decides.

Public events only. `before-sign` sees a request before any signature exists: its way out is judged there, on every
road. `before-send` sees what really leaves: the signature is judged there, and the call, by the body that goes out.
Presigned URLs, and requests that a program signs with the client and sends by itself, never come there, so their call
is judged at `before-sign` too. `after-call` sees the service's answer. All are subscribed at the root of the event
tree and last, so that every other handler has had its say.

The handlers compare what they see with what was approved before; whatever differs goes to the slow path below them.
A judgement on the slow path is a generator, which yields what has to be waited for. `Hooks` waits as a thread does;
`safe_sqs.async_hooks` is the same for aiobotocore, and awaits.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn, TypeVar

from botocore.awsrequest import HeadersDict
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.session import Session

from safe_sqs import events
from safe_sqs.cache import Clock, Entry, Flight, drop_everywhere
from safe_sqs.config import Config
from safe_sqs.decisions import Guard, Scope
from safe_sqs.errors import RefusedError, refusal
from safe_sqs.guarded import forget_guard, note_guard
from safe_sqs.model import Ask, Facts, Finding, Mode, Queue, Unreadable, Verdict, Work, without_secrets
from safe_sqs.operations import CHANGES, OPERATIONS
from safe_sqs.way_out import MARK, WayOut, is_watched, seal
from safe_sqs.wire import (
    AUTHORIZATION,
    QUEUE_FIRST,
    QUEUE_URL,
    Freeze,
    Resolve,
    Steps,
    emitter_of,
    key_client_arguments,
    key_of,
    parameters_in_body,
    partitions,
    queue_in_body,
    shown_url,
    url_of,
)

__all__ = ["CREDENTIALS_MISSING", "METHODS", "NO_ANSWER", "Hooks", "addresses_in", "asking", "is_asking", "unreadable"]

R = TypeVar("R")

_OUTDATING = frozenset({"AddPermission", "CreateQueue", "DeleteQueue", "RemovePermission", "SetQueueAttributes"})
"""Operations after which what is known of a queue is out of date."""
_DENIALS = re.compile("AccessDenied|Kms|KMS|InvalidSecurity|NonExistentQueue|QueueDoesNotExist|QueueDeletedRecently")
"""Error codes which say that a queue is not what it was."""
CREDENTIALS_MISSING = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
"""Errors of botocore that say that nobody can sign: the caller's, and not the queue's."""

METHODS = {"GetQueueAttributes": "get_queue_attributes", "DescribeKey": "describe_key"}
"""How botocore names the operations with which the guard looks at a queue."""

_REGION_IN_HOST = re.compile(r"https?://(?:sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.|(?P<legacy>[a-z0-9-]+)\.queue\.)")

_NO_QUEUE: tuple[bytes, Entry | None] = (b"\0", None)
"""How a body begins, and the verdict about the queue that it then names: no body begins so."""

_START = "the check at start"
_LOOK_AT_KEY = "DescribeKey"


class _Asking:
    """One call of the guard itself. What a handler starts meanwhile takes the context along, and may outlive it."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


_asking: ContextVar[_Asking | None] = ContextVar("safe_sqs_asking", default=None)


@contextmanager
def asking() -> Iterator[None]:
    """Around each call to the service that the guard itself makes."""
    call = _Asking()
    token = _asking.set(call)
    try:
        yield
    finally:
        call.is_over = True
        _asking.reset(token)


def is_asking() -> bool:
    """True while the guard itself is calling the service."""
    call = _asking.get()
    return call is not None and not call.is_over


class Hooks:
    """The guard's ear and hand at one client of botocore."""

    awaits = False
    """True where what has to be waited for is awaited."""

    def __init__(self, client: Any, config: Config, clock: Clock) -> None:
        meta = client.meta
        self.config = config
        self._client = client
        self.clock = clock
        self._guard = Guard(Scope(meta.endpoint_url, meta.region_name, config), partitions(), clock)
        self._cache = self._guard.cache
        self._way_out = WayOut(client, self._guard, "sqs")
        self._key_client: Any = None
        self._told: set[str] = set()
        self._last: tuple[bytes, Entry | None] = _NO_QUEUE
        # Where nothing is refused, nothing is kept from being changed either.
        self._keep = seal if config.refuses else _leave
        self.before_sign = self._sign_handler()
        self.before_send = self._send_handler()
        self._handlers: dict[str, Callable[..., Any]] = {
            "before-sign": self.before_sign,
            "before-send": self.before_send,
            "after-call": self._denial_handler(),
            "after-call-error": self._forget,
            **{f"after-call.sqs.{operation}": self._forget for operation in _OUTDATING},
        }

    def subscribe(self) -> None:
        """Subscribe to the client's events."""
        for event, handler in self._handlers.items():
            self._client.meta.events.register_last(event, handler)
        note_guard(self._client, self)

    def unsubscribe(self) -> None:
        """End what `subscribe` began."""
        for event, handler in self._handlers.items():
            self._client.meta.events.unregister(event, handler)
        forget_guard(self._client, self)

    def verify_queues(self) -> Any:
        """Judge the queues that the configuration names. Raises one RefusedError for all that are not fit for use."""
        return self._run(self._judge_named_queues())

    def verdict_on(self, url: str, operation: str) -> Any:
        """The verdict about a queue for an operation that somebody else carries out: known already, or by a look.

        Raises RefusedError when the way to a look is not safe.
        """
        return self._run(self._verdict(operation, key_of(url))) if self._guard.needs_queue(operation) else Verdict()

    def examine(self, url: str, answer: Mapping[str, object] | None = None) -> Any:
        """What the rules find in a queue just now, for those who only look: (facts or Unreadable, verdict).

        `answer` is an answer of GetQueueAttributes that is there already. Nothing is taken from the cache, nothing put
        there, and no event told. Raises RefusedError when the way to a look is not safe.
        """
        return self._run(self._examine(url, answer))

    def _examine(self, url: str, answer: Mapping[str, object] | None) -> Steps[tuple[Facts | Unreadable, Verdict]]:
        queue = self._guard.queue(url)
        facts = yield from self._guard.look_at(queue, answer)
        verdict, _ = yield Work(partial(self._guard.judge, queue, facts))
        return facts, verdict

    def _judge_named_queues(self) -> Steps[None]:
        findings: list[Finding] = []
        bad: list[str] = []
        for url in self.config.verify_queues if self._guard.needs_queue("SendMessage") else ():
            shown = without_secrets(url)
            try:
                refusals = (yield from self._verdict(_START, key_of(url))).refusals
            except RefusedError as refused:  # the way out, which is the same for all of them
                self._refuse(refused.findings, _START, shown)
            if refusals:
                bad.append(shown)
                findings += [each._replace(found=f"{shown}: {each.found}") for each in refusals]
        if findings:
            self._refuse(tuple(findings), _START, ", ".join(bad))

    # --- warm path ---------------------------------------------------------------------------------------------

    def _sign_handler(self) -> Callable[..., Any]:
        way_out = self._way_out
        judge, run = self._judge_unsigned, self._run

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
        ) -> Any:
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
                return run(judge(request, signature_version, request_signer, operation_name))
            return None

        return before_sign

    def _send_handler(self) -> Callable[..., Any]:
        client, way_out, cache, entries = self._client, self._way_out, self._cache, self._cache.entries
        monotonic, wall = self.clock
        by_queue = {f"before-send.sqs.{operation}" for operation in self._unquestioned(needs_queue=True)}
        by_way_only = {f"before-send.sqs.{operation}" for operation in self._unquestioned(needs_queue=False)}
        judge, run, keep = self._judge_signed, self._run, self._keep
        emitter = emitter_of(client)
        plain: Any = HeadersDict if AUTHORIZATION is not None else None

        # What it returns botocore takes for the response, so it returns nothing (and a coroutine that returns nothing).
        def before_send(request: Any, event_name: str, **_: Any) -> Any:
            way = way_out.approved
            now = monotonic()
            session = client._endpoint.http_session
            headers = request.headers
            try:
                signature = headers._dict[AUTHORIZATION] if type(headers) is plain else headers["Authorization"]
            except KeyError:
                signature = None
            if (
                request.url == way.url
                and now < way.ends
                and type(signature) is bytes
                and signature[:-64] == way.signed
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
                    passes = entry is not None and entry.passes and now < entry.fresh and wall() < entry.fresh_wall
                    if passes:
                        cache.hits += 1
                else:
                    passes = event_name in by_way_only
                if passes:
                    handlers = emitter._lookup_cache.get(event_name)
                    # Where no handler comes after this one, there is nobody to keep the request from.
                    return None if handlers and handlers[-1] is before_send else keep(request)
            self._last = _NO_QUEUE
            return run(judge(request, event_name.rpartition(".")[2]))

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

    def _judge_unsigned(self, request: Any, signature_version: Any, request_signer: Any, operation: str) -> Steps[None]:
        """Judge the way out of a request, and its call where nobody will see what leaves. Raises RefusedError."""
        way_out = self._way_out
        findings = yield from way_out.findings_before_signature(request, signature_version, request_signer, operation)
        if findings or not is_watched(request, signature_version):
            yield from self._judge_call(findings, operation, request.data)
            self._keep(request)

    def _judge_signed(self, request: Any, operation: str) -> Steps[None]:
        """Judge what is about to leave: its way out, and the call in its body. Raises RefusedError."""
        findings = yield from self._way_out.findings_after_signature(request, operation)
        yield from self._judge_call(findings, operation, request.body)
        self._keep(request)

    def _judge_call(self, findings: tuple[Finding, ...], operation: str, body: Any) -> Steps[None]:
        """Refuse a call, or let it go on. `findings` are what refuses its way out."""
        key = queue_in_body(body)
        url = shown_url(key)
        is_safe = not findings  # over a bad way out the queue cannot be looked at
        findings += self._findings_of_operation(operation, url)
        try:
            if is_safe and self._guard.needs_queue(operation):
                findings += yield from self._findings_of_queue(operation, key)
            elif is_safe and operation in CHANGES:
                findings += yield from self._findings_of_change(operation, body, url)
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

    def _findings_of_queue(self, operation: str, key: bytes) -> Steps[tuple[Finding, ...]]:
        if not key:
            return self._refusals_of_unreadable(operation)
        return (yield from self._verdict(operation, key)).refusals

    def _refusals_of_unreadable(self, operation: str) -> tuple[Finding, ...]:
        verdict = self._guard.unreadable_request()
        _warn(verdict, operation, "")
        return verdict.refusals

    def _findings_of_change(self, operation: str, body: Any, url: str) -> Steps[tuple[Finding, ...]]:
        parameters = parameters_in_body(body)
        if parameters is None:
            return self._refusals_of_unreadable(operation)
        if not self._guard.is_change(operation, parameters):
            return ()
        queue, verdict = yield from self._guard.judge_change(operation, parameters)
        _warn(verdict, operation, url or queue.name)
        return verdict.refusals

    def _verdict(self, operation: str, key: bytes) -> Steps[Verdict]:
        """The verdict about a queue: from the cache, from whoever is fetching it, or by a look of our own."""
        while True:
            entry, flight, leads = self._cache.look_up(key, self._place())
            if flight is None:
                assert entry is not None
                return entry.verdict
            if leads:
                return (yield from self._look_at(operation, key, flight))
            if is_asking():  # waiting from within a look at a queue could wait for ourselves
                verdict = self._guard.inside_a_look()
                _warn(verdict, operation, shown_url(key))
                return verdict
            yield flight
            error = flight.exception()
            if error is None:
                return flight.result().verdict
            if isinstance(error, RefusedError):
                raise refusal(error.findings, operation, shown_url(key))
            # Whoever was fetching was interrupted or lacks credentials; that is theirs, so ask anew.

    def _look_at(self, operation: str, key: bytes, flight: Flight) -> Steps[Verdict]:
        """Fetch and judge. When that fails, a verdict that is still good stands."""
        queue = self._guard.queue(url_of(key))
        try:
            facts = yield from self._guard.look_at(queue)
            verdict, at_most = yield Work(partial(self._guard.judge, queue, facts))
        except BaseException as error:
            living = self._cache.abandon(key, flight, error)
            if living is not None and living.passes and isinstance(error, Exception):
                return living.verdict
            raise
        entry = self._cache.settle(key, flight, verdict, at_most, _dead_letter_in(facts))
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

    # --- what has to be waited for -----------------------------------------------------------------------------

    def _run(self, steps: Steps[R]) -> R:
        """Carry a judgement out."""
        try:
            want = next(steps)
            while True:
                try:
                    answer = self._bring(want)
                except BaseException as error:  # what is under way has to be ended, whatever it was
                    want = steps.throw(error)
                else:
                    want = steps.send(answer)
        except StopIteration as stop:
            result: R = stop.value
            return result

    def _place(self) -> Hashable:
        """Among whom a flight may be waited for: all threads."""
        return None

    def _bring(self, want: Ask | Flight | Freeze | Resolve | Work) -> Any:
        if isinstance(want, Work):
            return want.judge()
        if isinstance(want, Freeze):
            return want.credentials.get_frozen_credentials()
        if isinstance(want, Flight):
            return want.exception()
        if isinstance(want, Resolve):
            try:
                return addresses_in(socket.getaddrinfo(want.host, want.port, type=socket.SOCK_STREAM))
            except OSError:
                return ()
        return self._answer(want)

    def _answer(self, ask: Ask) -> Mapping[str, object] | Unreadable:
        try:
            with asking():
                client = self._client if ask.service == "sqs" else self._keys()
                answer: Mapping[str, object] = getattr(client, METHODS[ask.operation])(**ask.parameters)
        except CREDENTIALS_MISSING:
            raise
        except NO_ANSWER as error:
            return unreadable(error, ask)
        return answer

    def _keys(self) -> Any:
        """A KMS client with the credentials of the SQS client, held to the same connection rules."""
        if self._key_client is None:
            session = Session()
            session.register_component("credential_provider", _Provider(self._client._request_signer._credentials))
            client = session.create_client(**key_client_arguments(self._client))
            self._watch_keys(client)
            self._key_client = client
        return self._key_client

    def _watch_keys(self, client: Any) -> None:
        """Judge every request of a KMS client by its way out alone."""
        way_out = WayOut(client, self._guard, "kms")

        def before_sign(
            request: Any, signature_version: Any, request_signer: Any, operation_name: str, **_: Any
        ) -> Any:
            judge = way_out.findings_before_signature
            return self._run(_judge_way(judge(request, signature_version, request_signer, operation_name)))

        def before_send(request: Any, event_name: str, **_: Any) -> Any:
            operation = event_name.rpartition(".")[2]
            self._keep(request)
            return self._run(_judge_way(way_out.findings_after_signature(request, operation)))

        client.meta.events.register_last("before-sign", before_sign)
        client.meta.events.register_last("before-send", before_send)

    def _refuse(self, findings: tuple[Finding, ...], operation: str, queue: str) -> NoReturn:
        if not is_asking():
            events.emit(events.Refused(operation, queue, findings))
        raise refusal(findings, operation, queue)

    # --- the answer --------------------------------------------------------------------------------------------

    def _denial_handler(self) -> Callable[..., None]:
        denied = self._denied

        def after_call(
            http_response: Any, parsed: Any, context: Any, model: Any = None, event_name: Any = None, **_: Any
        ) -> None:
            if http_response.status_code >= 300 and not is_asking():
                denied(parsed, context)

        return after_call

    def _denied(self, parsed: Any, context: Mapping[str, Any]) -> None:
        """Forget a queue when the service says that it is not what it was."""
        if _DENIALS.search(str(parsed.get("Error", {}).get("Code"))):
            self._cache.drop(queue_in_body(context.get(MARK)))

    def _forget(self, context: Mapping[str, Any], event_name: str, parsed: Any = None, **_: Any) -> None:
        """Forget a queue that was changed. A call that failed on the way may have changed it all the same."""
        if event_name.rpartition(".")[2] in _OUTDATING:
            drop_everywhere(queue_in_body(context.get(MARK)) or key_of(str((parsed or {}).get("QueueUrl", ""))))


NO_ANSWER = (ClientError, BotoCoreError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a look-up may end with in place of an answer; the last five where botocore cannot parse it."""


def unreadable(error: BaseException, ask: Ask) -> Unreadable:
    """What the guard says of a look-up that ended so: its code, and never a message of the service, which may quote
    the request, and with it the session token."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", "no error code"))
        return Unreadable(code, ask.operation if "AccessDenied" in code else "", "")
    if isinstance(error, BotoCoreError):
        return Unreadable(type(error).__name__, "", "")
    return Unreadable("an answer that makes no sense", "", "")


def addresses_in(found: Iterable[tuple[Any, ...]]) -> tuple[str, ...]:
    """The addresses in what getaddrinfo returns."""
    return tuple(str(entry[4][0]) for entry in found)


def _dead_letter_in(facts: Facts | Unreadable) -> bytes:
    """The URL of the dead-letter queue that was looked at with a queue, or b""."""
    target = facts.dead_letter if isinstance(facts, Facts) else None
    return key_of(target.queue.url) if isinstance(target, Facts) else b""


def _judge_way(judgement: Steps[tuple[Finding, ...]]) -> Steps[None]:
    """Refuse a look at a key. Whoever looks takes the findings, and knows for which call."""
    findings = yield from judgement
    if findings:
        raise refusal(findings, _LOOK_AT_KEY, "")


class _Provider:
    """Hands out credentials that are already there."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


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
