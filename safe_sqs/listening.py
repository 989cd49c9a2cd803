"""Hears which actions on which queues a guarded client uses, for the recording.

The handlers come after those of the guard, so what is refused is not heard. On a call whose use is known already they
cost a look into a dictionary.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from safe_sqs.appending import program
from safe_sqs.facts import name_of, queue_of_arn
from safe_sqs.guarded import guards_of
from safe_sqs.hooks import is_asking
from safe_sqs.model import Mode, Queue
from safe_sqs.rules.queue_encryption import CUSTOMER_KEY
from safe_sqs.rules.queue_encryption import RULE as QUEUE_ENCRYPTION
from safe_sqs.usage import GUARD, PROGRAM, Recording, Used, recording
from safe_sqs.way_out import MARK, is_watched
from safe_sqs.wire import parameters_in_body, queue_in_body, url_of

__all__ = ["listen"]

_MARK = "_safe_sqs_usage"


def listen(client: Any) -> None:
    """Record what a client does from now on, if SAFE_SQS_RECORD names a file.

    Called again when something else has begun to listen there: what is refused is no use, so this comes last.
    """
    emitter = client.meta.events
    listener = getattr(emitter, _MARK, None)
    if listener is None:
        file = recording()
        if file is None:
            return
        listener = _Listener(client, file)
        setattr(emitter, _MARK, listener)
    else:
        for event, handler in listener.handlers.items():
            emitter.unregister(event, handler)
    for event, handler in listener.handlers.items():
        emitter.register_last(event, handler)


class _Listener:
    """Hears the calls of one client that were not refused: the answers to those that botocore sends, and those that
    somebody else sends, at their signature."""

    def __init__(self, client: Any, recording: Recording) -> None:
        self._client = client
        self._recording = recording
        self._region = client.meta.region_name or ""
        self._partition = client.meta.partition
        self.handlers = {
            "before-sign": self.before_sign,
            "after-call": self.after_call,
            "after-call-error": self.after_call_error,
        }

    def before_sign(self, request: Any, signature_version: Any, operation_name: str, **_: Any) -> None:
        """A request that nobody will see again: a presigned URL, or a receive of kombu."""
        if not is_watched(request, signature_version):
            self._heard(operation_name, request.data, denied=False, answer={})

    def after_call(self, http_response: Any, parsed: Any, model: Any, context: Mapping[str, Any], **_: Any) -> None:
        """An answer. There is no body where nothing was sent, as with botocore's Stubber."""
        if MARK in context:
            denied = http_response.status_code >= 300 and _is_denial(parsed)
            self._heard(model.name, context[MARK], denied=denied, answer=parsed)

    def after_call_error(self, exception: Any, context: Mapping[str, Any], event_name: str, **_: Any) -> None:
        """No answer, to what was sent all the same: a long poll that was cut off."""
        if MARK in context and isinstance(exception, ReadTimeoutError | ConnectionClosedError):
            self._heard(event_name.rpartition(".")[2], context[MARK], denied=False, answer={})

    def _heard(self, operation: str, body: Any, *, denied: bool, answer: Any) -> None:
        try:
            queue = queue_in_body(body)
            parameters = {} if queue or operation == "ListQueues" else parameters_in_body(body) or {}
            named = queue or (_url_in(answer), *(str(parameters.get(name, "")) for name in _NAMING))
            key = _key_in(answer) if operation == "GetQueueAttributes" else ""
            use = (operation, named, self._region, key, denied, is_asking())
            if use not in self._recording.known:
                self._note(use, parameters)
        except Exception:  # a call that was made must not fail for it
            logging.getLogger("safe_sqs").exception("the recording of safe_sqs failed")

    def _note(self, use: tuple[Any, ...], parameters: Mapping[str, Any]) -> None:
        operation, named, region, key, denied, is_guard = use
        queue = self._queue(url_of(named)) if isinstance(named, bytes) else self._queue_of(named[0], parameters)
        used = Used(
            time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            pid=os.getpid(),
            program=program(),
            operation=operation,
            queue=queue,
            region=region,
            partition=self._partition,
            by=GUARD if is_guard else PROGRAM,
            denied=denied,
            key=key,
            destination=_arn_of(parameters.get("DestinationArn")),
            tags=bool(parameters.get("tags")),
        )
        self._recording.note(use, used)
        if is_guard and key and self._asks_about_keys():
            # The guard's client for KMS is its own, and asks about no other keys than these.
            about = used._replace(operation="DescribeKey", queue=queue, key=key)
            self._recording.note((*use, "DescribeKey"), about)

    def _asks_about_keys(self) -> bool:
        configs = [each.config for each in guards_of(self._client) if each.config is not None]
        return any(
            config.mode(QUEUE_ENCRYPTION.name) is not Mode.OFF and config.level(QUEUE_ENCRYPTION.name) == CUSTOMER_KEY
            for config in configs
        )

    def _queue(self, url: str) -> str:
        queue = name_of(url, self._region, self._partition)
        return queue.arn or queue.shown

    def _queue_of(self, url: str, parameters: Mapping[str, Any]) -> str:
        """The queue of an operation that does not name it by its URL; `url` is the one in the answer."""
        if url:
            return self._queue(url)
        if "SourceArn" in parameters:
            return _arn_of(parameters["SourceArn"])
        if "TaskHandle" in parameters:
            return _arn_in_handle(str(parameters["TaskHandle"]))
        name = str(parameters.get("QueueName", ""))
        account = str(parameters.get("QueueOwnerAWSAccountId", ""))
        return Queue("", self._partition, self._region, account, name).arn if account else name


_NAMING = ("QueueName", "QueueOwnerAWSAccountId", "SourceArn", "DestinationArn", "TaskHandle", "tags")
"""The parameters by which operations name a queue other than by its URL; and tags, which need an action more."""


def _url_in(answer: Any) -> str:
    return str(answer.get("QueueUrl", "")) if isinstance(answer, Mapping) else ""


def _is_denial(parsed: Any) -> bool:
    return "AccessDenied" in str(parsed.get("Error", {}).get("Code", ""))


def _key_in(answer: Any) -> str:
    """The KMS key of a queue, in an answer of GetQueueAttributes; "" for the one that AWS manages, which needs no
    grant."""
    attributes = answer.get("Attributes") if isinstance(answer, Mapping) else None
    key = str(attributes.get("KmsMasterKeyId", "")) if isinstance(attributes, Mapping) else ""
    return "" if key.endswith("alias/aws/sqs") else key


def _arn_of(value: object) -> str:
    queue = queue_of_arn(value) if isinstance(value, str) else None
    return queue.arn if queue else ""


def _arn_in_handle(handle: str) -> str:
    """The queue of a move task. Its handle is JSON in base 64; "" where it is not."""
    try:
        return _arn_of(json.loads(base64.b64decode(handle, validate=True))["sourceArn"])
    except (ValueError, TypeError, KeyError):
        return ""
