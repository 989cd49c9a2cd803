"""Which clients are guarded, and what `guard()` takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support import REGION, TEMPORARY, new_session

from safe_sqs import Config, guard
from safe_sqs.guarded import forget_guard, guards_of, is_asynchronous, is_guarded, is_sqs, note_guard

SETTINGS = {"region_name": REGION, **TEMPORARY}


@pytest.fixture(scope="module")
def session():
    return new_session()


def client_of(service_name, **metadata):
    model = SimpleNamespace(service_name=service_name, metadata=metadata)
    return SimpleNamespace(meta=SimpleNamespace(service_model=model))


@pytest.mark.parametrize(
    ("client", "is_one"),
    [
        (client_of("sqs", serviceId="SQS"), True),
        (client_of("sqs"), True),
        (client_of("queues-of-mine", serviceId="SQS"), True),
        (client_of("sns", serviceId="SNS"), False),
        (client_of("SQS"), False),
        (client_of("sqs-of-mine", serviceId="sqs"), False),
        (client_of("queues-of-mine"), False),
        (SimpleNamespace(meta=SimpleNamespace(service_model=SimpleNamespace(service_name="sqs"))), True),
        (SimpleNamespace(meta=SimpleNamespace(service_model=SimpleNamespace(metadata={"serviceId": "SQS"}))), True),
        (SimpleNamespace(meta=SimpleNamespace(service_model=SimpleNamespace())), False),
        (SimpleNamespace(meta=SimpleNamespace()), False),
        (SimpleNamespace(), False),
        (None, False),
    ],
)
def test_a_client_of_sqs_is_one_by_the_name_of_its_model_or_by_its_service_id(client, is_one):
    assert is_sqs(client) is is_one


def test_the_clients_of_boto3_are_told_apart(session):
    assert is_sqs(session.client("sqs", **SETTINGS))
    assert not is_sqs(session.client("sns", **SETTINGS))
    assert not is_sqs(session.resource("sqs", **SETTINGS))


def test_what_guards_a_client_is_noted_on_that_client_in_its_order(session):
    client, other = session.client("sqs", **SETTINGS), session.client("sqs", **SETTINGS)
    assert guards_of(client) == ()
    assert not is_guarded(client)
    first, second = object(), object()
    note_guard(client, first)
    note_guard(client, second)
    assert guards_of(client) == (first, second)
    assert is_guarded(client)
    assert not is_guarded(other)
    forget_guard(client, first)
    assert guards_of(client) == (second,)
    forget_guard(client, second)
    assert guards_of(client) == ()
    assert not is_guarded(client)


def test_a_client_is_asynchronous_whose_class_comes_from_aiobotocores(session):
    base = type("AioBaseClient", (), {"__module__": "aiobotocore.client"})
    assert is_asynchronous(base())
    assert is_asynchronous(type("SQS", (base,), {})())
    assert not is_asynchronous(session.client("sqs", **SETTINGS))
    assert not is_asynchronous(base)


TAKES = "guard() takes an SQS client of boto3, not "


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (lambda session: session.client("sns", **SETTINGS), f"{TAKES}sns"),
        (
            lambda session: session.resource("sqs", **SETTINGS),
            f"{TAKES}sqs.ServiceResource; of a resource, pass resource.meta.client",
        ),
        (lambda session: session, f"{TAKES}Session"),
        (lambda _: None, f"{TAKES}NoneType"),
        (lambda _: "sqs", f"{TAKES}str"),
    ],
    ids=["a client of SNS", "a resource", "a session", "nothing", "a name"],
)
def test_what_is_no_client_of_sqs_is_not_guarded_and_the_error_says_what_it_is(session, thing, said):
    with pytest.raises(TypeError) as caught:
        guard(thing(session))
    assert str(caught.value) == said


def test_guarding_gives_the_client_back_and_the_same_configuration_guards_it_once(session):
    client = session.client("sqs", **SETTINGS)
    assert guard(client, Config()) is client
    (hooks,) = guards_of(client)
    assert guard(client, Config()) is client
    assert guards_of(client) == (hooks,)
    guard(client, Config(role="producer"))
    assert len(guards_of(client)) == 2
    hooks.unsubscribe()
    assert hooks not in guards_of(client)
