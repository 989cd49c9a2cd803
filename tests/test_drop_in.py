"""The drop-in face and the guarded client: everything that boto3 can do still works, and types as boto3 does."""

from __future__ import annotations

import copy
import gc
import inspect
import pkgutil
import pydoc
import subprocess
import sys
import textwrap
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
import scripted
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError, ParamValidationError
from botocore.stub import Stubber
from scripted import Server, attributes, fails, says
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED

import safe_sqs
from safe_sqs import Config, ConfigError, RefusedError, guard
from safe_sqs.cache import all_caches
from safe_sqs.events import LookedUp, Refused, Warned
from safe_sqs.guarded import guards_of

OWN = {"DEFAULT_SESSION", "Session", "_get_default_session", "client", "resource", "session", "setup_default_session"}
"""What the drop-in has its own of. Everything else is boto3's."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose answers the test scripts."""
    with scripted.running() as running:
        yield running


@pytest.fixture
def drop_in(emulator, monkeypatch) -> Iterator[Any]:
    """`import safe_sqs as boto3` in a program whose environment leads to the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)
    safe_sqs.setup_default_session()
    yield safe_sqs
    safe_sqs.setup_default_session()


def send(client, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody="body")


def refusal(client, queue: str) -> RefusedError:
    """The error with which a send is refused."""
    with pytest.raises(RefusedError) as caught:
        send(client, queue)
    return caught.value


def is_guarded(client, bad: str) -> bool:
    """True when a client refuses to send to a queue that is not encrypted."""
    try:
        send(client, bad)
    except RefusedError:
        return True
    return False


def run(program: str, *arguments: str) -> str:
    """Run a program of its own with the environment of the test. Returns what it printed."""
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments], capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


# --- import safe_sqs as boto3 --------------------------------------------------------------------------------------

ROADS: dict[str, Callable[[Any], Any]] = {
    "client": lambda boto3: boto3.client("sqs"),
    "client by keyword": lambda boto3: boto3.client(service_name="sqs", region_name=REGION),
    "client by position": lambda boto3: boto3.client("sqs", REGION, None, True),
    "Session": lambda boto3: boto3.Session().client("sqs"),
    "Session by position": lambda boto3: boto3.Session(*TEMPORARY.values(), REGION).client("sqs"),
    "session.Session": lambda boto3: boto3.session.Session(region_name=REGION).client("sqs", config=ClientConfig()),
    "default session": lambda boto3: boto3.DEFAULT_SESSION.client("sqs"),
    "private name of the default session": lambda boto3: boto3._get_default_session().client("sqs"),
    "resource": lambda boto3: boto3.resource("sqs").meta.client,
    "resource of a session": lambda boto3: boto3.Session().resource("sqs", region_name=REGION).meta.client,
    "queue of a resource": lambda boto3: boto3.resource("sqs").Queue("https://example.test/1/q").meta.client,
    "subclass": lambda boto3: type("Own", (boto3.Session,), {})().client("sqs"),
}


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
def test_every_road_to_an_sqs_client_gives_a_guarded_one(drop_in, good, bad, road):
    client = road(drop_in)
    send(client, good)
    assert is_guarded(client, bad)


def test_a_program_changes_one_line_and_nothing_else(drop_in, good, bad):
    printed = run(
        """
        import sys
        import safe_sqs as boto3

        good, bad = sys.argv[1:]
        sqs = boto3.client("sqs")
        sqs.send_message(QueueUrl=good, MessageBody="hello")
        for message in sqs.receive_message(QueueUrl=good)["Messages"]:
            print(message["Body"])
            sqs.delete_message(QueueUrl=good, ReceiptHandle=message["ReceiptHandle"])
        try:
            boto3.resource("sqs").Queue(bad).send_message(MessageBody="hello")
        except boto3.RefusedError as error:
            print(*[finding.rule for finding in error.findings])
        print(boto3.client("sts").get_caller_identity()["Account"])
        """,
        good,
        bad,
    )
    assert printed.split() == ["hello", "queue-encryption", "123456789012"]


@pytest.fixture
def no_session(monkeypatch) -> None:
    """A process in which nobody has set up a default session."""
    for module, name in ((safe_sqs, "DEFAULT_SESSION"), (boto3, "DEFAULT_SESSION"), (safe_sqs.session, "_theirs")):
        monkeypatch.setattr(module, name, None)


@pytest.mark.usefixtures("no_session")
def test_the_default_session_is_also_that_of_boto3_whose_clients_are_not_guarded():
    safe_sqs.setup_default_session(region_name="eu-central-1", **TEMPORARY)
    mine, theirs = safe_sqs.DEFAULT_SESSION, boto3.DEFAULT_SESSION
    assert (type(mine), type(theirs)) == (safe_sqs.Session, boto3.session.Session)
    assert mine._session is theirs._session
    clients = safe_sqs.client("sqs"), boto3.client("sqs")
    assert [client.meta.region_name for client in clients] == ["eu-central-1"] * 2
    assert [bool(guards_of(client)) for client in clients] == [True, False]
    assert safe_sqs.DEFAULT_SESSION is mine
    assert boto3.DEFAULT_SESSION is theirs


@pytest.mark.usefixtures("no_session")
def test_a_default_session_that_is_set_up_through_boto3_is_followed_and_so_is_its_end():
    safe_sqs.setup_default_session(region_name="eu-central-1", **TEMPORARY)
    boto3.setup_default_session(region_name="sa-east-1", **TEMPORARY)
    client = safe_sqs.client("sqs")
    assert (client.meta.region_name, bool(guards_of(client))) == ("sa-east-1", True)
    followed = safe_sqs.DEFAULT_SESSION
    assert type(followed) is safe_sqs.Session
    safe_sqs.client("sqs")
    assert safe_sqs.DEFAULT_SESSION is followed
    boto3.DEFAULT_SESSION = None
    assert guards_of(safe_sqs.client("sqs", region_name=REGION))
    assert safe_sqs.DEFAULT_SESSION._session is not followed._session


@pytest.mark.usefixtures("no_session")
def test_a_session_of_boto3_that_somebody_assigned_makes_guarded_clients():
    safe_sqs.DEFAULT_SESSION = assigned = boto3.session.Session(region_name="ca-central-1", **TEMPORARY)
    client = safe_sqs.client("sqs")
    assert (client.meta.region_name, bool(guards_of(client))) == ("ca-central-1", True)
    assert safe_sqs.DEFAULT_SESSION._session is assigned._session


def test_boto3_itself_is_left_alone(drop_in, bad):
    assert not is_guarded(boto3.session.Session().client("sqs"), bad)
    assert boto3.Session is boto3.session.Session is not safe_sqs.Session


def test_other_services_are_not_guarded(drop_in):
    """Long-term credentials, to a host that is no service's own: what an SQS client would be refused for."""
    session = drop_in.Session(**LONG_TERM, region_name=REGION)
    assert session.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert session.resource("s3").meta.client.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(RefusedError):
        session.client("sqs").list_queues()


def test_a_client_about_which_nothing_is_configured_is_guarded_all_the_same(server):
    """To a host that nobody trusts; and by long-term credentials to AWS, which is refused before a connection."""
    safe = safe_sqs.Session(**TEMPORARY, region_name=REGION)
    client = safe.client("sqs", endpoint_url=server.url, verify=server.authority)
    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(lambda _: refusal(client, server.queue()), range(8)))
    assert {finding.rule for error in errors for finding in error.findings} == {"endpoint-host"}
    with pytest.raises(RefusedError) as caught:
        safe_sqs.Session(**LONG_TERM, region_name=REGION).client("sqs").list_queues()
    assert [finding.rule for finding in caught.value.findings] == ["static-credentials"]
    assert server.asked == []


def test_a_wrong_configuration_is_told_when_the_sqs_client_is_made(drop_in, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_PROFILE", "loose")
    with pytest.raises(ConfigError, match="SAFE_SQS_PROFILE"):
        drop_in.client("sqs")
    drop_in.client("sts")


@pytest.mark.parametrize("name", sorted({name for name in vars(boto3) if not name.startswith("__")} - OWN))
def test_what_the_drop_in_does_not_have_is_what_boto3_has(name):
    assert getattr(safe_sqs, name) is getattr(boto3, name)


def test_submodules_of_boto3_are_found_under_the_drop_in():
    from boto3.dynamodb.conditions import Key

    import_module("boto3.s3.transfer")
    assert safe_sqs.dynamodb.conditions.Key is Key
    assert safe_sqs.s3.transfer is boto3.s3.transfer
    assert safe_sqs.__version__ == boto3.__version__


def test_no_module_of_safe_sqs_hides_one_of_boto3():
    ours, theirs = ({module.name for module in pkgutil.iter_modules(each.__path__)} for each in (safe_sqs, boto3))
    assert ours & theirs == {"session"}


def test_an_unknown_name_is_an_attribute_error_of_safe_sqs():
    with pytest.raises(AttributeError, match="module 'safe_sqs' has no attribute 'nonsense'"):
        _ = safe_sqs.nonsense


def test_dir_names_everything_of_boto3_and_every_public_name():
    assert set(dir(boto3)) | set(safe_sqs.__all__) <= set(dir(safe_sqs))


@pytest.mark.parametrize("name", safe_sqs.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert inspect.getdoc(getattr(safe_sqs, name))


# --- the default session -------------------------------------------------------------------------------------------


def test_the_default_session_is_made_when_it_is_needed_and_kept():
    printed = run(
        """
        import safe_sqs as boto3
        print(boto3.DEFAULT_SESSION)
        boto3.client("sqs")
        first = boto3.DEFAULT_SESSION
        boto3.resource("sqs")
        print(isinstance(first, boto3.Session), boto3.DEFAULT_SESSION is first)
        """
    )
    assert printed.split() == ["None", "True", "True"]


def test_the_default_session_can_be_set_up(drop_in):
    drop_in.setup_default_session(region_name="eu-central-1", **TEMPORARY)
    assert drop_in.client("sqs").meta.region_name == "eu-central-1"
    assert drop_in.DEFAULT_SESSION.region_name == "eu-central-1"
    drop_in.setup_default_session(region_name="eu-west-3")
    assert drop_in.client("sqs").meta.region_name == "eu-west-3"


RESETTING = """
    import os, sys
    if sys.argv[1] == "safe_sqs":
        import safe_sqs as boto3
    else:
        import boto3
    print(boto3.client("sqs").meta.region_name)
    os.environ["AWS_DEFAULT_REGION"] = "eu-north-1"
    boto3.DEFAULT_SESSION = None
    print(boto3.client("sqs").meta.region_name)
    boto3.setup_default_session(region_name="sa-east-1")
    print(boto3.client("sqs").meta.region_name, boto3.DEFAULT_SESSION.region_name)
"""


@pytest.mark.parametrize("package", ["boto3", "safe_sqs"])
def test_the_default_session_can_be_reset_by_assignment(package):
    """Programs and test suites do that to have new settings read."""
    assert run(RESETTING, package).split() == [REGION, "eu-north-1", "sa-east-1", "sa-east-1"]


# --- moto in this process ------------------------------------------------------------------------------------------

MOCKED = """
    import sys
    if sys.argv[1] == "safe_sqs":
        import safe_sqs as boto3
    else:
        import boto3
    if "default session first" in sys.argv:
        boto3.client("s3")
    from moto import mock_aws

    with mock_aws(config={"core": {"mock_credentials": False}}):
        sqs = boto3.client("sqs")
        good = sqs.create_queue(QueueName="good")["QueueUrl"]
        sqs.send_message(QueueUrl=good, MessageBody="hello")
        queue = boto3.resource("sqs").get_queue_by_name(QueueName="good")
        for message in queue.receive_messages():
            print(message.body)
            message.delete()
        if sys.argv[1] == "safe_sqs":
            import boto3 as real
            bad = real.client("sqs").create_queue(
                QueueName="bad", Attributes={"SqsManagedSseEnabled": "false"}
            )["QueueUrl"]
            try:
                sqs.send_message(QueueUrl=bad, MessageBody="hello")
            except boto3.RefusedError as error:
                print(error.findings[0].rule)
"""


@pytest.fixture
def nowhere(monkeypatch) -> None:
    """Temporary credentials, and a proxy that is not there: what is not mocked fails."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("order", ["moto first", "default session first"])
@pytest.mark.parametrize(("package", "printed"), [("boto3", ["hello"]), ("safe_sqs", ["hello", "queue-encryption"])])
def test_the_mock_of_moto_works_as_with_boto3(package, printed, order):
    assert run(MOCKED, package, order).split() == printed


def test_the_made_up_credentials_of_moto_are_refused_unless_the_rule_is_off():
    printed = run(
        """
        import safe_sqs
        from moto import mock_aws

        with mock_aws():
            try:
                safe_sqs.Session().client("sqs").list_queues()
            except safe_sqs.RefusedError as error:
                print(error.findings[0].rule)
            import boto3
            off = safe_sqs.Config(modes={"static-credentials": "off"})
            client = safe_sqs.guard(boto3.client("sqs"), off)
            queue = client.create_queue(QueueName="q")["QueueUrl"]
            print(client.send_message(QueueUrl=queue, MessageBody="body")["ResponseMetadata"]["HTTPStatusCode"])
        """
    )
    assert printed.split() == ["static-credentials", "200"]


# --- the client is boto3's own -------------------------------------------------------------------------------------


def test_the_client_is_of_the_class_family_of_boto3(make_client, raw):
    client = make_client()
    assert isinstance(client, botocore.client.BaseClient)
    assert [(each.__module__, each.__name__) for each in type(client).__mro__] == [
        (each.__module__, each.__name__) for each in type(raw).__mro__
    ]
    assert dir(client) == dir(raw)
    assert vars(client).keys() == vars(raw).keys()


def test_guard_returns_the_very_client(make_raw, make_config):
    client = make_raw()
    assert guard(client, make_config()) is client


def test_the_meta_of_the_client_is_as_it_was(make_client, raw):
    meta = make_client().meta
    assert (meta.region_name, meta.endpoint_url, meta.partition) == (
        raw.meta.region_name,
        raw.meta.endpoint_url,
        raw.meta.partition,
    )
    assert meta.service_model.operation_names == raw.meta.service_model.operation_names
    assert meta.method_to_api_mapping == raw.meta.method_to_api_mapping
    assert meta.config.retries == raw.meta.config.retries


def test_help_is_the_help_of_boto3(make_client, raw):
    for name in ("send_message", "receive_message", "delete_queue"):
        assert pydoc.render_doc(getattr(make_client(), name)) == pydoc.render_doc(getattr(raw, name))
    assert "guard(" in pydoc.render_doc(safe_sqs, renderer=pydoc.plaintext)


@pytest.mark.parametrize("method", ["__init__", "client", "resource"])
def test_an_editor_is_told_the_arguments_that_a_session_takes(method):
    ours, theirs = (getattr(each, method) for each in (safe_sqs.Session, boto3.Session))
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert inspect.getdoc(ours) == inspect.getdoc(theirs)


def test_handlers_of_the_program_still_see_every_event(make_client, make_raw, good):
    def events_of_a_send(client) -> list[str]:
        seen: list[str] = []
        client.meta.events.register("*", lambda event_name, **_: seen.append(event_name))
        send(client, good)
        return seen

    client = make_client()
    send(client, good)
    ours = events_of_a_send(client)
    assert "before-sign.sqs.SendMessage" in ours
    assert ours == events_of_a_send(make_raw())


def test_a_guarded_client_is_freed_when_nobody_holds_it(server):
    client = server.client()
    send(client, server.queue())
    alive = weakref.ref(client)
    del client
    gc.collect()
    assert alive() is None


def test_copies_behave_as_those_of_boto3(make_client, make_raw, bad):
    """botocore's clients cannot be copied in every version; where they can, the copy is guarded."""

    def copied(client) -> Any:
        try:
            return copy.copy(client)
        except (RecursionError, TypeError) as error:
            return type(error)

    ours, theirs = copied(make_client()), copied(make_raw())
    if isinstance(theirs, type):
        assert ours is theirs
    else:
        assert is_guarded(ours, bad)


def test_copies_of_a_resource_are_guarded(drop_in, good, bad):
    resource = copy.copy(drop_in.resource("sqs"))
    copy.copy(resource.Queue(good)).send_message(MessageBody="body")
    with pytest.raises(RefusedError):
        copy.copy(resource.Queue(bad)).send_message(MessageBody="body")


def test_a_client_can_be_closed(make_client, good):
    client = make_client()
    send(client, good)
    client.close()


# --- every operation -----------------------------------------------------------------------------------------------

VALUES: dict[str, Any] = {
    "AWSAccountIds": ["111122223333"],
    "Actions": ["SendMessage"],
    "Attributes": {"VisibilityTimeout": "30"},
    "SourceArn": f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:queue",
}
OPERATIONS = boto3.session.Session().client("sqs", region_name=REGION).meta.service_model.operation_names
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Sid": "string", "Effect": "Allow", "Action": "sqs:SendMessage", '
    '"Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Resource": "*"}]}'
)


def example(shape: Any, name: str, server: Server) -> Any:
    """A value for a member that an operation requires."""
    if name == "QueueUrl":
        return server.queue()
    if name in VALUES:
        return VALUES[name]
    if shape.type_name == "structure":
        return {each: example(shape.members[each], each, server) for each in shape.required_members}
    if shape.type_name == "list":
        return [example(shape.member, "", server)]
    if shape.type_name == "map":
        return {"key": example(shape.value, "", server)}
    return {"string": "string", "integer": 1, "boolean": True}[shape.type_name]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_of_the_model_goes_out_as_it_came(server, operation):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, Policy=POLICY)
    shape = server.raw().meta.service_model.operation_model(operation).input_shape
    parameters = example(shape, "", server)
    method = botocore.xform_name(operation)
    getattr(server.raw(), method)(**parameters)
    expected = server.asked.pop()
    getattr(server.client(), method)(**parameters)
    arrived = server.asked[-1]
    assert (arrived.operation, arrived.parameters) == (expected.operation, expected.parameters)
    assert [asked.operation for asked in server.asked[:-1]] in ([], ["GetQueueAttributes"])
    own = {"Authorization", "X-Amz-Date", "Host", "amz-sdk-invocation-id"}
    assert {name: value for name, value in arrived.headers.items() if name not in own} == {
        name: value for name, value in expected.headers.items() if name not in own
    }


def test_messages_travel_one_by_one_and_in_batches(make_client, good):
    client = make_client()
    attribute = {"DataType": "String", "StringValue": "value"}
    client.send_message(QueueUrl=good, MessageBody='héllo ☃ "quoted"', MessageAttributes={"name": attribute})
    entries = [{"Id": str(number), "MessageBody": f"body {number}"} for number in range(9)]
    sent = client.send_message_batch(QueueUrl=good, Entries=entries)
    assert len(sent["Successful"]) == 9
    received: list[dict] = []
    while len(received) < 10:
        received += client.receive_message(
            QueueUrl=good, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=1
        )["Messages"]
    bodies = {message["Body"]: message.get("MessageAttributes", {}) for message in received}
    assert bodies.pop('héllo ☃ "quoted"')["name"]["StringValue"] == "value"
    assert set(bodies) == {f"body {number}" for number in range(9)}
    handles = [{"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]} for at, message in enumerate(received)]
    assert len(client.delete_message_batch(QueueUrl=good, Entries=handles)["Successful"]) == 10


def test_a_body_that_looks_like_another_queue_does_not_mislead_the_guard(make_client, good, bad):
    """The guard reads the queue from the request's JSON; a message may contain anything."""
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody=f'{{"QueueUrl": "{bad}"}}')
    with pytest.raises(RefusedError):
        client.send_message(QueueUrl=bad, MessageBody=f'", "QueueUrl": "{good}", "x": "')
    with pytest.raises(RefusedError):
        client.send_message(MessageBody=f'{{"QueueUrl": "{good}"}}', QueueUrl=bad)


def test_a_batch_that_fails_in_part_is_reported_as_ever(make_client, raw, good):
    client = make_client()
    entries = [{"Id": "1", "ReceiptHandle": "no such handle"}]
    assert (
        client.delete_message_batch(QueueUrl=good, Entries=entries).keys()
        == raw.delete_message_batch(QueueUrl=good, Entries=entries).keys()
    )


def test_fifo_queues_work(make_client, raw, queue_name, server):
    client = make_client()
    queue = client.create_queue(QueueName=f"{queue_name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for number in range(3):
        client.send_message(
            QueueUrl=queue, MessageBody=str(number), MessageGroupId="group", MessageDeduplicationId=str(number)
        )
    received = client.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == ["0", "1", "2"]
    raw.set_queue_attributes(QueueUrl=queue, Attributes=UNENCRYPTED)
    with pytest.raises(RefusedError):
        make_client(role="producer").send_message(
            QueueUrl=queue, MessageBody="3", MessageGroupId="group", MessageDeduplicationId="3"
        )


def test_queues_are_created_found_tagged_listed_purged_and_deleted(make_client, queue_name):
    client = make_client()
    names = [f"{queue_name}-{number}" for number in range(5)]
    urls = [client.create_queue(QueueName=name, tags={"team": "a"})["QueueUrl"] for name in names]
    assert client.get_queue_url(QueueName=names[0])["QueueUrl"] == urls[0]
    client.tag_queue(QueueUrl=urls[0], Tags={"more": "b"})
    client.untag_queue(QueueUrl=urls[0], TagKeys=["team"])
    assert client.list_queue_tags(QueueUrl=urls[0])["Tags"] == {"more": "b"}
    pages = client.get_paginator("list_queues").paginate(QueueNamePrefix=queue_name, PaginationConfig={"PageSize": 2})
    assert sorted(url for page in pages for url in page.get("QueueUrls", [])) == sorted(urls)
    for url in urls:
        client.purge_queue(QueueUrl=url)
        client.delete_queue(QueueUrl=url)
    assert client.list_queues(QueueNamePrefix=queue_name).get("QueueUrls", []) == []


def test_paginators_and_waiters_are_those_of_boto3(make_client, raw):
    client = make_client()
    names = [botocore.xform_name(operation) for operation in OPERATIONS]
    assert [name for name in names if client.can_paginate(name)] == [name for name in names if raw.can_paginate(name)]
    assert client.waiter_names == raw.waiter_names
    with pytest.raises(ValueError, match="Waiter does not exist"):
        client.get_waiter("queue_exists")


def test_the_sources_of_a_dead_letter_queue_are_paginated(make_client, make_queue, raw):
    dead = make_queue("-dead")
    arn = raw.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    source = make_queue("-source", RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 3}}')
    pages = make_client().get_paginator("list_dead_letter_source_queues").paginate(QueueUrl=dead)
    assert [url for page in pages for url in page["queueUrls"]] == [source]


def test_a_resource_does_all_that_it_did(drop_in, queue_name, bad):
    sqs = drop_in.resource("sqs")
    queue = sqs.create_queue(QueueName=queue_name)
    assert sqs.get_queue_by_name(QueueName=queue_name).url == queue.url
    assert queue.url in {each.url for each in sqs.queues.filter(QueueNamePrefix=queue_name)}
    assert queue.attributes["QueueArn"].endswith(queue_name)
    queue.send_message(MessageBody="0")
    sent = queue.send_messages(Entries=[{"Id": str(number), "MessageBody": str(number)} for number in (1, 2)])
    assert len(sent["Successful"]) == 2
    messages = {message.body: message for message in queue.receive_messages(MaxNumberOfMessages=10)}
    assert set(messages) == {"0", "1", "2"}
    messages["0"].change_visibility(VisibilityTimeout=60)
    messages["0"].delete()
    queue.delete_messages(Entries=[{"Id": key, "ReceiptHandle": messages[key].receipt_handle} for key in ("1", "2")])
    queue.purge()
    queue.delete()
    for use in (
        lambda queue: queue.send_message(MessageBody="body"),
        lambda queue: queue.send_messages(Entries=[{"Id": "1", "MessageBody": "body"}]),
        lambda queue: queue.receive_messages(),
    ):
        with pytest.raises(RefusedError):
            use(sqs.Queue(bad))


def test_errors_of_the_service_are_those_of_boto3(make_client, good):
    client = make_client()
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        client.get_queue_url(QueueName="no-such-queue")
    with pytest.raises(ClientError) as caught:
        client.delete_message(QueueUrl=good, ReceiptHandle="no such handle")
    assert caught.value.response["Error"]["Code"] == "ReceiptHandleIsInvalid"
    with pytest.raises(ParamValidationError):
        client.send_message(QueueUrl=good)


def test_a_presigned_url_is_made_for_a_good_queue_only(make_client, good, bad):
    client = make_client()
    parameters = {"MessageBody": "body"}
    url = client.generate_presigned_url("send_message", Params=parameters | {"QueueUrl": good})
    assert url.startswith("https://")
    with pytest.raises(RefusedError):
        client.generate_presigned_url("send_message", Params=parameters | {"QueueUrl": bad})


# --- threads -------------------------------------------------------------------------------------------------------


def test_many_threads_share_one_client_and_every_message_arrives_once(make_client, good):
    client = make_client()

    def work(number: int) -> None:
        client.send_message(QueueUrl=good, MessageBody=str(number))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(64)))
    bodies: list[str] = []  # received by one thread: the emulator may hand one message to two that ask at once
    while messages := client.receive_message(QueueUrl=good, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            client.delete_message(QueueUrl=good, ReceiptHandle=message["ReceiptHandle"])
        bodies += [message["Body"] for message in messages]
    assert Counter(bodies) == Counter(map(str, range(64)))


def test_threads_with_a_session_each_are_guarded(drop_in, bad):
    def work(_: int) -> bool:
        return is_guarded(drop_in.Session().client("sqs"), bad)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


# --- Stubber -------------------------------------------------------------------------------------------------------


def test_a_stubbed_client_answers_from_the_stub_and_sends_nothing(server):
    client = server.client()
    parameters = {"QueueUrl": server.queue(), "MessageBody": "body"}
    with Stubber(client) as stub:
        stub.add_response("send_message", {"MessageId": "stubbed"}, parameters)
        stub.add_response("receive_message", {"Messages": [{"Body": "stubbed"}]}, {"QueueUrl": server.queue()})
        stub.add_client_error("delete_message", "ReceiptHandleIsInvalid")
        assert client.send_message(**parameters)["MessageId"] == "stubbed"
        assert client.receive_message(QueueUrl=server.queue())["Messages"][0]["Body"] == "stubbed"
        with pytest.raises(client.exceptions.ReceiptHandleIsInvalid):
            client.delete_message(QueueUrl=server.queue(), ReceiptHandle="handle")
        stub.assert_no_pending_responses()
    assert server.asked == []


def test_a_stubbed_client_without_any_configuration_works():
    client = safe_sqs.Session(region_name=REGION, **LONG_TERM).client("sqs")
    with Stubber(client) as stub:
        stub.add_response("send_message", {"MessageId": "stubbed"})
        assert client.send_message(QueueUrl="https://example.test/1/q", MessageBody="body")["MessageId"] == "stubbed"


def test_a_client_works_again_after_its_stub(server):
    client = server.client()
    with Stubber(client) as stub:
        stub.add_response("send_message", {"MessageId": "stubbed"})
        send(client, server.queue())
    send(client, server.queue())
    assert [asked.operation for asked in server.asked] == ["GetQueueAttributes", "SendMessage"]


# --- retries -------------------------------------------------------------------------------------------------------

RETRIES = pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])


def retrying(mode: str) -> dict[str, Any]:
    return {"config": ClientConfig(retries={"mode": mode, "total_max_attempts": 4})}


def events_of(client, operation: str) -> Counter[str]:
    """How often each event of an operation fires from now on."""
    seen: Counter[str] = Counter()
    client.meta.events.register_first(
        f"*.sqs.{operation}", lambda event_name, **_: seen.update([event_name.split(".")[0]])
    )
    return seen


@RETRIES
@pytest.mark.parametrize("use", ["send_message", "receive_message"])
def test_a_refusal_is_never_retried(server, mode, use):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    client = server.client(client=retrying(mode))
    operation = {"send_message": "SendMessage", "receive_message": "ReceiveMessage"}[use]
    seen = events_of(client, operation)
    more = {"MessageBody": "body"} if use == "send_message" else {}
    for attempt in (1, 2):
        with pytest.raises(RefusedError):
            getattr(client, use)(QueueUrl=server.queue(), **more)
        assert (seen["before-sign"], seen["before-send"], seen["needs-retry"]) == (attempt, attempt, attempt)
    assert (server.count(), server.count(operation)) == (1, 0)


@RETRIES
@pytest.mark.parametrize("trouble", [fails("ThrottlingException"), fails("InternalFailure", 500), scripted.RESET])
def test_a_trouble_of_the_service_is_retried_as_ever_and_judged_once(server, mode, trouble):
    answers = iter([trouble])
    server.script["SendMessage"] = lambda _: next(answers, None) or says(MessageId="id")
    client = server.client(client=retrying(mode))
    seen = events_of(client, "SendMessage")
    send(client, server.queue())
    assert (server.count("SendMessage"), server.count()) == (2, 1)
    assert (seen["before-sign"], seen["before-send"]) == (2, 2)


# --- guard() -------------------------------------------------------------------------------------------------------


def test_guarding_twice_with_the_same_configuration_is_guarding_once(server, told):
    client = server.client()
    for _ in range(3):
        assert guard(client, server.config()) is client
    send(client, server.queue())
    assert Counter(map(type, told)) == {LookedUp: 1, Warned: 1}
    [cache] = [each for each in all_caches() if server.queue().encode() in each.entries]
    before = cache.hits
    send(client, server.queue())
    assert cache.hits == before + 1, "one guard has looked into the cache, not three"
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue("bad"))
    assert len(caught.value.findings) == 1
    assert Counter(map(type, told))[Refused] == 1
    assert (server.count(), server.count("SendMessage")) == (2, 2)


def test_guarding_a_client_of_the_drop_in_with_its_own_configuration_changes_nothing(drop_in, good, told):
    client = guard(guard(drop_in.client("sqs")), Config())
    send(client, good)
    assert len([event for event in told if isinstance(event, LookedUp)]) == 1


@pytest.mark.parametrize("order", [0, 1])
def test_two_configurations_both_hold(server, order):
    configurations = [{"role": "producer"}, {"levels": {"queue-encryption": "kms"}}]
    first, second = configurations[order], configurations[1 - order]
    client = guard(server.client(**first), server.config(**second))
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert [finding.rule for finding in caught.value.findings] == ["queue-encryption"]
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="key")
    send(client, server.queue("encrypted"))
    assert server.count(queue=server.queue("encrypted")) == 2, "each guard has looked for itself"
    with pytest.raises(RefusedError) as caught:
        client.receive_message(QueueUrl=server.queue("encrypted"))
    assert [finding.rule for finding in caught.value.findings] == ["role-operations"]


def test_a_softer_guard_does_not_soften_the_first(server):
    client = guard(server.client(), server.config(profile="observe"))
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    with pytest.raises(RefusedError):
        send(client, server.queue())


@pytest.mark.parametrize(
    "make",
    [
        lambda: boto3.session.Session().client("s3", region_name=REGION),
        lambda: boto3.session.Session().resource("sqs", region_name=REGION),
        lambda: boto3.session.Session(),
        lambda: "sqs",
        lambda: None,
    ],
    ids=["S3 client", "SQS resource", "session", "text", "nothing"],
)
def test_only_an_sqs_client_can_be_guarded(make):
    with pytest.raises(TypeError, match="SQS client"):
        guard(make(), Config())


def test_a_client_of_botocore_can_be_guarded(server):
    import botocore.session

    client = guard(botocore.session.get_session().create_client("sqs", **server.settings()), server.config())
    send(client, server.queue())
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, **UNENCRYPTED)
    assert is_guarded(client, server.queue("bad"))


def test_guard_reads_the_configuration_of_the_process_when_none_is_given(server, monkeypatch):
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", server.host)
    monkeypatch.setenv("SAFE_SQS_ROLE", "consumer")
    client = guard(server.raw())
    client.receive_message(QueueUrl=server.queue())
    with pytest.raises(RefusedError):
        send(client, server.queue())


def test_guard_itself_asks_nothing(server):
    guard(server.raw(), server.config())
    assert server.asked == []


# --- types ---------------------------------------------------------------------------------------------------------

SNIPPET = """
import safe_sqs as boto3
from safe_sqs import Config, Exemption, Finding, Mode, RefusedError, Rule, UnverifiableError, guard

reveal_type(boto3.client("sqs"))
reveal_type(boto3.resource("sqs"))
reveal_type(boto3.Session().client("sqs"))
reveal_type(boto3.session.Session().resource("sqs"))
reveal_type(guard(boto3.client("sqs"), Config(profile="strict", role="producer")))
reveal_type(boto3.client("sqs").send_message(QueueUrl="q", MessageBody="b")["MessageId"])
try:
    boto3.setup_default_session(region_name="us-east-1")
except RefusedError as error:
    reveal_type(error.findings)
boto3.client("sqs").send_message(QueueUrl="q", MessageBody=1)
boto3.client("sqs").no_such_method()
Config(profile=1)
"""
REVEALED = [
    "mypy_boto3_sqs.client.SQSClient",
    "mypy_boto3_sqs.service_resource.SQSServiceResource",
    "mypy_boto3_sqs.client.SQSClient",
    "mypy_boto3_sqs.service_resource.SQSServiceResource",
    "mypy_boto3_sqs.client.SQSClient",
    "str",
]


def test_boto3_stubs_type_the_drop_in_as_they_type_boto3(tmp_path, monkeypatch):
    pytest.importorskip("mypy")
    pytest.importorskip("mypy_boto3_sqs")
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    root = Path(safe_sqs.__file__).parents[1]
    if root.name != "site-packages":
        # An editable installation: mypy does not run the import hook through which Python finds it.
        monkeypatch.setenv("MYPYPATH", str(root))
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", "--strict", str(snippet)]
    printed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300).stdout
    lines = printed.splitlines()
    revealed = [line.split('Revealed type is "')[1].split('"')[0] for line in lines if "Revealed type" in line]
    *others, findings = (each.removeprefix("builtins.") for each in revealed)
    assert others == REVEALED, printed
    assert "safe_sqs.model.Finding" in findings, printed
    errors = [line.rpartition("[")[2].rstrip("]") for line in lines if ": error:" in line]
    assert errors == ["arg-type", "attr-defined", "arg-type"], printed


def test_the_package_is_marked_as_typed():
    assert (files("safe_sqs") / "py.typed").is_file()
