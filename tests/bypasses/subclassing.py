"""Classes of the program's own, where botocore's are expected."""

from __future__ import annotations

from typing import Any

import boto3
import boto3.session
import botocore.session
from support import new_core, new_session

from bypasses.stage import Stage
from bypasses.ways import Face, Family

FAMILY = Family("subclassing")
way, way_where, out_of_scope = FAMILY.way, FAMILY.way_where, FAMILY.out_of_scope


@way
def class_of_the_client(stage: Stage) -> None:
    """A client of a subclass of its class, whose method goes to the private call."""
    client = stage.client()

    class Own(type(client)):  # type: ignore[misc]
        def send_message(self, **arguments: Any) -> Any:
            return self._make_api_call("SendMessage", arguments)

    own = object.__new__(Own)
    own.__dict__.update(client.__dict__)
    own.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def class_that_is_changed(stage: Stage) -> None:
    """A client whose class is changed to a subclass."""
    client = stage.client()
    client.__class__ = type("Own", (type(client),), {})
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def class_that_is_mixed_in(stage: Stage) -> None:
    """A class that `creating-client-class` mixes into the client, with a method of its own."""

    class Mixin:
        def send(self, url: str) -> Any:
            return self._make_api_call("SendMessage", {"QueueUrl": url, "MessageBody": stage.secret})

    own = new_session()
    own.events.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Mixin))
    stage.protect(own.client("sqs")).send(stage.bad)


@way
def call_that_is_overridden(stage: Stage) -> None:
    """A class that `creating-client-class` mixes in, whose private call swaps the queue."""

    class Mixin:
        def _make_api_call(self, name: str, parameters: dict[str, Any]) -> Any:
            if name == "SendMessage":
                parameters = {**parameters, "QueueUrl": stage.bad}
            return super()._make_api_call(name, parameters)

    own = new_session()
    own.events.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Mixin))
    client = stage.protect(own.client("sqs"))
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way
def method_that_is_added(stage: Stage) -> None:
    """A method that `creating-client-class` puts in the place of the client's."""

    def send_message(self: Any, **arguments: Any) -> Any:
        return self._make_api_call("SendMessageBatch", {
            "QueueUrl": arguments["QueueUrl"], "Entries": [{"Id": "1", "MessageBody": arguments["MessageBody"]}],
        })  # fmt: skip

    own = new_session()
    own.events.register(
        "creating-client-class.sqs", lambda class_attributes, **_: class_attributes.update(send_message=send_message)
    )
    stage.protect(own.client("sqs")).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def session_of_the_library(stage: Stage) -> None:
    """A subclass of the library's session, whose method makes clients in a way of its own."""

    class Own(stage.library.Session):  # type: ignore[misc,name-defined]
        def client(self, service: str, **arguments: Any) -> Any:
            return super().client(service, region_name="us-east-1", **arguments)

    Own(botocore_session=new_core()).client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way_where(only=Face.SWITCH)
def session_of_boto3_replaced(stage: Stage) -> None:
    """A subclass that a library puts in the place of boto3's session, as the extended client does."""

    class Own(boto3.session.Session):
        pass

    stage.patch.setattr(boto3.session, "Session", Own)
    stage.patch.setattr(boto3, "Session", Own)
    boto3.Session(botocore_session=new_core()).client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way_where(only=Face.SWITCH)
def session_of_botocore(stage: Stage) -> None:
    """A subclass of botocore's session."""

    class Own(botocore.session.Session):
        pass

    core = Own()
    core.register_component("data_loader", new_core().get_component("data_loader"))
    core.create_client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def queue_url_that_lies(stage: Stage) -> None:
    """A queue URL of a class of its own, which says that it is another."""
    good = stage.good

    class Liar(str):
        __slots__ = ()

        def __str__(self) -> str:
            return good

        def __eq__(self, other: object) -> bool:
            return other == good

        def __hash__(self) -> int:
            return hash(good)

    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.send_message(QueueUrl=Liar(stage.bad), MessageBody=stage.secret)


@way
def parameters_that_change_as_they_are_read(stage: Stage) -> None:
    """Parameters of a class of its own, which give another queue at the second reading."""

    class Turning(dict[str, Any]):
        reads = 0

        def __getitem__(self, key: str) -> Any:
            if key == "QueueUrl":
                self.reads += 1
                return stage.good if self.reads == 1 else stage.bad
            return super().__getitem__(key)

        def items(self) -> Any:
            return [(key, self[key]) for key in self]

    client = stage.client()
    client._make_api_call("SendMessage", Turning(QueueUrl=stage.bad, MessageBody=stage.secret))


@out_of_scope("Whoever runs code in the process can monkeypatch botocore or safe_sqs")
def body_that_lies(stage: Stage) -> None:
    """A request body of a class of its own, in which the good queue is found and the bad one stands."""
    good = b'{"QueueUrl": "' + stage.good.encode() + b'"'

    class Liar(bytes):
        def find(self, *arguments: Any) -> int:
            return good.find(*arguments)

        def __getitem__(self, index: Any) -> Any:
            return good[index]

        def startswith(self, *arguments: Any) -> bool:
            return good.startswith(*arguments)

    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def handler(request: Any, **_: Any) -> None:
        request.data = Liar(request.data.replace(stage.good.encode(), stage.bad.encode()))

    client.meta.events.register("before-sign.sqs.SendMessage", handler)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
