"""Findings in AWS Security Hub: taken by BatchImportFindings, updated by the next run, and told when they are not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from inspections import AT, OTHER, OWN, evaluation, queue
from support import REGION, TEMPORARY

from safe_sqs.fleet.access import Account
from safe_sqs.fleet.security_hub import clients_of, import_findings
from safe_sqs.formats.asff import findings_of


@pytest.fixture
def as_operator(emulator, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)


@pytest.fixture
def hub(as_operator):
    """Security Hub of the emulator, enabled and empty."""
    client = Account().client("securityhub", REGION)
    client.enable_security_hub()
    client.disable_security_hub()  # which forgets what other tests may have put there
    client.enable_security_hub()
    yield client
    client.disable_security_hub()


def in_hub(client):
    pages = client.get_paginator("get_findings").paginate(PaginationConfig={"PageSize": 100})
    return {finding["Id"]: finding for page in pages for finding in page["Findings"]}


def findings(name="public", count=1, at=AT, **known):
    judged = evaluation(name)
    for number in range(count):
        yield from findings_of(judged._replace(queue=queue(f"orders-{number}", **known)), at)


def test_findings_are_taken_and_can_be_read_back(hub):
    sent = list(findings())
    imported = import_findings(clients_of(Account()), sent)
    assert imported == (len(sent), 0, (), ())
    stored = in_hub(hub)
    assert set(stored) == {finding["Id"] for finding in sent}
    (public,) = [each for each in stored.values() if each["GeneratorId"] == "safe-sqs/public-access"]
    assert public["Compliance"]["Status"] == "FAILED"
    assert "the queue is public" in public["Description"]


def test_more_than_a_hundred_go_in_as_many_calls_as_they_need(hub, emulator):
    sent = list(findings(count=50))
    assert len(sent) > 200
    imported = import_findings(clients_of(Account()), iter(sent))
    assert (imported.accepted, imported.failed) == (len(sent), 0)
    assert len(in_hub(hub)) == len(sent)


def test_the_next_run_updates_what_is_there_so_that_a_mended_queue_passes(hub):
    import_findings(clients_of(Account()), findings("public"))
    import_findings(clients_of(Account()), findings("good", at=AT + timedelta(days=1)))
    stored = in_hub(hub)
    assert len(stored) == len(list(findings()))
    assert {each["Compliance"]["Status"] for each in stored.values()} == {"PASSED"}
    assert {each["UpdatedAt"] for each in stored.values()} == {"2026-11-25T09:30:00.000Z"}


def test_a_finding_that_is_not_taken_is_reported_and_the_others_are_taken(hub):
    good, bad, *_ = findings()
    bad = bad | {"Resources": [bad["Resources"][0]]}
    imported = import_findings(_without_resources_of(bad["Id"]), [good, bad])
    assert (imported.accepted, imported.failed, imported.troubles) == (1, 1, ())
    (failed,) = imported.examples
    assert (failed.id, failed.code) == (bad["Id"], "InvalidInput")
    assert failed.message
    assert set(in_hub(hub)) == {good["Id"]}


def _without_resources_of(name):
    """Clients that send one finding without its resources, which Security Hub refuses."""
    client = Account().client("securityhub", REGION)

    def spoil(params, **_):
        for finding in params["Findings"]:
            if finding["Id"] == name:
                finding["Resources"] = []

    client.meta.events.register("provide-client-params.securityhub.BatchImportFindings", spoil)
    return lambda _account, _region: client


def test_of_very_many_failures_only_the_first_are_kept(hub):
    client = Account().client("securityhub", REGION)

    def spoil(params, **_):
        for finding in params["Findings"]:
            finding["Resources"] = []

    client.meta.events.register("provide-client-params.securityhub.BatchImportFindings", spoil)
    imported = import_findings(lambda _account, _region: client, findings(count=50))
    assert imported.accepted == 0
    assert imported.failed == len(list(findings(count=50)))
    assert len(imported.examples) == 20


def test_a_place_that_takes_nothing_is_a_trouble_is_not_asked_again_and_stops_no_other(hub):
    asked = []
    good = Account().client("securityhub", REGION)
    denied = _denying(Account().client("securityhub", "eu-west-1"))

    def client_for(account, region):
        asked.append((account, region))
        return denied if account == OTHER else good

    far = list(findings(count=60, account=OTHER, region="eu-west-1"))
    near = list(findings(count=1))
    imported = import_findings(client_for, [*far, *near])
    assert (imported.accepted, imported.failed) == (len(near), len(far))
    (trouble,) = imported.troubles
    assert trouble.place == f"Security Hub of {OTHER} in eu-west-1"
    assert trouble.found.endswith("InvalidAccessException")
    assert trouble.next_step == "enable Security Hub for this account and region"
    assert asked == [(OTHER, "eu-west-1"), (OWN, REGION)]


def _denying(client):
    """The answer of AWS where Security Hub is not enabled; the emulator takes findings all the same."""
    from botocore.awsrequest import AWSResponse

    class Body:
        @staticmethod
        def stream():
            yield b'{"Message": "Account is not subscribed to AWS Security Hub", "Code": "InvalidAccessException"}'

    def answer(**_):
        headers = {"x-amzn-errortype": "InvalidAccessException", "content-type": "application/json"}
        return AWSResponse("https://securityhub.eu-west-1.amazonaws.com/", 401, headers, Body)

    client.meta.events.register("before-send.securityhub.BatchImportFindings", answer)
    return client


def test_a_hub_that_cannot_be_reached_is_a_trouble(as_operator, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    client = Account().client("securityhub", REGION, retries={"total_max_attempts": 1})
    imported = import_findings(lambda _account, _region: client, findings())
    (trouble,) = imported.troubles
    assert trouble.found.endswith("EndpointConnectionError")


def test_nothing_to_send_is_no_call():
    assert import_findings(lambda _account, _region: pytest.fail("asked"), []) == (0, 0, (), ())


def test_clients_are_made_once_for_each_region(as_operator):
    client_for = clients_of(Account())
    assert client_for(OWN, REGION) is client_for(OTHER, REGION)
    assert client_for(OWN, REGION) is not client_for(OWN, "eu-west-1")
