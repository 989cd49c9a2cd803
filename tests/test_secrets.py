"""Nothing secret is in an error, an event, the log or on the screen, on whatever road a call is refused."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import scripted
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError
from scripted import ONCE, RESET, Asked, Server, attributes, fails, says
from sockets import Listener, listening
from support import REGION

from safe_sqs import Config, ConfigError, GuardError, events, guard, judge, subscribe
from safe_sqs.model import without_secrets
from safe_sqs.rules import ALL_RULES

SECRETS = {
    "body": "body-OPEN-SESAME-01",
    "batch body": "body-OPEN-SESAME-02",
    "attribute": "attribute-OPEN-SESAME-03",
    "receipt handle": "handle-OPEN-SESAME-04",
    "access key id": "ASIASESAMESESAME0005",
    "secret key": "key-OPEN-SESAME-06",
    "session token": "token-OPEN-SESAME-07",
    "long-term access key id": "AKIASESAMESESAME0008",
    "password in the endpoint": "password-OPEN-SESAME-09",
    "password in the queue URL": "password-OPEN-SESAME-10",
    "signature in the queue URL": "signature-OPEN-SESAME-11",
    "fragment of the queue URL": "fragment-OPEN-SESAME-12",
    "condition in a policy": "referer-OPEN-SESAME-13",
    "password of the proxy": "password-OPEN-SESAME-14",
    "exception of a rule": "exception-OPEN-SESAME-15",
}
CREDENTIALS = {
    "aws_access_key_id": SECRETS["access key id"],
    "aws_secret_access_key": SECRETS["secret key"],
    "aws_session_token": SECRETS["session token"],
}
LONG_TERM = {
    "aws_access_key_id": SECRETS["long-term access key id"],
    "aws_secret_access_key": SECRETS["secret key"],
    "aws_session_token": None,
}
STATEMENT = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:Referer": SECRETS["condition in a policy"]}},
}
OPEN = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})
UNREADABLE = json.dumps({"Version": "2012-10-17", "Statement": [{**STATEMENT, "Effect": "Permit"}]})


class Stage:
    """A service whose answers are scripted, and everything that a program could see of what happens there."""

    def __init__(self, server: Server, plain: Listener, profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.plain = plain
        self.profile = profile
        self.monkeypatch = monkeypatch
        self.errors: list[Exception] = []
        self.queue = server.queue()

    def client(self, *, client: dict[str, Any] | None = None, **settings: Any) -> Any:
        """A client that holds secrets, guarded with the profile of this test."""
        # Otherwise the credentials would end every road under the strict profile at its first step.
        settings["levels"] = {"static-credentials": "temporary"} | settings.get("levels", {})
        hosts = {"trusted_endpoint_hosts": [self.server.host]}
        config = Config(**({"profile": self.profile} | hosts | settings))
        return guard(self.server.raw(**(CREDENTIALS | (client or {}))), config)

    def attempt(self, call: Callable[[], object]) -> None:
        """Do something that may be refused."""
        try:
            call()
        except GuardError as error:
            self.errors.append(error)
        except (ClientError, BotoCoreError, ValueError):
            pass  # botocore's own errors, ValueError for a body that it cannot presign, are as without the guard

    def use(self, client: Any, queue: str = "") -> None:
        """Send, receive, settle and presign, with secrets everywhere."""
        url = {"QueueUrl": queue or self.queue}
        value = {"DataType": "String", "StringValue": SECRETS["attribute"]}
        message = {"MessageBody": SECRETS["body"], "MessageAttributes": {"a": value}}
        entry = {"Id": "1", "MessageBody": SECRETS["batch body"], "MessageAttributes": {"a": value}}
        held = {"ReceiptHandle": SECRETS["receipt handle"]}
        self.attempt(lambda: client.send_message(**url, **message))
        self.attempt(lambda: client.send_message_batch(**url, Entries=[entry]))
        self.attempt(lambda: client.receive_message(**url))
        self.attempt(lambda: client.delete_message(**url, **held))
        self.attempt(lambda: client.change_message_visibility(**url, **held, VisibilityTimeout=1))
        self.attempt(lambda: client.generate_presigned_url("send_message", {**url, **message}))

    def change(self, client: Any) -> None:
        """Change a queue for the worse, and make a bad one."""
        encryption = {"SqsManagedSseEnabled": "false"}
        self.attempt(lambda: client.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": OPEN}))
        self.attempt(lambda: client.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": UNREADABLE}))
        self.attempt(lambda: client.create_queue(QueueName="new", Attributes={"Policy": OPEN, **encryption}))
        self.attempt(
            lambda: client.add_permission(QueueUrl=self.queue, Label="all", AWSAccountIds=["*"], Actions=["*"])
        )
        self.attempt(lambda: client.remove_permission(QueueUrl=self.queue, Label="all"))


def echo(asked: Asked, code: str = "AccessDeniedException") -> scripted.Answer:
    """A service that quotes the whole request, and more, in the message of its error."""
    return fails(code, 403, f"denied: {json.dumps(dict(asked.headers))} {json.dumps(SECRETS)}")


def with_state(**state: str) -> Callable[[Asked], scripted.Answer]:
    return lambda asked: attributes(asked, **state)


# --- the roads ---------------------------------------------------------------------------------------------------

ROADS: dict[str, Callable[[Stage], None]] = {}


def road(walk: Callable[[Stage], None]) -> Callable[[Stage], None]:
    ROADS[walk.__name__] = walk
    return walk


@road
def plain_http(stage: Stage) -> None:
    stage.use(stage.client(client={"endpoint_url": stage.plain.url}))


@road
def password_in_the_endpoint(stage: Stage) -> None:
    endpoint = f"https://user:{SECRETS['password in the endpoint']}@{stage.server.host}"
    stage.use(stage.client(client={"endpoint_url": endpoint}))


@road
def password_in_an_endpoint_of_plain_http(stage: Stage) -> None:
    endpoint = stage.plain.url.replace("://", f"://user:{SECRETS['password in the endpoint']}@")
    stage.use(stage.client(client={"endpoint_url": endpoint}))


@road
def unknown_host(stage: Stage) -> None:
    stage.use(stage.client(trusted_endpoint_hosts=[]))


@road
def long_term_keys(stage: Stage) -> None:
    stage.use(stage.client(client=LONG_TERM))


@road
def keys_that_nothing_renews(stage: Stage) -> None:
    stage.use(stage.client(levels={"static-credentials": "renewing"}))


@road
def unsigned(stage: Stage) -> None:
    stage.use(stage.client(client={"config": ONCE.merge(ClientConfig(signature_version=UNSIGNED))}))


@road
def unchecked_certificates(stage: Stage) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unverified HTTPS request")
        stage.use(stage.client(client={"verify": False}))


@road
def proxy(stage: Stage) -> None:
    address = stage.plain.url.replace("://", f"://user:{SECRETS['password of the proxy']}@")
    config = ONCE.merge(
        ClientConfig(proxies={"https": address}, proxies_config={"proxy_use_forwarding_for_https": True})
    )
    stage.use(stage.client(client={"config": config}))


@road
def bad_queue(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(SqsManagedSseEnabled="false", Policy=OPEN)
    stage.use(stage.client())


@road
def queue_with_a_policy_that_cannot_be_read(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(Policy=UNREADABLE)
    stage.use(stage.client())


@road
def queue_with_a_policy_that_is_no_json(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(Policy=f"{{{SECRETS['condition in a policy']}")
    stage.use(stage.client())


@road
def bad_dead_letter_queue(stage: Stage) -> None:
    redrive = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:dead"})

    def answer(asked: Asked) -> scripted.Answer:
        if asked.queue.endswith("/dead"):
            return attributes(asked, SqsManagedSseEnabled="false", Policy=UNREADABLE)
        return attributes(asked, RedrivePolicy=redrive)

    stage.server.script["GetQueueAttributes"] = answer
    stage.use(stage.client())


@road
def secrets_all_over_the_queue_url(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(
        SqsManagedSseEnabled="false", QueueArn=f"arn:aws:sqs:{REGION}:{scripted.ACCOUNT}:queue"
    )
    client = stage.client()
    password, signature, fragment = (
        SECRETS[name]
        for name in ("password in the queue URL", "signature in the queue URL", "fragment of the queue URL")
    )
    with_password = stage.queue.replace("://", f"://user:{password}@")
    stage.use(client, with_password)
    stage.use(client, f"{stage.queue}?X-Amz-Signature={signature}")
    stage.use(client, f"{stage.queue}#{fragment}")
    stage.use(client, f"{with_password}?X-Amz-Signature={signature}#{fragment}")
    stage.use(client, with_password.partition("://")[2])
    stage.use(client, f"//{with_password.partition('://')[2]}")
    stage.use(client, with_password.replace("https://", "https:"))


@road
def password_in_a_queue_url_that_cannot_be_looked_at(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = echo
    password = SECRETS["password in the queue URL"]
    stage.use(stage.client(), f"https://user:{password}@{stage.server.host}/")


@road
def password_in_the_url_of_a_queue_of_another_region(stage: Stage) -> None:
    password = SECRETS["password in the queue URL"]
    stage.use(stage.client(), f"https://sqs.eu-west-1.amazonaws.com/{scripted.ACCOUNT}/q?{password}")


@road
def look_up_that_is_denied(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = echo
    stage.use(stage.client())


@road
def look_up_that_breaks(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = RESET
    stage.use(stage.client())


@road
def look_up_that_gives_nonsense(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = says(Attributes=SECRETS)
    stage.use(stage.client())
    stage.server.script["GetQueueAttributes"] = scripted.Answer(json.dumps(SECRETS).encode()[:-1])
    stage.use(stage.client(ttl_seconds=299), stage.server.queue("another"))


@road
def key_that_cannot_be_looked_at(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(KmsMasterKeyId="alias/orders")
    stage.server.script["DescribeKey"] = echo
    stage.use(stage.client(levels={"queue-encryption": "customer-key"}))


@road
def operations_of_another_role(stage: Stage) -> None:
    for role in ("producer", "consumer", "administrator"):
        client = stage.client(role=role)
        stage.use(client)
        stage.change(client)


@road
def changes_for_the_worse(stage: Stage) -> None:
    stage.change(stage.client())


@road
def changes_of_a_queue_that_is_denied(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = echo
    stage.change(stage.client())


@road
def changes_of_a_policy_that_cannot_be_read(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(Policy=f"{{{SECRETS['condition in a policy']}")
    stage.change(stage.client())


@road
def body_that_cannot_be_read(stage: Stage) -> None:
    client = stage.client(client={"endpoint_url": stage.plain.url}, profile=stage.profile)

    def garble(request: Any, **_: Any) -> None:
        request.data = f"Action=SendMessage&MessageBody={SECRETS['body']}".encode()

    client.meta.events.register("before-sign", garble)
    stage.use(client)


@road
def request_that_is_changed_after_the_check(stage: Stage) -> None:
    client = stage.client()
    password = SECRETS["password in the endpoint"]

    def redirect(request: Any, **_: Any) -> None:
        request.url = request.url.replace("://", f"://user:{password}@")

    client.meta.events.register_last("before-send", redirect)
    stage.use(client)


@road
def rules_that_crash(stage: Stage) -> None:
    def crash(thing: object, _: object) -> list[Any]:
        raise RuntimeError(f"{SECRETS['exception of a rule']} {thing!r}")

    stage.monkeypatch.setattr(judge, "ALL_RULES", tuple(rule._replace(check=crash) for rule in ALL_RULES))
    client = stage.client()
    stage.use(client)
    stage.change(client)


@road
def subscriber_that_crashes(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(SqsManagedSseEnabled="false", Policy=OPEN)
    end = subscribe(lambda _: 1 / 0)
    try:
        stage.use(stage.client())
    finally:
        end()


@road
def queues_verified_at_start(stage: Stage) -> None:
    stage.server.script["GetQueueAttributes"] = with_state(SqsManagedSseEnabled="false", Policy=OPEN)
    password = SECRETS["password in the queue URL"]
    urls = [stage.queue.replace("://", f"://user:{password}@"), f"{stage.server.queue('other')}?{password}"]
    stage.attempt(lambda: stage.client(verify_queues=urls))


# --- the search --------------------------------------------------------------------------------------------------


@pytest.fixture
def stage_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Stage]]:
    """Build a stage for a profile."""
    with scripted.running() as server, listening() as plain:
        yield lambda profile: Stage(server, plain, profile, monkeypatch)


def everything_of(error: BaseException | None) -> Iterator[str]:
    """All that can be seen of an error, and of those from which it came."""
    if error is None:
        return
    yield str(error)
    yield repr(error)
    yield repr(error.args)
    yield repr(vars(error))
    yield "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if isinstance(error, GuardError):
        yield pickle.dumps(error).decode("latin-1")
    yield from everything_of(error.__cause__)
    yield from everything_of(error.__context__)


def assert_no_secret(texts: Iterator[str]) -> None:
    for text in texts:
        assert [name for name, secret in SECRETS.items() if secret in text] == [], text


@pytest.mark.parametrize("profile", ["baseline", "strict", "observe"])
@pytest.mark.parametrize("name", ROADS)
def test_no_secret_is_seen_on(name, profile, stage_for, told, caplog, capfd):
    caplog.set_level(logging.DEBUG, "safe_sqs")
    stage = stage_for(profile)
    ROADS[name](stage)
    heard = [event for event in told if not isinstance(event, events.LookedUp)]
    assert stage.errors or heard, "nothing was refused or warned of"
    assert stage.errors or profile == "observe"
    records = [record for record in caplog.records if record.name.startswith("safe_sqs")]
    assert bool(records) is bool(heard)
    assert_no_secret(text for error in stage.errors for text in everything_of(error))
    assert_no_secret(repr(event) for event in told)
    assert_no_secret(pickle.dumps(event).decode("latin-1") for event in told)
    assert_no_secret(record.getMessage() for record in records)
    assert_no_secret(repr(vars(record)) for record in records)
    assert_no_secret(iter(capfd.readouterr()))


@pytest.mark.parametrize(
    "settings",
    [
        {"trusted_endpoint_hosts": [f"https://user:{SECRETS['password in the endpoint']}@queues.internal"]},
        {"trusted_endpoint_hosts": [f"user:{SECRETS['password in the endpoint']}@queues.internal"]},
        {"verify_queues": [f"sqs://user:{SECRETS['password in the queue URL']}@queues.internal/1/q"]},
        {"when_unverifiable": {f"https://user:{SECRETS['password in the queue URL']}@queues.internal/1/q": "warn"}},
    ],
)
@pytest.mark.parametrize("source", ["code", "environment"])
def test_no_password_is_seen_in_a_wrong_configuration(settings, source, monkeypatch):
    (key, value) = next(iter(settings.items()))
    if source == "environment":
        text = ",".join(f"{name}=warn" if isinstance(value, dict) else name for name in value)
        monkeypatch.setenv(f"SAFE_SQS_{key.upper()}", text)
        settings = {}
    with pytest.raises(ConfigError) as caught:
        Config(**settings)
    assert caught.value.key.startswith(key)
    assert_no_secret(everything_of(caught.value))


def test_the_search_finds_what_is_there():
    error = GuardError(SECRETS["body"])
    with pytest.raises(AssertionError, match="body"):
        assert_no_secret(everything_of(error))
    outer = GuardError("fine")
    outer.__context__ = ValueError("fine")
    outer.__context__.__cause__ = KeyError(SECRETS["session token"])
    with pytest.raises(AssertionError, match="token"):
        assert_no_secret(everything_of(outer))


def test_the_access_key_is_shown_by_its_last_four_letters(stage_for):
    stage = stage_for("baseline")
    stage.use(stage.client(client=LONG_TERM))
    assert all("the access key that ends in 0008" in str(error) for error in stage.errors)
    assert stage.errors


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://sqs.us-east-1.amazonaws.com/1/orders", "https://sqs.us-east-1.amazonaws.com/1/orders"),
        ("https://me:secret@host:4566/1/orders", "https://host:4566/1/orders"),
        ("https://me:a@b@host/1/orders", "https://host/1/orders"),
        ("me:secret@host/1/orders", "host/1/orders"),
        ("https://host/1/orders?token=secret", "https://host/1/orders"),
        ("https://host/1/orders#secret", "https://host/1/orders"),
        ("https://host/1/orders#secret?secret", "https://host/1/orders"),
        ("https://host/1/orders?secret#me@secret", "https://host/1/orders"),
        ("orders", "orders"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_user_information_query_and_fragment(url, shown):
    assert without_secrets(url) == shown


def test_the_secrets_are_what_the_clients_really_send(stage_for):
    stage = stage_for("baseline")
    client = stage.client(modes={rule.name: "off" for rule in ALL_RULES})
    stage.use(client)
    (sent, *_) = [asked for asked in stage.server.asked if asked.operation == "SendMessage"]
    assert sent.headers["X-Amz-Security-Token"] == SECRETS["session token"]
    assert sent.parameters["MessageBody"] == SECRETS["body"]
