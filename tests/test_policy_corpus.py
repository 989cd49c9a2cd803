"""The labelled corpus of queue policies: its format, and the judge's answer to each of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from safe_sqs import policy

CORPUS = Path(__file__).with_name("corpus")
QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
LABELS = {"public": "public", "plaintext": "plaintext", "outside_vpc": "outside_vpc"}
"""What each folder's question is called in its entries."""
OPTIONS = {
    "public": {"queue_arn", "trusted_accounts"},
    "plaintext": {"queue_arn"},
    "outside_vpc": {"queue_arn", "vpcs", "vpc_endpoints"},
}
PRIVATE = [ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
ACCOUNT_KEYS = ("aws:principalaccount", "aws:sourceaccount", "aws:sourceowner")
ORGANISATION_KEYS = ("aws:principalorgid", "aws:sourceorgid", "aws:principalorgpaths", "aws:sourceorgpaths")
NETWORK_KEYS = ("aws:sourcevpc", "aws:sourcevpce")


class Entry(NamedTuple):
    folder: str
    fields: dict[str, Any]

    @property
    def label(self) -> bool:
        return self.fields[LABELS[self.folder]]

    @property
    def document(self) -> dict[str, Any]:
        return self.fields["policy"]

    @property
    def queue_arn(self) -> str:
        return self.fields.get("queue_arn", QUEUE)

    @property
    def statements(self) -> list[dict[str, Any]]:
        return in_a_list(self.document["Statement"])

    def ask(self) -> policy.Answer:
        options = {key: value for key, value in self.fields.items() if key in OPTIONS[self.folder] - {"queue_arn"}}
        question = {
            "public": policy.public_access,
            "plaintext": policy.plaintext_access,
            "outside_vpc": policy.outside_vpc_access,
        }[self.folder]
        return question(self.document, queue_arn=self.queue_arn, **options)


def read() -> list[Entry]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [
        Entry(path.parent.name, fields)
        for path in sorted(CORPUS.glob("*/*.yaml"))
        for fields in yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # both loaders are safe ones
    ]


def in_a_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def texts_in(value: Any) -> Iterator[str]:
    """All texts of a policy, the keys of its objects aside."""
    if isinstance(value, dict):
        for entry in value.values():
            yield from texts_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts_in(entry)
    elif isinstance(value, str):
        yield value


ENTRIES = read()
OPEN = [entry for entry in ENTRIES if entry.fields[LABELS[entry.folder]]]


def each(entries: list[Entry]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.fields["id"]) for entry in entries])


def each_of(folder: str) -> pytest.MarkDecorator:
    return each([entry for entry in OPEN if entry.folder == folder])


# --- the format --------------------------------------------------------------------------------------------------


def test_there_are_enough_policies_for_each_question():
    counts = Counter(entry.folder for entry in ENTRIES)
    assert set(counts) == set(LABELS)
    assert counts["public"] >= 250
    assert len(ENTRIES) >= 250


@pytest.mark.parametrize("folder", LABELS)
def test_both_answers_are_well_represented(folder):
    labels = [entry.label for entry in ENTRIES if entry.folder == folder]
    assert 0.3 <= sum(labels) / len(labels) <= 0.7


def test_ids_are_unique():
    assert [name for name, count in Counter(entry.fields["id"] for entry in ENTRIES).items() if count > 1] == []


def test_no_question_is_asked_twice():
    asked = Counter(
        json.dumps([entry.folder, {key: value for key, value in entry.fields.items() if key not in ("id", "why")}])
        for entry in ENTRIES
    )
    assert [question for question, count in asked.items() if count > 1] == []


@pytest.mark.parametrize("folder", LABELS)
def test_entries_are_well_formed(folder):
    for entry in (entry for entry in ENTRIES if entry.folder == folder):
        name, label = entry.fields["id"], LABELS[folder]
        needed = {"id", "why", "policy", label}
        assert needed <= set(entry.fields) <= needed | OPTIONS[folder], name
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert isinstance(entry.label, bool), name
        assert entry.fields["why"].strip().endswith((".", '."')), name
        assert re.fullmatch(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?", entry.queue_arn), name


@pytest.mark.parametrize("folder", LABELS)
def test_policies_are_such_as_sqs_would_store(folder):
    for entry in (entry for entry in ENTRIES if entry.folder == folder):
        name = entry.fields["id"]
        assert policy.parse(json.dumps(entry.document)) == policy.parse(entry.document), name
        assert len(json.dumps(entry.document, separators=(",", ":"))) <= 8192, name
        assert 1 <= len(entry.statements) <= 20, name
        for statement in entry.statements:
            assert len(in_a_list(statement.get("Action", statement.get("NotAction")))) <= 7, name
            assert len(list(texts_in(statement.get("Principal", statement.get("NotPrincipal"))))) <= 50, name
            assert sum(len(keys) for keys in statement.get("Condition", {}).values()) <= 10, name


# --- the answers -------------------------------------------------------------------------------------------------


@each(ENTRIES)
def test_the_judge_answers_as_the_label_says(entry):
    answer = entry.ask()
    assert answer.found is entry.label, f"{entry.fields['why']}\n{answer}\n{answer.witness}"
    assert (answer.witness is not None) is entry.label


@each_of("public")
def test_a_public_queue_has_a_witness_that_the_policy_allows(entry):
    answer = entry.ask()
    assert answer.witness.resource == entry.queue_arn
    assert answer.witness.action.lower().startswith("sqs:")
    assert policy.decide(entry.document, answer.witness) is policy.Decision.ALLOW
    names = {statement.get("Sid") or index: statement for index, statement in enumerate(entry.statements)}
    assert names[answer.statement]["Effect"] == "Allow"


@each_of("public")
def test_the_witness_of_a_public_queue_is_an_outsider(entry):
    witness = entry.ask().witness
    keys = {key.lower(): values for key, values in witness.keys.items()}
    texts = set(texts_in([entry.document["Statement"], entry.fields.get("trusted_accounts", [])]))
    texts -= {"anonymous"}  # what aws:PrincipalAccount is for an unsigned request, and nobody's name
    arns = [text.split(":", 5) for text in texts | {entry.queue_arn} if text.count(":") >= 5]
    insiders = {text.split("/")[0].lower() for text in texts} | {arn[4] for arn in arns if arn[4]}

    assert witness.principal not in texts
    if witness.principal.startswith("arn:"):
        assert re.fullmatch("[0-9]{12}", witness.principal.split(":")[4])
        assert witness.principal.split(":")[4] not in insiders
    for key in (*ACCOUNT_KEYS, *ORGANISATION_KEYS, *NETWORK_KEYS):
        for value in keys.get(key, ()):
            assert value.split("/")[0].lower() not in insiders, key
    for address in keys.get("aws:sourceip", ()):
        assert not any(ip_address(address) in block for block in PRIVATE)


@each_of("plaintext")
def test_a_witness_of_plain_http_is_not_denied(entry):
    witness = entry.ask().witness
    assert {key.lower(): values for key, values in witness.keys.items()}["aws:securetransport"] == ("false",)
    assert witness.resource == entry.queue_arn
    assert policy.decide(entry.document, witness) is not policy.Decision.DENY


@each_of("outside_vpc")
def test_a_witness_from_outside_the_vpc_is_not_denied(entry):
    witness = entry.ask().witness
    keys = {key.lower(): values for key, values in witness.keys.items()}
    assert not set(keys.get("aws:sourcevpc", ())) & set(entry.fields.get("vpcs", ()))
    assert not set(keys.get("aws:sourcevpce", ())) & set(entry.fields.get("vpc_endpoints", ()))
    assert witness.resource == entry.queue_arn
    assert policy.decide(entry.document, witness) is not policy.Decision.DENY
