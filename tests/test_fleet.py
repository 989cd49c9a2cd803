"""How the account is entered, and a look at one queue: the same verdict as the guard's, and guarded itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import InvalidConfigError, NoCredentialsError, NoRegionError, ProfileNotFound
from support import LONG_TERM, TEMPORARY, UNENCRYPTED

from safe_sqs import Config, RefusedError
from safe_sqs.evaluation import Compliance, State
from safe_sqs.fleet.access import Access, Account
from safe_sqs.fleet.looks import look, url_of_arn


@pytest.fixture
def as_operator(emulator, monkeypatch):
    """The environment of somebody who looks at the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)


def test_a_look_says_what_the_guard_says(as_operator, make_client, bad):
    seen = look(Account().sqs(Config()), bad, Config())
    with pytest.raises(RefusedError) as refused:
        make_client().send_message(QueueUrl=bad, MessageBody="x")
    of_look = {finding for finding in seen.evaluation.findings if finding.mode.value == "enforce"}
    assert of_look == set(refused.value.findings)
    assert seen.evaluation.state_of("queue-encryption") is State.REFUSED


def test_a_look_is_fresh_and_leaves_nothing_in_the_cache(as_operator, emulator, raw, good):
    client = Account().sqs(Config())
    before = emulator.arrived["GetQueueAttributes"]
    assert look(client, good, Config()).evaluation.state_of("queue-encryption") is State.PASSED
    raw.set_queue_attributes(QueueUrl=good, Attributes=UNENCRYPTED)
    assert look(client, good, Config()).evaluation.state_of("queue-encryption") is State.REFUSED
    assert emulator.arrived["GetQueueAttributes"] == before + 2
    with pytest.raises(RefusedError):
        client.send_message(QueueUrl=good, MessageBody="x")


def test_attributes_that_are_known_are_not_asked_for(as_operator, emulator, good):
    before = emulator.arrived["GetQueueAttributes"]
    arn = good.replace(emulator.url, "arn:aws:sqs:us-east-1").replace("/", ":")
    attributes = {"QueueArn": arn, "SqsManagedSseEnabled": "false"}
    seen = look(Account().sqs(Config()), good, Config(), attributes=attributes)
    assert seen.evaluation.state_of("queue-encryption") is State.REFUSED
    assert emulator.arrived["GetQueueAttributes"] == before


def test_a_look_tells_no_event(as_operator, bad, told):
    look(Account().sqs(Config()), bad, Config())
    assert told == []


def test_a_queue_that_is_not_there_is_one_of_which_nothing_can_be_told(as_operator, good):
    seen = look(Account().sqs(Config()), f"{good}-not", Config())
    assert seen.evaluation.compliance() is Compliance.INSUFFICIENT_DATA
    assert seen.policy is None
    assert seen.evaluation.queue.name.endswith("-not")


def test_the_policy_of_a_queue_is_at_hand(as_operator, make_queue):
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}]}'
    seen = look(Account().sqs(Config()), make_queue(Policy=policy), Config())
    assert seen.policy == policy


def test_long_term_credentials_do_not_look(as_operator, monkeypatch, good):
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    with pytest.raises(RefusedError, match="static-credentials"):
        look(Account().sqs(Config()), good, Config())


def test_an_endpoint_that_nobody_trusts_is_not_looked_at(as_operator, monkeypatch, emulator, good):
    monkeypatch.delenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS")
    before = emulator.arrived.copy()
    with pytest.raises(RefusedError, match="endpoint-host"):
        look(Account().sqs(Config()), good, Config())
    assert emulator.arrived == before


def test_an_assumed_role_is_another_account(as_operator):
    role = "arn:aws:iam::999999999999:role/Audit"
    account = Account(Access(role_arn=role, external_id="agreed"))
    url = account.sqs(Config()).create_queue(QueueName="in-the-other-account")["QueueUrl"]
    assert "/999999999999/" in url
    assert account.client("sts").get_caller_identity()["Account"] == "999999999999"


def test_an_assumed_role_counts_as_credentials_that_renew_themselves(as_operator):
    account = Account(Access(role_arn="arn:aws:iam::999999999999:role/Audit"))
    config = Config(modes={"static-credentials": "enforce"}, levels={"static-credentials": "renewing"})
    account.sqs(config).list_queues()


def test_long_term_keys_that_only_assume_a_role_are_fine(as_operator, monkeypatch):
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    Account(Access(role_arn="arn:aws:iam::999999999999:role/Audit")).sqs(Config()).list_queues()


def test_a_role_cannot_be_assumed_by_nobody(as_operator, monkeypatch):
    for name in TEMPORARY:
        monkeypatch.delenv(name.upper())
    with pytest.raises(NoCredentialsError):
        Account(Access(role_arn="arn:aws:iam::999999999999:role/Audit"))


def test_a_profile_says_region_and_credentials(as_operator, monkeypatch, emulator):
    for name in TEMPORARY:
        monkeypatch.delenv(name.upper())
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    folder = Path.cwd()
    keys = "".join(f"{name} = {value}\n" for name, value in TEMPORARY.items())
    folder.joinpath("config").write_text(f"[profile audit]\nregion = eu-west-1\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    account = Account(Access(aws_profile="audit"))
    assert account.region == "eu-west-1"
    assert account.sqs(Config()).meta.region_name == "eu-west-1"
    account.sqs(Config()).list_queues()


def test_a_profile_that_is_not_there_is_told(as_operator):
    with pytest.raises(ProfileNotFound):
        Account(Access(aws_profile="nobody"))


def test_without_a_region_there_is_no_client(as_operator, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(NoRegionError):
        Account().sqs(Config())


def test_the_region_is_read_as_the_aws_cli_reads_it(as_operator, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert Account().region == "eu-west-3"
    assert Account().sqs(Config()).meta.region_name == "eu-west-3"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert Account().region == "eu-west-3"


def test_an_endpoint_that_is_no_url_is_an_error_of_the_configuration(as_operator, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost")
    with pytest.raises(InvalidConfigError, match="Invalid endpoint: localhost"):
        Account().sqs(Config())


@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1", "us-gov-west-1"])
def test_the_regions_are_those_of_the_partition(as_operator, monkeypatch, region):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    regions = Account().regions
    assert region in regions
    assert len({name.partition("-")[0] for name in regions} & {"cn"}) == (region == "cn-north-1")


def test_the_client_says_who_is_asking(as_operator, emulator):
    assert "safe-sqs/" in Account().sqs(Config()).meta.config.user_agent_extra


def test_an_arn_becomes_a_url_at_the_endpoint_of_the_client(as_operator, emulator):
    client = Account().sqs(Config())
    assert url_of_arn(client, "arn:aws:sqs:us-east-1:999999999999:theirs") == f"{emulator.url}/999999999999/theirs"
    assert url_of_arn(client, "arn:aws:sns:us-east-1:999999999999:theirs") is None
