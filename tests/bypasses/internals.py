"""Around the front door of a client: its private methods, its signer, its endpoint, and requests by hand."""

from __future__ import annotations

from botocore.auth import SigV4Auth
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from support import REGION, TEMPORARY, WIRE_ONLY

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("inside of the client")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope


@way
def sending(stage: Stage) -> None:
    """A message to a queue without encryption, by the front door."""
    stage.client().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def receiving(stage: Stage) -> None:
    """A receive from a queue without encryption, by the front door."""
    stage.client().receive_message(QueueUrl=stage.bad)


@way
def method_from_before_the_guard(stage: Stage) -> None:
    """A method that was taken from the client before it was guarded."""
    client = stage.unprotected()
    send = client.send_message
    stage.protect(client)
    send(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def api_call(stage: Stage) -> None:
    """The private call behind the methods."""
    stage.client()._make_api_call("SendMessage", {"QueueUrl": stage.bad, "MessageBody": stage.secret})


@way
def unbound_method(stage: Stage) -> None:
    """The method of the class, with the client handed in."""
    client = stage.client()
    type(client).send_message(client, QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def method_by_its_name(stage: Stage) -> None:
    """The method that `getattr` finds by a name put together."""
    getattr(stage.client(), "_".join(["send", "message"]))(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def parameters_not_validated(stage: Stage) -> None:
    """A client that validates no parameters."""
    client = stage.client({"config": ClientConfig(parameter_validation=False)})
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def request_of_the_client(stage: Stage) -> None:
    """The private method of the client that hands a request to its endpoint."""
    client = stage.client()
    model = client.meta.service_model.operation_model("SendMessage")
    client._make_request(model, stage.dict_by_hand(client, stage.bad), {})


@way
def endpoint_behind_the_call(stage: Stage) -> None:
    """The client's endpoint, with a request that was put together by hand."""
    client = stage.client()
    model = client.meta.service_model.operation_model("SendMessage")
    client._endpoint.make_request(model, stage.dict_by_hand(client, stage.bad))


@way
def request_made_by_the_endpoint(stage: Stage) -> None:
    """A request that the endpoint creates and signs, sent by the endpoint's HTTP session."""
    client = stage.client()
    model = client.meta.service_model.operation_model("SendMessage")
    request = client._endpoint.create_request(stage.dict_by_hand(client, stage.bad), model)
    client._endpoint.http_session.send(request)


@way
def signed_by_the_client(stage: Stage) -> None:
    """A request by hand that the client's signer signs, sent by an HTTP client of the program's own."""
    client = stage.client()
    request = stage.request_by_hand(client, stage.bad)
    client._request_signer.sign("SendMessage", request)
    stage.send_by_hand(request)


@way
def signed_by_the_client_after_a_good_call(stage: Stage) -> None:
    """The same with a client whose way out is known to be good."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    request = stage.request_by_hand(client, stage.bad)
    client._request_signer.sign("SendMessage", request)
    stage.send_by_hand(request)


@way
def signed_by_the_handler_of_the_signer(stage: Stage) -> None:
    """A request by hand that the handler of the client's signer signs."""
    client = stage.client()
    request = stage.request_by_hand(client, stage.bad)
    client._request_signer.handler("SendMessage", request)
    stage.send_by_hand(request)


@way
def signed_as_another_operation(stage: Stage) -> None:
    """A request by hand for SendMessageBatch that is signed as ReceiveMessage."""
    client = stage.client()
    request = stage.request_by_hand(client, stage.bad)
    request.headers["X-Amz-Target"] = "AmazonSQS.SendMessageBatch"
    client._request_signer.sign("ReceiveMessage", request)
    stage.send_by_hand(request)


@way
def signed_for_plain_http(stage: Stage) -> None:
    """A request by hand to plain HTTP, for which the client's signer is asked."""
    client = stage.client()
    request = stage.request_by_hand(client, stage.good)
    request.url = stage.plain.url
    client._request_signer.sign("SendMessage", request)
    stage.send_by_hand(request)


# --- what is not stopped -----------------------------------------------------------------------------------------


@out_of_scope("or build requests by hand")
def signed_by_oneself(stage: Stage) -> None:
    """A request by hand that is signed by a signer of the program's own, with the same credentials."""
    request = stage.request_by_hand(stage.client(), stage.bad)
    SigV4Auth(Credentials(*TEMPORARY.values()), "sqs", REGION).add_auth(request)
    stage.send_by_hand(request)


@out_of_scope("or build requests by hand")
def signed_by_get_auth_instance(stage: Stage) -> None:
    """The same with a signer that the client's signer gives out, by a method that tells no subscriber."""
    client = stage.client()
    request = stage.request_by_hand(client, stage.bad)
    client._request_signer.get_auth_instance("sqs", REGION).add_auth(request)
    stage.send_by_hand(request)


@out_of_scope("or build requests by hand")
def http_session_of_the_client(stage: Stage) -> None:
    """A request that was signed by oneself, sent by the HTTP session of the client."""
    client = stage.client()
    request = stage.request_by_hand(client, stage.bad)
    SigV4Auth(Credentials(*TEMPORARY.values()), "sqs", REGION).add_auth(request)
    client._endpoint.http_session.send(request.prepare())


@out_of_scope("or build requests by hand")
def request_that_pretends_to_be_watched(stage: Stage) -> None:
    """A request whose context says that botocore will send it, so that its queue would be judged on the wire, and
    which the program then sends by itself."""
    client = stage.client()
    model = client.meta.service_model.operation_model("SendMessage")
    by_hand = stage.dict_by_hand(client, stage.bad)
    by_hand["context"]["retries"] = {"attempt": 1, "invocation-id": "by hand"}
    stage.send_by_hand(client._endpoint.create_request(by_hand, model))


@out_of_scope("can monkeypatch botocore or safe_sqs, unregister the handlers")
def handlers_taken_away(stage: Stage) -> None:
    """The guard's handlers are looked for among all handlers, and unregistered."""
    client = stage.client()
    stage.protect(client)
    client.list_queues()  # until then, others may stand in for them
    events = client.meta.events
    for event in ("before-sign", "before-send"):
        for handler in list(events._emitter._handlers.prefix_search(f"{event}.sqs.SendMessage")):
            if getattr(handler, "__module__", "").startswith("safe_sqs"):
                events.unregister(event, handler)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("can monkeypatch botocore or safe_sqs, unregister the handlers")
def guard_patched(stage: Stage) -> None:
    """The function that decides which operations need a look at their queue is replaced."""
    from safe_sqs import decisions

    stage.patch.setattr(decisions.Guard, "needs_queue", lambda *_: False)
    stage.client().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("changes the header `X-Amz-Target`, and so makes another operation of a call, is not seen")
def endpoint_with_the_model_of_another_operation(stage: Stage) -> None:
    """The client's endpoint, with a message in a request and the model of an operation that needs no look."""
    client = stage.client()
    model = client.meta.service_model.operation_model("DeleteMessage")
    client._endpoint.make_request(model, stage.dict_by_hand(client, stage.bad))


@out_of_scope("of the events of a guarded one and an HTTP session of their own")
def client_put_together_by_hand(stage: Stage) -> None:
    """A copy of a guarded client with an endpoint of its own, which checks no certificate."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    copy = object.__new__(type(client))
    copy.__dict__.update(client.__dict__)
    unchecked = URLLib3Session(verify=False)
    copy._endpoint = type(client._endpoint)(client._endpoint.host, "sqs", client.meta.events, http_session=unchecked)
    copy.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("of the events of a guarded one and an HTTP session of their own")
def http_session_that_says_it_verifies(stage: Stage) -> None:
    """An HTTP session of the program's own, which says that it checks certificates and does not."""

    class Careless(URLLib3Session):
        def _setup_ssl_cert(self, conn: object, url: str, verify: object) -> None:
            super()._setup_ssl_cert(conn, url, False)

        def _get_pool_manager_kwargs(self, **extra: object) -> dict[str, object]:
            return {**super()._get_pool_manager_kwargs(**extra), "cert_reqs": "CERT_NONE"}

    client = stage.client({"endpoint_url": stage.unknown.url}, modes=WIRE_ONLY)
    client._endpoint.http_session.close()
    client._endpoint.http_session = Careless(verify=True)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
