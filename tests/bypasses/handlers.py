"""Event handlers of others, before the guard's and after."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from sockets import record_signatures

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("handlers of others")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope

Make = Callable[[Stage], Callable[..., Any]]


def swap_in_parameters(stage: Stage) -> Callable[..., Any]:
    def handler(params: dict[str, Any], **_: Any) -> None:
        if "QueueUrl" in params:
            params["QueueUrl"] = stage.bad

    return handler


def other_parameters(stage: Stage) -> Callable[..., Any]:
    return lambda params, **_: {**params, "QueueUrl": stage.bad}


def swapped(stage: Stage, body: bytes) -> bytes:
    """A request body with the bad queue in the place of the good one."""
    return body.replace(stage.good.encode(), stage.bad.encode())


def swap_in_dict(stage: Stage) -> Callable[..., Any]:
    def handler(params: dict[str, Any], **_: Any) -> None:
        params["body"] = swapped(stage, params["body"])

    return handler


def swap_in_request(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        request.data = swapped(stage, request.data)

    return handler


def swap_in_prepared_request(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        request.body = swapped(stage, request.body)

    return handler


def written_anew(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        parameters = json.loads(swapped(stage, request.data))
        request.data = json.dumps(parameters, separators=(",", ":"), sort_keys=True).encode()

    return handler


def in_a_byte_array(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        request.data = bytearray(swapped(stage, request.data))

    return handler


def in_a_file(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        request.data = io.BytesIO(swapped(stage, request.data))

    return handler


def as_text(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        request.data = swapped(stage, request.data).decode()

    return handler


def escaped(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        body = swapped(stage, request.data)
        request.data = body.replace(b"https://", b"https:\\/\\/").replace(b"Queue", b"\\u0051ueue")

    return handler


def with_white_space(stage: Stage) -> Callable[..., Any]:
    def handler(request: Any, **_: Any) -> None:
        request.data = json.dumps(json.loads(swapped(stage, request.data)), indent=2).encode()

    return handler


def by_handler(event: str, make: Make, method: str) -> Callable[[Stage], None]:
    """A handler that is put to a client which has been in use."""

    def attempt(stage: Stage) -> None:
        client = stage.client()
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        getattr(client.meta.events, method)(event, make(stage))
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    return attempt


SWAPS: dict[str, tuple[str, Make, str, str]] = {
    "queue-in-the-arguments": (
        "provide-client-params.sqs.SendMessage", swap_in_parameters, "register_first",
        "The queue is swapped in the arguments.",
    ),
    "queue-in-other-arguments": (
        "provide-client-params.sqs.SendMessage", other_parameters, "register_first",
        "Other arguments are given in the place of the arguments.",
    ),
    "queue-in-the-parameters": (
        "before-parameter-build.sqs.SendMessage", swap_in_parameters, "register_first",
        "The queue is swapped in the parameters.",
    ),
    "queue-in-the-call": (
        "before-call.sqs.SendMessage", swap_in_dict, "register_first", "The queue is swapped in the call.",
    ),
    "queue-in-the-request": (
        "request-created.sqs.SendMessage", swap_in_request, "register_first", "The queue is swapped in the request.",
    ),
    "queue-before-the-signature": (
        "before-sign.sqs.SendMessage", swap_in_request, "register_first",
        "The queue is swapped right before the signature.",
    ),
    "queue-last-before-the-signature": (
        "before-sign", swap_in_request, "register_last", "The queue is swapped before the signature, after all others.",
    ),
    "queue-after-the-signature": (
        "request-created", swap_in_request, "register_last", "The queue is swapped right after the signature.",
    ),
    "queue-on-the-wire": (
        "before-send.sqs.SendMessage", swap_in_prepared_request, "register", "The queue is swapped on the wire.",
    ),
    "queue-last-on-the-wire": (
        "before-send", swap_in_prepared_request, "register_last", "The queue is swapped on the wire, after all others.",
    ),
    "queue-by-a-wildcard": (
        "before-send.*.SendMessage", swap_in_prepared_request, "register_last",
        "The queue is swapped on the wire by a handler under a wildcard.",
    ),
    "body-written-anew": (
        "before-sign.sqs.SendMessage", written_anew, "register_first",
        "The body is written anew, with its parameters in another order and without white space.",
    ),
    "body-with-white-space": (
        "before-sign.sqs.SendMessage", with_white_space, "register_first", "The body is written anew over many lines.",
    ),
    "body-escaped": (
        "before-sign.sqs.SendMessage", escaped, "register_first",
        "The body is written anew with escapes in the name and the URL of the queue.",
    ),
    "body-as-a-byte-array": (
        "before-sign.sqs.SendMessage", in_a_byte_array, "register_first", "The body becomes a bytearray.",
    ),
    "body-as-a-file": ("before-sign.sqs.SendMessage", in_a_file, "register_first", "The body becomes a file."),
    "body-as-text": ("before-sign.sqs.SendMessage", as_text, "register_first", "The body becomes a str."),
}  # fmt: skip

for _id, (_event, _make, _method, _says) in SWAPS.items():
    FAMILY.add(_id, _says, by_handler(_event, _make, _method))


def turning(stage: Stage) -> Callable[..., Any]:
    """A handler that sends every request to plain HTTP."""
    url = stage.plain.url

    def handler(params: Any = None, request: Any = None, **_: Any) -> None:
        if request is not None:
            request.url = url
        elif isinstance(params, dict) and "url" in params:
            params["url"] = url

    return handler


for _event in ("before-call", "request-created", "before-sign", "before-send"):
    for _method, _when in (("register_first", "before all others"), ("register_last", "after all others")):
        FAMILY.add(
            f"turned-at-{_event}-{_method.removeprefix('register_')}",
            f"The request is turned to plain HTTP at `{_event}`, {_when}.",
            by_handler(_event, turning, _method),
        )


@way
def rules_of_the_endpoint(stage: Stage) -> None:
    """The rules by which the endpoint is found are given another built-in endpoint."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def turn(builtins: dict[str, Any], **_: Any) -> None:
        builtins["SDK::Endpoint"] = stage.plain.url

    client.meta.events.register("before-endpoint-resolution", turn)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def handler_that_subscribes_another(stage: Stage) -> None:
    """A handler of `before-sign` that subscribes another to the wire, after the guard's, while the call is under
    way."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def subscribe(**_: Any) -> None:
        client.meta.events.register_last("before-send", swap_in_prepared_request(stage))

    client.meta.events.register("before-sign", subscribe)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way
def handler_of_the_session(stage: Stage) -> None:
    """A handler of the session, from before the client was made."""
    session = stage.session()
    session.events.register_last("before-sign.sqs", turning(stage))
    session.client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def handler_that_counts(stage: Stage) -> None:
    """A handler that behaves for three calls, and swaps the queue at the fourth."""
    client = stage.client()
    calls: list[int] = []

    def handler(request: Any, **_: Any) -> None:
        calls.append(1)
        if len(calls) > 3:
            request.data = swapped(stage, request.data)

    client.meta.events.register("before-sign.sqs.SendMessage", handler)
    for _ in range(4):
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way
def method_changed_on_the_wire(stage: Stage) -> None:
    """A handler on the wire that puts another body into the request, and another method."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def handler(request: Any, **_: Any) -> None:
        request.method = "PUT"
        request.body = swapped(stage, request.body)

    client.meta.events.register_last("before-send", handler)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way
def copy_of_the_request_on_the_wire(stage: Stage) -> None:
    """A handler before the guard's that sends a copy of the request, with its signature, to plain HTTP."""
    client = stage.client({"endpoint_url": stage.plain.url}, trusted_endpoint_hosts=[stage.plain.netloc])

    def handler(request: Any, **_: Any) -> None:
        client._endpoint.http_session.send(request)

    client.meta.events.register_first("before-send", handler)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


# --- what is not stopped -----------------------------------------------------------------------------------------


@out_of_scope("has a signature made for that host")
def signature_for_another_host(stage: Stage) -> None:
    """A handler after the guard's at `before-sign` turns the request to another host. A signature is made for it; the
    request is not sent."""
    made = record_signatures(stage.patch)
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.meta.events.register_last("before-sign", turning(stage))
    foreign = urlsplit(stage.plain.url).netloc
    stage.watch_state(lambda: len([each for each in made if each.netloc == foreign]))
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("changes the header `X-Amz-Target`, and so makes another operation of a call, is not seen")
def another_operation_of_a_call(stage: Stage) -> None:
    """A handler that makes a SendMessage to a bad queue of a ListQueues."""
    client = stage.client()

    def handler(request: Any, **_: Any) -> None:
        request.headers["X-Amz-Target"] = "AmazonSQS.SendMessage"
        request.data = json.dumps({"QueueUrl": stage.bad, "MessageBody": stage.secret}).encode()

    client.meta.events.register("before-sign.sqs.ListQueues", handler)
    client.list_queues()


@out_of_scope("writes a body in which the queue's URL stands twice")
def body_with_two_queues(stage: Stage) -> None:
    """A handler that writes a body in which two queues stand: the guard reads the first, the service the last."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def handler(request: Any, **_: Any) -> None:
        request.data = request.data[:-1] + b', "QueueUrl": "' + stage.bad.encode() + b'"}'

    client.meta.events.register("before-sign.sqs.SendMessage", handler)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@out_of_scope("writes a body in which the queue's URL stands twice")
def body_with_two_queues_of_which_one_is_escaped(stage: Stage) -> None:
    """The same with the name of the parameter escaped the second time."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def handler(request: Any, **_: Any) -> None:
        request.data = request.data[:-1] + b', "Queue\\u0055rl": "' + stage.bad.encode() + b'"}'

    client.meta.events.register("before-sign.sqs.SendMessage", handler)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@out_of_scope("moto's mock answers in a handler of `before-send`")
def answered_on_the_wire(stage: Stage) -> None:
    """A handler of `before-send` that takes a message to a bad queue for itself, and answers. Nothing leaves."""
    client = stage.client()

    def answer(request: Any, **_: Any) -> AWSResponse:
        if stage.bad.encode() in request.body and b"AttributeNames" not in request.body:
            stage.note()
        raw = io.BytesIO(b'{"MessageId": "id"}')
        raw.stream = lambda **_: iter([b'{"MessageId": "id"}'])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 200, {}, raw)

    client.meta.events.register("before-send.sqs.SendMessage", answer)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("A handler that answers the guard's own look at a queue is believed")
def look_that_a_handler_answers(stage: Stage) -> None:
    """A handler of `before-call`, as Stubber has one, that answers GetQueueAttributes for a bad queue with good
    attributes."""
    client = stage.client()
    attributes = {"QueueArn": stage.arn(stage.bad), "SqsManagedSseEnabled": "true"}

    def answer(**_: Any) -> Any:
        return SimpleNamespace(status_code=200, headers={}), {"Attributes": attributes, "ResponseMetadata": {}}

    client.meta.events.register("before-call.sqs.GetQueueAttributes", answer)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("A handler that answers the guard's own look at a queue is believed")
def answer_to_the_look_that_a_handler_changes(stage: Stage) -> None:
    """A handler of `after-call` that says in the answer to every GetQueueAttributes that the queue is encrypted."""
    client = stage.client()

    def change(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Attributes"]["SqsManagedSseEnabled"] = "true"

    client.meta.events.register("after-call.sqs.GetQueueAttributes", change)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
