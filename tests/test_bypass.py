"""Ways around the guard: each of them works without it, and gets nowhere with it."""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from datetime import date, timedelta
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, prepare_request_dict
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from botocore.waiter import WaiterModel, create_waiter_with_client
from sockets import certificates, listening
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED, WIRE_ONLY, new_core, new_session

import safe_sqs
from safe_sqs import Config, GuardError, guard

BODY = "a message that should not be there"
ENTRIES = [{"Id": "1", "MessageBody": BODY}]
ACCOUNT = "123456789012"
KEYS = (LONG_TERM["aws_access_key_id"], LONG_TERM["aws_secret_access_key"])
NEXT_WEEK = date.today() + timedelta(days=7)
OPEN_POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)


class Stage:
    """Queues, servers and clients for one attempt, and witnesses that tell whether it got anywhere."""

    def __init__(self, guarded, emulator, name, monkeypatch, plain, unknown):
        self.guarded = guarded
        self.emulator = emulator
        self.plain = plain
        self.unknown = unknown
        self.setenv = monkeypatch.setenv
        self.delenv = monkeypatch.delenv
        self.raw = self.unprotected()
        self._name = name
        self._witnesses = [lambda: self.plain.connections > 0, lambda: bool(self.unknown.requests)]
        self.good = self._create("good")
        self.bad = self.queue("evil", **UNENCRYPTED)  # as long a name, so that one can stand in the place of the other

    @property
    def library(self):
        """What the program imports as boto3."""
        return safe_sqs if self.guarded else boto3

    def unprotected(self, **arguments):
        """A client of boto3, for the emulator unless the arguments say otherwise."""
        return new_session().client("sqs", **arguments)

    def protect(self, client, **settings):
        """Guard a client, where there is a guard."""
        if not self.guarded:
            return client
        return guard(client, Config(trusted_endpoint_hosts=[self.emulator.host, self.unknown.netloc], **settings))

    def client(self, arguments=None, **settings):
        """A client that is guarded, where there is a guard."""
        return self.protect(self.unprotected(**(arguments or {})), **settings)

    def queue(self, suffix, client=None, **attributes):
        """Create a queue that nothing may be put into and nothing taken out of: one message is in it."""
        client = client or self.raw
        url = self._create(suffix, client, **attributes)
        self.watch(url, client)
        return url

    def watch(self, url, client=None):
        """Watch a queue that nothing may be put into and nothing taken out of."""
        client = client or self.raw
        client.send_message(QueueUrl=url, MessageBody="bait")
        self.watch_state(lambda: messages_in(client, url) != ("1", "0"))

    def watch_state(self, witness):
        """Watch something else: the witness is true when the attempt got somewhere."""
        self._witnesses.append(witness)

    def leaked(self):
        """Whether the attempt got anywhere."""
        return any(witness() for witness in self._witnesses)

    def _create(self, suffix, client=None, **attributes):
        name = f"{self._name}-{suffix}"
        return (client or self.raw).create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


class SwitchedOn(Stage):
    """The same for programs that know nothing of the guard: the switch for the whole process is on."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._install()

    @property
    def library(self):
        """boto3 itself, in a program that was started with the settings that the environment holds by now."""
        safe_sqs.install()
        return boto3

    def client(self, arguments=None, **settings):
        """A client that nobody guards by hand."""
        self._install(**settings)
        return self.unprotected(**(arguments or {}))

    def _install(self, **settings):
        safe_sqs.install(Config(trusted_endpoint_hosts=[self.emulator.host, self.unknown.netloc], **settings))


def messages_in(client, url):
    """How many messages wait in a queue, and how many were taken out and are not settled."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(attributes[name] for name in names)


def attribute(client, url, name):
    """An attribute of a queue, or ""."""
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return answer.get("Attributes", {}).get(name, "")


WAYS = []
ROADS = []


def way(attempt):
    """An attempt that the guard must stop."""
    WAYS.append(attempt)
    return attempt


def road(attempt):
    """An attempt of a program that knows nothing of the guard, which the switch for the whole process must stop."""
    ROADS.append(attempt)
    return attempt


def named(name, attempt):
    """An attempt that the guard must stop, made by a function."""
    attempt.__name__ = name
    WAYS.append(attempt)


# --- a bad queue, by every face of boto3 -----------------------------------------------------------------------------


@way
def sending(stage):
    stage.client().send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def receiving(stage):
    stage.client().receive_message(QueueUrl=stage.bad)


@way
def a_batch_with_all_kinds_of_content(stage):
    attributes = {"QueueUrl": {"DataType": "String", "StringValue": stage.good}}
    stage.client().send_message_batch(
        QueueUrl=stage.bad,
        Entries=[
            {"Id": "1", "MessageBody": json.dumps({"QueueUrl": stage.good})},
            {"Id": "2", "MessageBody": stage.good, "MessageAttributes": attributes},
            {"Id": "3", "MessageBody": "\u00e9\U0001f600", "DelaySeconds": 0},
        ],
    )


@way
def a_good_queue_named_in_the_message_ahead_of_the_bad_one(stage):
    stage.client().send_message(MessageBody=f'{{"QueueUrl": "{stage.good}"}}', QueueUrl=stage.bad)


@way
def a_good_queue_named_in_a_message_attribute_ahead_of_the_bad_one(stage):
    attributes = {"QueueUrl": {"StringValue": stage.good, "DataType": "String"}}
    stage.client().send_message(MessageAttributes=attributes, MessageBody=BODY, QueueUrl=stage.bad)


@way
def a_good_queue_first_and_then_the_bad_one(stage):
    client = stage.client()
    for _ in range(3):
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def trying_again_and_again(stage):
    client = stage.client()
    for _ in range(10):
        with suppress(GuardError):
            client.send_message(QueueUrl=stage.bad, MessageBody=BODY)
    client.receive_message(QueueUrl=stage.bad)


@way
def the_drop_in_client(stage):
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_drop_in_session(stage):
    stage.library.Session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_session_module_of_the_drop_in(stage):
    stage.library.session.Session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_default_session_of_the_drop_in(stage):
    stage.library.setup_default_session()
    stage.library.DEFAULT_SESSION.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_function_behind_the_default_session_of_the_drop_in(stage):
    stage.library._get_default_session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_default_session_that_was_set_up_in_boto3(stage):
    boto3.setup_default_session()
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_session_over_a_session_of_botocore(stage):
    core = new_core()
    stage.library.Session(botocore_session=core).client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_service_name_as_a_keyword(stage):
    stage.library.client(service_name="sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_resource_that_sends(stage):
    stage.library.resource("sqs").Queue(stage.bad).send_message(MessageBody=BODY)


@way
def a_resource_that_sends_a_batch(stage):
    stage.library.resource("sqs").Queue(stage.bad).send_messages(Entries=ENTRIES)


@way
def a_resource_that_receives(stage):
    stage.library.resource("sqs").Queue(stage.bad).receive_messages()


@way
def a_resource_found_by_its_name(stage):
    name = stage.bad.rpartition("/")[2]
    stage.library.resource("sqs").get_queue_by_name(QueueName=name).send_message(MessageBody=BODY)


@way
def a_resource_found_in_a_collection(stage):
    name = stage.bad.rpartition("/")[2]
    for queue in stage.library.Session().resource("sqs").queues.filter(QueueNamePrefix=name):
        queue.send_message(MessageBody=BODY)


@way
def the_client_of_a_resource(stage):
    client = stage.library.resource("sqs").Queue(stage.bad).meta.client
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_waiter_that_receives(stage):
    model = {
        "version": 2,
        "waiters": {
            "MessageThere": {
                "operation": "ReceiveMessage",
                "delay": 0,
                "maxAttempts": 1,
                "acceptors": [{"matcher": "status", "expected": 200, "state": "success"}],
            }
        },
    }
    create_waiter_with_client("MessageThere", WaiterModel(model), stage.client()).wait(QueueUrl=stage.bad)


@way
def a_paginator_over_plain_http(stage):
    client = stage.client({"endpoint_url": stage.plain.url})
    list(client.get_paginator("list_queues").paginate())


# --- around the front door of the client -----------------------------------------------------------------------------


@way
def a_method_taken_before_the_client_was_guarded(stage):
    client = stage.unprotected()
    send = client.send_message
    stage.protect(client)
    send(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_call_behind_the_methods(stage):
    stage.client()._make_api_call("SendMessage", {"QueueUrl": stage.bad, "MessageBody": BODY})


@way
def the_unbound_method_of_the_class(stage):
    client = stage.client()
    type(client).send_message(client, QueueUrl=stage.bad, MessageBody=BODY)


def hand_made_dict(client, url):
    """A request as botocore makes it between the call and the endpoint."""
    context = {"client_config": client.meta.config, "client_region": REGION, "has_streaming_input": False}
    request = {
        "url_path": "/",
        "query_string": "",
        "method": "POST",
        "headers": {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"},
        "body": json.dumps({"QueueUrl": url, "MessageBody": BODY}).encode(),
    }
    prepare_request_dict(request, endpoint_url=client.meta.endpoint_url, context=context)
    return request


@way
def the_endpoint_behind_the_call(stage):
    client = stage.client()
    model = client.meta.service_model.operation_model("SendMessage")
    client._endpoint.make_request(model, hand_made_dict(client, stage.bad))


def hand_made_request(client, url):
    """A request that a program makes by itself."""
    request = hand_made_dict(client, url)
    return AWSRequest(method="POST", url=request["url"], data=request["body"], headers=request["headers"])


def send_by_hand(stage, request):
    """Send a request with an HTTP client of the program's own."""
    http = URLLib3Session(verify=stage.emulator.authority)
    try:
        return http.send(request.prepare())
    finally:
        http.close()


@way
def signing_with_the_client_and_sending_by_oneself(stage):
    client = stage.client()
    request = hand_made_request(client, stage.bad)
    client._request_signer.sign("SendMessage", request)
    send_by_hand(stage, request)


@way
def signing_and_sending_by_oneself_after_a_good_call(stage):
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    request = hand_made_request(client, stage.bad)
    client._request_signer.sign("SendMessage", request)
    send_by_hand(stage, request)


@way
def signing_by_the_handler_of_the_signer(stage):
    client = stage.client()
    request = hand_made_request(client, stage.bad)
    client._request_signer.handler("SendMessage", request)
    send_by_hand(stage, request)


@way
def a_presigned_url_for_plain_http(stage):
    client = stage.client({"endpoint_url": stage.plain.url})
    url = client.generate_presigned_url("send_message", Params={"QueueUrl": stage.bad, "MessageBody": BODY})
    with urlopen(Request(url, method="POST")):
        pass


@way
def many_threads_at_once(stage):
    client = stage.client()

    def attempt(number):
        with pytest.raises(GuardError) if stage.guarded else nullcontext():
            client.send_message(QueueUrl=stage.bad, MessageBody=f"{BODY} {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(16)))
    client.receive_message(QueueUrl=stage.bad)


@way
def another_thread_than_the_one_that_made_the_client(stage):
    client = stage.client()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(client.send_message, QueueUrl=stage.bad, MessageBody=BODY).result()


@way
def a_thread_of_an_event_loop(stage):
    client = stage.client()
    asyncio.run(asyncio.to_thread(client.send_message, QueueUrl=stage.bad, MessageBody=BODY))


@way
def a_copy_of_the_client(stage):
    client = stage.client()
    copy = object.__new__(type(client))
    copy.__dict__.update(client.__dict__)
    copy.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_subclass_of_the_clients_class(stage):
    client = stage.client()

    class Own(type(client)):
        def send_message(self, **arguments):
            return self._make_api_call("SendMessage", arguments)

    own = object.__new__(Own)
    own.__dict__.update(client.__dict__)
    own.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_client_whose_class_is_changed(stage):
    client = stage.client()
    client.__class__ = type("Own", (type(client),), {})
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_class_that_is_mixed_into_the_client(stage):
    class Mixin:
        def send(self, url):
            return self._make_api_call("SendMessage", {"QueueUrl": url, "MessageBody": BODY})

    own = new_session()
    own.events.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Mixin))
    stage.protect(own.client("sqs")).send(stage.bad)


@way
def a_client_made_from_a_pickled_configuration(stage):
    config = pickle.loads(pickle.dumps({"config": ClientConfig(retries={"total_max_attempts": 1}), "region": REGION}))
    client = stage.library.client("sqs", config=config["config"], region_name=config["region"])
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def parameters_that_nobody_validates(stage):
    client = stage.client({"config": ClientConfig(parameter_validation=False)})
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_queue_url_of_a_class_that_lies(stage):
    good = stage.good

    class Liar(str):
        __slots__ = ()

        def __str__(self):
            return good

        def __eq__(self, other):
            return other == good

        def __hash__(self):
            return hash(good)

    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.send_message(QueueUrl=Liar(stage.bad), MessageBody=BODY)


@way
def a_second_guard_that_is_looser(stage):
    client = stage.protect(stage.client(), profile="observe")
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_first_guard_that_is_looser(stage):
    client = stage.protect(stage.client(profile="observe"))
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_looser_environment_once_the_client_is_guarded(stage):
    client = stage.client()
    stage.setenv("SAFE_SQS_PROFILE", "observe")
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_looser_environment_once_the_drop_in_client_is_made(stage):
    client = stage.library.client("sqs")
    stage.setenv("SAFE_SQS_PROFILE", "observe")
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_looser_environment_before_the_first_use_of_a_drop_in_client_that_nobody_configured(stage):
    stage.delenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS")
    client = stage.library.client("sqs")
    stage.setenv("SAFE_SQS_PROFILE", "observe")
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def credentials_of_another_account(stage):
    other = {**TEMPORARY, "aws_access_key_id": "ASIAEXAMPLEEXAMPLE77"}
    stage.client().send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.client(other).send_message(QueueUrl=stage.bad, MessageBody=BODY)


# --- names of queues -------------------------------------------------------------------------------------------------


def name_of(url):
    """The queue's own name."""
    return url.rpartition("/")[2]


QUEUE_URLS = {
    "a_host_in_upper_case": lambda url: url.replace("localhost", "LOCALHOST"),
    "the_queue_url_of_another_region": lambda url: f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    "the_queue_url_of_aws": lambda url: f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    "the_legacy_queue_url": lambda url: f"https://queue.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    "the_legacy_queue_url_of_a_region": lambda url: f"https://eu-west-1.queue.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    "the_queue_url_of_a_vpc_endpoint": lambda url: (
        f"https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/{ACCOUNT}/{name_of(url)}"
    ),
    "a_queue_url_over_plain_http": lambda url: url.replace("https://", "http://"),
    "a_queue_url_with_another_port": lambda url: f"https://localhost:1/{ACCOUNT}/{name_of(url)}",
    "a_queue_url_of_a_foreign_host": lambda url: f"https://evil.example/{ACCOUNT}/{name_of(url)}",
    "a_queue_url_of_an_ipv6_host": lambda url: f"https://[::1]/{ACCOUNT}/{name_of(url)}",
    "a_queue_url_with_user_information": lambda url: url.replace("https://", "https://user:password@"),
    "a_queue_url_with_a_longer_path": lambda url: f"https://localhost/queues/{ACCOUNT}/{name_of(url)}",
    "a_queue_url_with_dots_in_its_path": lambda url: f"https://localhost/{ACCOUNT}/../{ACCOUNT}/{name_of(url)}",
    "a_queue_url_with_a_double_slash": lambda url: f"https://localhost/{ACCOUNT}//{name_of(url)}",
    "a_queue_url_of_another_account": lambda url: f"https://localhost/999999999999/{name_of(url)}",
    "a_queue_url_of_no_account": lambda url: f"https://localhost/queue/{name_of(url)}",
    "a_bare_queue_name": name_of,
}


def by_queue_url(variant):
    def attempt(stage):
        client = stage.client()
        for url in (stage.good, variant(stage.good)):
            with suppress(GuardError, ClientError):
                client.send_message(QueueUrl=url, MessageBody="harmless")
        client.send_message(QueueUrl=variant(stage.bad), MessageBody=BODY)

    return attempt


for _name, _variant in QUEUE_URLS.items():
    named(_name, by_queue_url(_variant))


@way
def the_same_name_in_another_region(stage):
    elsewhere = stage.unprotected(region_name="eu-west-1")
    url = stage.queue("twin", elsewhere, **UNENCRYPTED)
    assert stage.raw.create_queue(QueueName=name_of(url))["QueueUrl"] == url
    stage.client().send_message(QueueUrl=url, MessageBody="harmless")
    stage.client({"region_name": "eu-west-1"}).send_message(QueueUrl=url, MessageBody=BODY)


@way
def a_queue_that_is_deleted_and_made_again_without_encryption(stage):
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.delete_queue(QueueUrl=stage.good)
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    stage.watch(stage.good)
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def a_queue_that_is_deleted_by_one_client_and_used_by_another(stage):
    first, second = stage.client(), stage.client()
    second.send_message(QueueUrl=stage.good, MessageBody="harmless")
    first.delete_queue(QueueUrl=stage.good)
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    stage.watch(stage.good)
    second.send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def making_a_queue_without_encryption(stage):
    name = f"{name_of(stage.good)}-new"
    stage.watch_state(lambda: bool(stage.raw.list_queues(QueueNamePrefix=name).get("QueueUrls")))
    stage.client().create_queue(QueueName=name, Attributes=UNENCRYPTED)


@way
def taking_the_encryption_away(stage):
    stage.watch_state(lambda: attribute(stage.raw, stage.good, "SqsManagedSseEnabled") == "false")
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)


@way
def opening_the_queue_by_its_policy(stage):
    stage.watch_state(lambda: "Principal" in attribute(stage.raw, stage.good, "Policy"))
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": OPEN_POLICY})


@way
def opening_the_queue_as_a_resource(stage):
    stage.watch_state(lambda: "Principal" in attribute(stage.raw, stage.good, "Policy"))
    stage.library.resource("sqs").Queue(stage.good).set_attributes(Attributes={"Policy": OPEN_POLICY})


@way
def a_dead_letter_queue_without_encryption(stage):
    arn = attribute(stage.raw, stage.bad, "QueueArn")
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes={"RedrivePolicy": redrive})
    stage.watch(stage.good)
    stage.client().send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def pointing_a_queue_at_a_dead_letter_queue_without_encryption(stage):
    arn = attribute(stage.raw, stage.bad, "QueueArn")
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    stage.watch_state(lambda: bool(attribute(stage.raw, stage.good, "RedrivePolicy")))
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes={"RedrivePolicy": redrive})


@way
def an_open_queue(stage):
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": OPEN_POLICY})
    stage.watch(stage.good)
    stage.client().send_message(QueueUrl=stage.good, MessageBody=BODY)


# --- exemptions and softer settings that look wide -------------------------------------------------------------------


def arn_of(stage, suffix=""):
    """The ARN of the bad queue."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name_of(stage.bad)}{suffix}"


EXEMPTIONS = {
    "an_exemption_from_another_rule": lambda _: ("*", "public-access"),
    "an_exemption_from_a_weaker_rule": lambda _: ("*", "tls-only-policy"),
    "an_exemption_for_names_that_go_on": lambda stage: (arn_of(stage, "-*"), "queue-encryption"),
    "an_exemption_for_names_that_are_longer": lambda stage: (arn_of(stage, "?"), "queue-encryption"),
    "an_exemption_for_a_shorter_name": lambda stage: (arn_of(stage)[:-1], "queue-encryption"),
    "an_exemption_in_upper_case": lambda stage: (
        arn_of(stage).replace(name_of(stage.bad), name_of(stage.bad).upper()),
        "queue-encryption",
    ),
    "an_exemption_for_another_region": lambda stage: (
        arn_of(stage).replace(REGION, "eu-west-1"),
        "queue-encryption",
    ),
    "an_exemption_for_another_account": lambda stage: (
        arn_of(stage).replace(ACCOUNT, "999999999999"),
        "queue-encryption",
    ),
    "an_exemption_for_another_partition": lambda stage: (arn_of(stage).replace("aws", "aws-cn", 1), "queue-encryption"),
    "an_exemption_with_a_regular_expression": lambda _: (f"arn:aws:sqs:{REGION}:{ACCOUNT}:.+", "queue-encryption"),
    "an_exemption_for_the_dead_letter_queue_only": lambda _: ("*", "dead-letter-queue"),
}


def by_exemption(make):
    def attempt(stage):
        queue, rule = make(stage)
        exemption = {"queue": queue, "rule": rule, "reason": "a test", "until": NEXT_WEEK}
        stage.client(exemptions=[exemption]).send_message(QueueUrl=stage.bad, MessageBody=BODY)

    return attempt


for _name, _make in EXEMPTIONS.items():
    named(_name, by_exemption(_make))


@way
def an_exempt_queue_in_the_url_and_the_bad_one_behind_it(stage):
    pattern = f"arn:aws:sqs:*:{ACCOUNT}:{name_of(stage.good)}"
    exemption = {"queue": pattern, "rule": "queue-encryption", "reason": "a test", "until": NEXT_WEEK}
    client = stage.client(exemptions=[exemption])
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    url = f"https://localhost/{ACCOUNT}/{name_of(stage.good)}/../{name_of(stage.bad)}"
    client.send_message(QueueUrl=url, MessageBody=BODY)


@way
def warning_only_about_what_cannot_be_told(stage):
    stage.client(when_unverifiable="warn").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def trusting_the_account_of_the_queue(stage):
    stage.client(trusted_accounts=[ACCOUNT]).send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def the_profile_local(stage):
    stage.client(profile="local").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@way
def a_producer_that_receives(stage):
    stage.watch(stage.good)
    stage.client(role="producer").receive_message(QueueUrl=stage.good)


@way
def a_consumer_that_sends(stage):
    stage.watch(stage.good)
    stage.client(role="consumer").send_message_batch(QueueUrl=stage.good, Entries=ENTRIES)


@way
def a_producer_that_purges_as_a_resource(stage):
    stage.watch(stage.good)
    stage.setenv("SAFE_SQS_ROLE", "producer")
    stage.library.resource("sqs").Queue(stage.good).purge()


# --- handlers that change what is asked ------------------------------------------------------------------------------


def swap_in_parameters(stage):
    def handler(params, **_):
        if "QueueUrl" in params:
            params["QueueUrl"] = stage.bad

    return handler


def swapped(stage, body):
    """A request body with the bad queue in the place of the good one."""
    return body.replace(stage.good.encode(), stage.bad.encode())


def swap_in_dict(stage):
    def handler(params, **_):
        params["body"] = swapped(stage, params["body"])

    return handler


def swap_in_request(stage):
    def handler(request, **_):
        request.data = swapped(stage, request.data)

    return handler


def swap_in_prepared_request(stage):
    def handler(request, **_):
        request.body = swapped(stage, request.body)

    return handler


def reserialise(stage):
    def handler(request, **_):
        parameters = json.loads(swapped(stage, request.data))
        request.data = json.dumps(parameters, separators=(",", ":"), sort_keys=True).encode()

    return handler


HANDLERS = {
    "a_handler_that_swaps_the_queue_in_the_arguments": ("provide-client-params.sqs.SendMessage", swap_in_parameters),
    "a_handler_that_swaps_the_queue_in_the_parameters": ("before-parameter-build.sqs.SendMessage", swap_in_parameters),
    "a_handler_that_swaps_the_queue_in_the_call": ("before-call.sqs.SendMessage", swap_in_dict),
    "a_handler_that_swaps_the_queue_in_the_request": ("request-created.sqs.SendMessage", swap_in_request),
    "a_handler_that_swaps_the_queue_before_the_signature": ("before-sign.sqs.SendMessage", swap_in_request),
    "a_handler_that_writes_the_body_anew_before_the_signature": ("before-sign.sqs.SendMessage", reserialise),
}


def by_handler(event, make, method, name=None):
    def attempt(stage):
        client = stage.client()
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        getattr(client.meta.events, method)(name or event, make(stage))
        client.send_message(QueueUrl=stage.good, MessageBody=BODY)

    return attempt


for _name, (_event, _make) in HANDLERS.items():
    named(_name, by_handler(_event, _make, "register_first"))

named(
    "a_handler_that_swaps_the_queue_last_of_all_before_the_signature",
    by_handler("before-sign", swap_in_request, "register_last"),
)
named(
    "a_handler_that_swaps_the_queue_last_of_all_on_the_wire",
    by_handler("before-send", swap_in_prepared_request, "register_last"),
)


def turning_to(url):
    """A handler that sends every request somewhere else."""

    def handler(params=None, request=None, **_):
        if request is not None:
            request.url = url
        elif isinstance(params, dict) and "url" in params:
            params["url"] = url

    return handler


for _event in ("before-call", "request-created", "before-sign", "before-send"):
    for _method in ("register_first", "register_last"):
        named(
            f"a_handler_that_turns_the_request_to_plain_http_by_{_method}_at_{_event}",
            by_handler(_event, lambda stage: turning_to(stage.plain.url), _method),
        )


@way
def a_handler_that_turns_the_rules_of_the_endpoint(stage):
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def turn(builtins, **_):
        builtins["SDK::Endpoint"] = stage.plain.url

    client.meta.events.register("before-endpoint-resolution", turn)
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


# --- the way out -----------------------------------------------------------------------------------------------------


@way
def an_endpoint_over_plain_http(stage):
    stage.client({"endpoint_url": stage.plain.url}).send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def an_endpoint_over_plain_http_from_the_environment(stage):
    stage.setenv("AWS_ENDPOINT_URL_SQS", stage.plain.url)
    stage.client().send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def a_server_that_nobody_verifies(stage):
    client = stage.client({"endpoint_url": stage.unknown.url, "verify": False})
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def a_proxy_that_reads_under_a_living_client(stage):
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    proxies = {"https": stage.unknown.url}
    old = client._endpoint.http_session
    client._endpoint.http_session = URLLib3Session(
        verify=stage.unknown.authority, proxies=proxies, proxies_config=FORWARDING
    )
    old.close()
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


FORWARDING = {"proxy_use_forwarding_for_https": True}


@way
def a_proxy_that_reads(stage):
    config = ClientConfig(proxies={"https": stage.unknown.url}, proxies_config=FORWARDING)
    client = stage.client({"config": config, "verify": stage.unknown.authority})
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


# --- the signature ---------------------------------------------------------------------------------------------------


@way
def long_term_keys(stage):
    stage.watch(stage.good)
    stage.client({**LONG_TERM, "aws_session_token": None}).send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def long_term_keys_with_a_token(stage):
    stage.watch(stage.good)
    stage.client(LONG_TERM | {"aws_session_token": "x"}).send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def a_client_that_does_not_sign(stage):
    own = {"endpoint_url": stage.unknown.url, "verify": stage.unknown.authority}
    client = stage.client({**own, "config": ClientConfig(signature_version=UNSIGNED)})
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def a_handler_that_takes_the_signature_away_under_a_living_client(stage):
    own = {"endpoint_url": stage.unknown.url, "verify": stage.unknown.authority}
    client = stage.client(own, modes=WIRE_ONLY)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.unknown.requests.clear()
    client.meta.events.register("choose-signer", lambda **_: UNSIGNED)
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


def by_change(change):
    """A change of a living client, once it has been in use."""

    def attempt(stage):
        client = stage.client()
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        client.receive_message(QueueUrl=stage.good)
        client.purge_queue(QueueUrl=stage.good)
        stage.watch(stage.good)
        change(client)
        client.send_message(QueueUrl=stage.good, MessageBody=BODY)

    return attempt


def replace_credentials(client):
    client._request_signer._credentials = Credentials(*KEYS)


def change_the_key(client):
    client._request_signer._credentials.access_key = KEYS[0]


def switch_verification_off(client):
    client._endpoint.http_session._verify = False


def swap_the_http_session(client):
    client._endpoint.http_session.close()
    client._endpoint.http_session = URLLib3Session(verify=False)


def swap_the_endpoint(client):
    client._endpoint.close()
    client._endpoint = type(client._endpoint)(
        client._endpoint.host, "sqs", client.meta.events, http_session=URLLib3Session(verify=False)
    )


def override_credentials(client):
    def handler(context, **_):
        context["signing"] = {**context.get("signing", {}), "request_credentials": Credentials(*KEYS)}

    client.meta.events.register("before-parameter-build", handler)


def write_authorization(client, method="register", event="before-send"):
    def handler(request, **_):
        del request.headers["Authorization"]
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEYS[0]}/20300101/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0"
        ).encode()

    getattr(client.meta.events, method)(event, handler)


def write_authorization_last_of_all(client):
    write_authorization(client, "register_last")


for _change in (
    replace_credentials,
    change_the_key,
    switch_verification_off,
    swap_the_http_session,
    swap_the_endpoint,
    override_credentials,
    write_authorization,
    write_authorization_last_of_all,
):
    named(f"{_change.__name__}_under_a_living_client", by_change(_change))


# --- programs that know nothing of the guard -------------------------------------------------------------------------

client_of_boto3 = boto3.client
part_of_boto3 = functools.partial(boto3.client, "sqs")


@road
def boto3_itself(stage):
    boto3.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_function_that_was_imported_before(stage):
    client_of_boto3("sqs").receive_message(QueueUrl=stage.bad)


@road
def a_partial_function_that_was_made_before(stage):
    part_of_boto3().send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_resource_of_boto3(stage):
    boto3.resource("sqs").Queue(stage.bad).send_messages(Entries=ENTRIES)


@road
def a_session_of_botocore(stage):
    new_core().create_client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_session_of_botocore_over_plain_http(stage):
    new_core().create_client("sqs", endpoint_url=stage.plain.url).list_queues()


@road
def a_session_of_botocore_to_an_unknown_host(stage):
    endpoint, authority = stage.unknown.url, stage.unknown.authority
    if stage.guarded:
        safe_sqs.install(Config(trusted_endpoint_hosts=[stage.emulator.host]))
    new_core().create_client("sqs", endpoint_url=endpoint, verify=authority).list_queues()


@road
def a_session_of_botocore_that_checks_no_certificate(stage):
    url = stage.queue("unchecked")
    new_core().create_client("sqs", verify=False).send_message(QueueUrl=url, MessageBody=BODY)


@road
def a_session_of_botocore_with_a_long_term_key(stage):
    url = stage.queue("long-term")
    core = new_core()
    core.set_credentials(*KEYS)
    core.create_client("sqs").send_message(QueueUrl=url, MessageBody=BODY)


@road
def the_constructor_of_the_class_of_a_client(stage):
    kept = {}

    class Keeps:
        def __init__(self, **arguments):
            kept.update(arguments)
            super().__init__(**arguments)

    core = new_core()
    core.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Keeps))
    client = type(core.create_client("sqs"))(**kept)
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_client_that_is_made_in_a_thread(stage):
    session = new_session()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: session.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)).result()


@road
def a_client_that_is_made_in_a_thread_of_an_event_loop(stage):
    client = asyncio.run(asyncio.to_thread(new_session().client, "sqs"))
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_looser_environment_once_the_switch_is_on(stage):
    stage.setenv("SAFE_SQS_PROFILE", "observe")
    boto3.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_looser_environment_once_the_switch_is_on_and_nobody_said_anything(stage):
    stage.delenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS")
    if stage.guarded:
        safe_sqs.install()
    stage.setenv("SAFE_SQS_PROFILE", "observe")
    boto3.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def the_drop_in_under_a_looser_environment(stage):
    stage.setenv("SAFE_SQS_PROFILE", "observe")
    safe_sqs.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def a_looser_guard_by_hand(stage):
    client = guard(boto3.client("sqs"), Config(profile="observe"))
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


# --- what the guard does not stop ------------------------------------------------------------------------------------


@road
def a_client_that_nobody_guards(stage):
    new_session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=BODY)


@road
def the_session_of_botocore_inside_of_a_guarded_session(stage):
    client = stage.library.Session()._session.create_client("sqs")
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


def signing_by_oneself(stage):
    client = stage.client()
    request = hand_made_request(client, stage.bad)
    SigV4Auth(Credentials(*TEMPORARY.values()), "sqs", REGION).add_auth(request)
    send_by_hand(stage, request)


def a_signature_by_get_auth_instance(stage):
    client = stage.client()
    request = hand_made_request(client, stage.bad)
    client._request_signer.get_auth_instance("sqs", REGION).add_auth(request)
    send_by_hand(stage, request)


def the_http_session_of_the_client(stage):
    client = stage.client()
    request = hand_made_request(client, stage.bad)
    SigV4Auth(Credentials(*TEMPORARY.values()), "sqs", REGION).add_auth(request)
    client._endpoint.http_session.send(request.prepare())


def a_copy_of_the_client_that_checks_no_certificate(stage):
    client = stage.client()
    url = stage.queue("unchecked")
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    copy = object.__new__(type(client))
    copy.__dict__.update(client.__dict__)
    unchecked = URLLib3Session(verify=False)
    copy._endpoint = type(client._endpoint)(client._endpoint.host, "sqs", client.meta.events, http_session=unchecked)
    copy.send_message(QueueUrl=url, MessageBody=BODY)


def taking_the_guards_handlers_away(stage):
    client = stage.client()
    events = client.meta.events
    for event in ("before-sign", "before-send"):
        for handler in list(events._emitter._handlers.prefix_search(f"{event}.sqs.SendMessage")):
            if getattr(handler, "__module__", "").startswith("safe_sqs"):
                events.unregister(event, handler)
    client.send_message(QueueUrl=stage.bad, MessageBody=BODY)


def a_handler_that_writes_a_body_with_two_queues(stage):
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def handler(request, **_):
        request.data = request.data[:-1] + b', "QueueUrl": "' + stage.bad.encode() + b'"}'

    client.meta.events.register("before-sign.sqs.SendMessage", handler)
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


@way
def a_handler_that_swaps_the_queue_after_the_signature(stage):
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.meta.events.register("before-send.sqs.SendMessage", swap_in_prepared_request(stage))
    client.send_message(QueueUrl=stage.good, MessageBody=BODY)


def a_handler_that_makes_another_operation_of_the_call(stage):
    client = stage.client()

    def handler(request, **_):
        request.headers["X-Amz-Target"] = "AmazonSQS.SendMessage"
        request.data = json.dumps({"QueueUrl": stage.bad, "MessageBody": BODY}).encode()

    client.meta.events.register("before-sign.sqs.ListQueues", handler)
    client.list_queues()


OUT_OF_SCOPE = {
    a_client_that_nobody_guards: "A program that imports boto3 itself asks nobody; without `install()`, `safe_sqs` "
    "guards the clients that it makes or is given.",
    the_session_of_botocore_inside_of_a_guarded_session: "The same: a client of botocore's, made behind the session's "
    "back by a private attribute.",
    signing_by_oneself: "Whoever has the credentials can sign and send anything; nothing of the guarded client is in "
    "it.",
    a_signature_by_get_auth_instance: "The same with the client's signer, by a method that tells no subscriber.",
    the_http_session_of_the_client: "The same with the client's HTTP session, by a private attribute.",
    a_copy_of_the_client_that_checks_no_certificate: "A client put together by hand, by private attributes, of the "
    "events of a guarded one and an HTTP session of its own: events do not say which client they come from.",
    taking_the_guards_handlers_away: "Code in this process that wants the guard gone can take it away; it is a guard "
    "rail, not a sandbox.",
    a_handler_that_writes_a_body_with_two_queues: "A body that no serialiser writes: a handler that forges it means "
    "harm, and could as well send it by itself.",
    a_handler_that_makes_another_operation_of_the_call: "The same for a handler that turns one operation into another.",
}
"""What the guard does not stop, and why not. Each one is tried below, so that this stays true."""


# --- tests -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unknown(tmp_path_factory):
    """A server that speaks TLS with the certificate of an authority that nobody knows."""
    context, authority = certificates(tmp_path_factory.mktemp("unknown"))
    with listening(context=context) as server:
        server.authority = authority
        yield server


@pytest.fixture
def make_stage(monkeypatch, emulator, unknown, queue_name):
    """A stage for one attempt, with or without a guard, on which all clients lead to the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
    monkeypatch.setattr(safe_sqs, "DEFAULT_SESSION", None)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)
    unknown.requests.clear()
    with listening() as plain:
        yield lambda guarded, kind=Stage: kind(guarded, emulator, queue_name, monkeypatch, plain, unknown)
    safe_sqs.uninstall()


pytestmark = [
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
    pytest.mark.filterwarnings("ignore:Passing ssl_context:FutureWarning"),
]


@pytest.mark.parametrize("attempt", [*WAYS, *ROADS], ids=lambda attempt: attempt.__name__)
def test_without_the_guard_this_gets_through(make_stage, attempt):
    stage = make_stage(False)
    with suppress(BotoCoreError, ClientError):  # the stand-in servers answer little; what they were asked counts
        attempt(stage)
    assert stage.leaked()


@pytest.mark.parametrize("attempt", WAYS, ids=lambda attempt: attempt.__name__)
def test_with_the_guard_this_gets_nowhere(make_stage, attempt):
    stage = make_stage(True)
    with pytest.raises(GuardError):
        attempt(stage)
    assert not stage.leaked()


@pytest.mark.parametrize("attempt", [*WAYS, *ROADS], ids=lambda attempt: attempt.__name__)
def test_with_the_switch_for_the_whole_process_this_gets_nowhere(make_stage, attempt):
    stage = make_stage(True, SwitchedOn)
    with pytest.raises(GuardError):
        attempt(stage)
    assert not stage.leaked()


@pytest.mark.parametrize("attempt", OUT_OF_SCOPE, ids=lambda attempt: attempt.__name__)
def test_what_is_out_of_scope_is_still_so(make_stage, attempt):
    stage = make_stage(True)
    attempt(stage)
    assert stage.leaked()


def test_the_stage_itself_is_sound(make_stage):
    stage = make_stage(True)
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    assert messages_in(stage.raw, stage.good) == ("1", "0")
    assert urlsplit(stage.good).netloc == stage.emulator.host
    assert not stage.leaked()
