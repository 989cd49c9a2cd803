"""What kind of file a text is, and the policies in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from safe_sqs.model import Queue
from safe_sqs.templates import cloudformation, terraform
from safe_sqs.templates.cloudformation import Place
from safe_sqs.templates.errors import TemplateError
from safe_sqs.templates.found import Branch, FoundPolicy, Kind, Settings, queue_of
from safe_sqs.templates.reading import lines_of, read
from safe_sqs.templates.standins import is_open, open_value

__all__ = ["find"]

_ALL_ATTRIBUTES = frozenset({"VisibilityTimeout", "CreatedTimestamp"})
_ENCRYPTION = frozenset({"SqsManagedSseEnabled", "KmsMasterKeyId"})
_NOTHING = Queue("", "aws", "", "", "")
_WHAT_IS_READ = "give a queue policy, an answer of get-queue-attributes, a template, or what terraform show -json says"


def find(
    text: str,
    name: str,
    *,
    place: Place = Place(),  # noqa: B008
    values: Mapping[str, str] | None = None,
) -> tuple[FoundPolicy, ...]:
    """The queue policies, and the queues without one, that the text of a file has.

    `name` is the file's name, whose end may tell how to read it. `place` is where it is deployed, if that is known
    otherwise, and `values` what the file leaves open, by name. Raises TemplateError.
    """
    if name.endswith((".tf", ".tf.json", ".tofu")):
        raise TemplateError(
            "Terraform's own files are not read, because only Terraform can say what they come to",
            "terraform plan -out plan && terraform show -json plan > plan.json, and give plan.json",
        )
    found: list[FoundPolicy] = []
    unrelated = None
    for data in read(text, name):
        try:
            found += _find(data, text, place, values or {})
        except TemplateError as error:
            if not error.is_unrelated:
                raise
            unrelated = error
    if not found and unrelated is not None:
        raise unrelated
    if not found:
        raise TemplateError("there is no queue and no queue policy in it", "name another file", is_unrelated=True)
    return tuple(found)


def _find(data: Any, text: str, place: Place, values: Mapping[str, str]) -> Iterator[FoundPolicy]:
    if data is None:
        return iter(())
    if cloudformation.is_template(data):
        return cloudformation.find(data, text, place, values)
    if terraform.is_plan_or_state(data):
        return terraform.find(data, text, values)
    if isinstance(data, Mapping) and isinstance(data.get("Attributes"), Mapping):
        return iter((_of_attributes(data["Attributes"], text),))
    if isinstance(data, Mapping) and ("Statement" in data or "Version" in data) and "Resources" not in data:
        if "Statement" not in data:
            raise TemplateError("it has a Version and no Statement, so it is no policy", _WHAT_IS_READ)
        return iter((_of_policy(data, text),))
    raise TemplateError("it is neither a policy nor a file with queue policies", _WHAT_IS_READ, is_unrelated=True)


def _of_policy(data: Mapping[str, Any], text: str) -> FoundPolicy:
    """A policy alone. It is that of the one queue that it names, if it names one."""
    queues = {each for each in map(queue_of, _resources(data)) if each is not None}
    named = [each for each in _resources(data) if isinstance(each, str) and ":sqs:" in each]
    alone = len(queues) == 1 and all(queue_of(each) in queues for each in named)
    line = lines_of(text).get("Statement", 1)
    return FoundPolicy("", Kind.POLICY, queues.pop() if alone else _NOTHING, (Branch("", data),), (), line)


def _resources(data: Mapping[str, Any]) -> list[Any]:
    statements = data["Statement"] if isinstance(data["Statement"], list) else [data["Statement"]]
    found: list[Any] = []
    for statement in statements:
        resource = statement.get("Resource") if isinstance(statement, Mapping) else None
        found += resource if isinstance(resource, list) else [resource]
    return found


def _of_attributes(attributes: Mapping[str, Any], text: str) -> FoundPolicy:
    """An answer of GetQueueAttributes. Attributes that were not asked for are not judged."""
    policy = attributes.get("Policy")
    if policy is None and not _ALL_ATTRIBUTES & set(attributes):
        raise TemplateError(
            "the answer has no Policy, and does not look like one that would",
            "aws sqs get-queue-attributes --queue-url URL --attribute-names All",
        )
    settings: tuple[Settings, ...] = ()
    if (_ALL_ATTRIBUTES | _ENCRYPTION) & set(attributes):
        managed = str(attributes.get("SqsManagedSseEnabled", "false")).lower() == "true"
        key = str(attributes.get("KmsMasterKeyId") or "")
        settings = (Settings(managed, key, None, _dead_letter(attributes.get("RedrivePolicy"))),)
    queue = queue_of(attributes.get("QueueArn")) or _NOTHING
    document = _as_document(policy)
    line = lines_of(text).get("Policy", 1)
    return FoundPolicy(queue.name, Kind.ATTRIBUTES, queue, (Branch("", document, settings),), (), line)


def _as_document(policy: Any) -> Any:
    if policy is None or (isinstance(policy, str) and not is_open(policy)):
        return policy or None
    return policy if isinstance(policy, Mapping) else open_value("Policy")


def _dead_letter(policy: Any) -> str:
    if not policy:
        return ""
    try:
        return str((json.loads(policy) if isinstance(policy, str) else policy)["deadLetterTargetArn"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "RedrivePolicy"
