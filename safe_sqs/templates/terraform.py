"""Queues and queue policies of what `terraform show -json` says of a plan or a state, and of state files.

Source: "JSON Output Format" of Terraform, and the resources `aws_sqs_queue`, `aws_sqs_queue_policy`,
`aws_sqs_queue_redrive_policy` and `aws_iam_policy_document` of its provider for AWS. OpenTofu writes the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from safe_sqs.model import KeyManager, Queue
from safe_sqs.rules.queue_encryption import AWS_MANAGED_ALIAS
from safe_sqs.templates.found import Branch, FoundPolicy, Kind, Settings, queue_named, queue_of
from safe_sqs.templates.standins import ACCOUNT, REGION, in_words, is_open, names_in, narrow, narrowed, open_value

__all__ = ["find", "is_plan_or_state"]

_INDEX = re.compile(r"\[[^\]]*\]$")
_DOCUMENT = "aws_iam_policy_document"
_OF_INSTANCE = ("each.", "count.")


class _Resource(NamedTuple):
    """One instance: its address, the address of its module, what is known of it and what is not, and the expressions
    of its configuration: None where the file does not have that."""

    address: str
    module: str
    type: str
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]
    expressions: Mapping[str, Any] | None

    @property
    def is_data(self) -> bool:
        """True for a data source, which tells of something that is elsewhere."""
        return self.address.removeprefix(f"{self.module}.").startswith("data.")

    def value(self, name: str) -> Any:
        """An attribute: as it is, open, or None where it is not set.

        An attribute that the configuration leaves out and the provider only tells later is not set.
        """
        value = self.values.get(name)
        if value is None and self.unknown.get(name) is True and not self.leaves_out(name):
            return open_value(f"{self.address}.{name}")
        return value

    def leaves_out(self, name: str) -> bool:
        """True for an attribute that the configuration is known not to have."""
        return self.expressions is not None and name not in self.expressions

    def references(self, name: str) -> list[str]:
        """What the expression of an attribute refers to."""
        return _references((self.expressions or {}).get(name))

    @property
    def instance(self) -> str:
        """The index of an instance, such as `[0]`, or ""."""
        found = _INDEX.search(self.address)
        return found[0] if found else ""


def _references(expression: Any) -> list[str]:
    found = expression.get("references") if isinstance(expression, Mapping) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def is_plan_or_state(data: Any) -> bool:
    """True for a plan or state in JSON, or a state file."""
    if not isinstance(data, Mapping):
        return False
    return (
        isinstance(data.get("planned_values"), Mapping)
        or ("format_version" in data and ("values" in data or "terraform_version" in data))
        or ("terraform_version" in data and isinstance(data.get("resources"), list))
    )


def find(data: Mapping[str, Any], text: str, values: Mapping[str, str]) -> Iterator[FoundPolicy]:
    """Every policy with its queue, and every queue that has none."""
    plan = _Plan(data, values)
    with_policy: set[str] = set()
    for resource in plan.of_type("aws_sqs_queue_policy"):
        queue = plan.queue_meant(resource)
        with_policy.add(queue.address if queue else "")
        yield plan.found(resource.address, plan.policy_of(resource), queue, resource, text)
    for queue in plan.of_type("aws_sqs_queue"):
        if queue.is_data or (queue.address in with_policy and queue.leaves_out("policy")):
            continue  # what a plan knows of a policy that another resource sets is that of before
        document = plan.policy_of(queue)
        if document not in (None, "") or queue.address not in with_policy:
            yield plan.found(queue.address, document or None, queue, queue, text)


class _Plan:
    def __init__(self, data: Mapping[str, Any], values: Mapping[str, str]) -> None:
        self._given = values
        self._resources = {each.address: each for each in _resources_in(data)}
        self._outputs = dict(_outputs(_map(_map(data.get("configuration")).get("root_module")), ""))
        regions = [each.values.get("region") for each in self._resources.values()]
        self._region = next(filter(None, (*regions, _region_configured(data))), REGION)
        self._account = _account_in(data, self._resources.values())

    def of_type(self, kind: str) -> list[_Resource]:
        """The resources of a type."""
        return [each for each in self._resources.values() if each.type == kind]

    def policy_of(self, resource: _Resource) -> Any:
        """The policy of a queue or of an aws_sqs_queue_policy, with open values where it is not known."""
        given = self._given.get(f"{resource.address}.policy")
        if given is not None:
            return given
        policy = resource.value("policy")
        if not is_open(policy):
            return policy
        source = self._only_source(resource.references("policy"), resource)
        return policy if source is None else self._document(source, policy)

    def _only_source(self, references: list[str], by: _Resource) -> _Resource | None:
        """The data source that is all that an expression refers to."""
        sources = {}
        for reference in references:
            source = self._meant(reference, by, _DOCUMENT)
            if source is not None:
                sources[source.address] = source
            elif not reference.startswith(_OF_INSTANCE) and not any(
                each.startswith((f"{reference}.", f"{reference}[")) for each in references
            ):
                return None
        return next(iter(sources.values())) if len(sources) == 1 else None

    def _document(self, source: _Resource, otherwise: str) -> Any:
        """The policy that a data source will write, which Terraform cannot read before the queue is there."""
        known = source.value("json")
        if isinstance(known, str) and not is_open(known):
            return known
        merged = [
            name
            for name in ("source_policy_documents", "override_policy_documents", "source_json", "override_json")
            if source.value(name) or source.unknown.get(name)
        ]
        statements = source.values.get("statement")
        if merged or not isinstance(statements, list):
            return otherwise
        unknown = source.unknown.get("statement")
        blocks = (source.expressions or {}).get("statement")
        made = []
        for at, statement in enumerate(statements):
            mark = unknown[at] if isinstance(unknown, list) and at < len(unknown) else {}
            block = blocks[at] if isinstance(blocks, list) and len(blocks) == len(statements) else {}
            if not isinstance(statement, Mapping) or not isinstance(mark, Mapping):
                return otherwise
            made.append(self._statement(statement, mark, block, source))
        return {"Version": source.values.get("version") or "2012-10-17", "Statement": made}

    def _statement(
        self, statement: Mapping[str, Any], mark: Mapping[str, Any], block: Any, source: _Resource
    ) -> dict[str, Any]:
        made: dict[str, Any] = {"Effect": statement.get("effect") or "Allow"}
        if statement.get("sid"):
            made["Sid"] = statement["sid"]
        for name, element in _ELEMENTS.items():
            values = self._texts(statement.get(name), mark.get(name), block, name, source)
            if values:
                made[element] = values
        for name, element in (("principals", "Principal"), ("not_principals", "NotPrincipal")):
            principals = self._principals(statement.get(name), mark.get(name), source)
            if principals is not None:
                made[element] = principals
        conditions = self._conditions(statement.get("condition"), mark.get("condition"), source)
        if conditions:
            made["Condition"] = conditions
        return made

    def _texts(self, values: Any, mark: Any, block: Any, name: str, source: _Resource) -> list[str]:
        """A list of texts in which those that are not known are the queue's ARN, where nothing else is referred to."""
        expression = block.get(name) if isinstance(block, Mapping) else None
        arns = self._arns_meant(_references(expression), source)
        if mark is True:
            return arns or [open_value(f"{source.address}.{name}")]
        made = []
        for value in _known(values, mark):
            made += [value] if value is not None else arns or [open_value(f"{source.address}.{name}")]
        return list(dict.fromkeys(made))

    def _arns_meant(self, references: list[str], source: _Resource) -> list[str]:
        """The ARNs of the queues that are all that an expression refers to."""
        found = []
        for reference in references:
            queue = self._meant(reference, source, "aws_sqs_queue")
            if queue is None:
                return []
            if reference.endswith((".arn", "]")) or f"{reference}.arn" in references:
                found.append(self.queue(queue).arn)
        return list(dict.fromkeys(found))

    def _principals(self, blocks: Any, mark: Any, source: _Resource) -> Any:
        if mark is True:
            return open_value(f"{source.address}.principals")
        if not isinstance(blocks, list) or not blocks:
            return None
        made: dict[str, list[str]] = {}
        for at, block in enumerate(blocks):
            marked = mark[at] if isinstance(mark, list) and at < len(mark) else {}
            if marked is True or not isinstance(block, Mapping) or not isinstance(marked, Mapping):
                return open_value(f"{source.address}.principals")
            if block.get("type") == "*":
                return "*"
            kind = str(block.get("type"))
            made.setdefault(kind, [])
            made[kind] += self._open_texts(block, marked, "identifiers", f"{source.address}.principals")
        return made

    def _conditions(self, blocks: Any, mark: Any, source: _Resource) -> Any:
        if mark is True:
            return open_value(f"{source.address}.condition")
        made: dict[str, Any] = {}
        for at, block in enumerate(blocks if isinstance(blocks, list) else []):
            marked = mark[at] if isinstance(mark, list) and at < len(mark) else {}
            if not isinstance(block, Mapping) or not isinstance(marked, Mapping) or marked.get("variable"):
                return open_value(f"{source.address}.condition")
            keys = made.setdefault(str(block.get("test")), {})
            name = f"{source.address}.condition"
            keys.setdefault(str(block.get("variable")), []).extend(self._open_texts(block, marked, "values", name))
        return made

    def _open_texts(self, block: Mapping[str, Any], mark: Mapping[str, Any], name: str, shown: str) -> list[str]:
        if mark.get(name) is True:
            return [open_value(shown)]
        return [open_value(shown) if value is None else value for value in _known(block.get(name), mark.get(name))]

    # --- queues ---

    def _meant(self, reference: str, by: _Resource, kind: str) -> _Resource | None:
        """The resource of a type that a reference within a module means: of several instances the one with the index
        of the one that refers to it."""
        prefix = f"{by.module}." if by.module else ""
        if reference.startswith("module."):
            return self._meant_by_output(reference, prefix, kind)
        named = reference.removeprefix("data.").split(".")
        if named[0] != kind or len(named) < 2:
            return None
        base = (
            f"{prefix}{'data.' if reference.startswith('data.') else ''}{kind}.{_INDEX.sub('', named[1].split('[')[0])}"
        )
        found = [each for each in self._resources.values() if _INDEX.sub("", each.address) == base]
        wanted = named[1].partition("[")
        instance = f"[{wanted[2]}" if wanted[1] else by.instance
        exact = [each for each in found if each.instance == instance]
        if len(exact) == 1:
            return exact[0]
        return found[0] if len(found) == 1 else None

    def _meant_by_output(self, reference: str, prefix: str, kind: str) -> _Resource | None:
        """The same for an output of a module that is called."""
        _, called, output, *_ = *reference.split("."), "", ""
        base = _without_indexes(f"{prefix}module.{called}")
        expression = _map(_map(self._outputs.get(base)).get(output.partition("[")[0])).get("expression")
        wanted = f"{prefix}module.{called}"
        modules = {each.module for each in self._resources.values() if each.module}
        within = [each for each in modules if each == wanted] or [
            each for each in modules if _without_indexes(each) == base
        ]
        if len(within) != 1:
            return None
        inside = _Resource("", within[0], "", {}, {}, None)
        found = (self._meant(each, inside, kind) for each in _references(expression))
        return next(filter(None, found), None)

    def queue_meant(self, policy: _Resource) -> _Resource | None:
        """The queue of an aws_sqs_queue_policy, or None for one that is not here."""
        url = policy.values.get("queue_url")
        if isinstance(url, str):
            return next((each for each in self.of_type("aws_sqs_queue") if url in _urls(each)), None)
        for reference in policy.references("queue_url"):
            queue = self._meant(reference, policy, "aws_sqs_queue")
            if queue is not None:
                return queue
        return None

    def queue(self, resource: _Resource) -> Queue:
        """A queue, under its address where its name is not known yet."""
        known = queue_of(resource.values.get("arn"))
        if known is not None:
            return known
        name = resource.values.get("name")
        region = str(resource.values.get("region") or self._region)
        partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
        shown = name if isinstance(name, str) and name else resource.address
        return queue_named(shown, account=self._account, region=region, partition=partition)

    def settings(self, resource: _Resource) -> tuple[tuple[Settings, ...], tuple[str, ...]]:
        """All ways in which a queue may be set, and what is not known. SQS turns SSE-SQS on where nothing is said."""
        key = resource.value("kms_master_key_id")
        managed = resource.value("sqs_managed_sse_enabled")
        may_be = [True, False] if is_open(managed) else [not key if managed is None else str(managed).lower() == "true"]
        manager = None
        if isinstance(key, str) and (key == AWS_MANAGED_ALIAS or key.endswith(f":{AWS_MANAGED_ALIAS}")):
            manager = KeyManager.AWS
        elif any(reference.startswith("aws_kms_") for reference in resource.references("kms_master_key_id")):
            manager = KeyManager.CUSTOMER
        text = narrowed(str(key or ""))
        dead_letter = self._dead_letter(resource)
        made = tuple(Settings(each and not text, text, manager, dead_letter) for each in may_be)
        return made, names_in([managed])

    def _dead_letter(self, resource: _Resource) -> str:
        sources = [resource]
        for each in self.of_type("aws_sqs_queue_redrive_policy"):
            meant = self.queue_meant(each)
            if meant is not None and meant.address == resource.address:
                sources.append(each)
        for each in sources:
            policy = each.value("redrive_policy")
            if not policy:
                continue
            if is_open(policy):
                meant_ones = (self._meant(ref, each, "aws_sqs_queue") for ref in each.references("redrive_policy"))
                target = next(filter(None, meant_ones), None)
                return self.queue(target).arn if target else in_words(policy)
            try:
                return str(json.loads(policy)["deadLetterTargetArn"])
            except (ValueError, TypeError, KeyError, RecursionError):
                return "redrive_policy"
        return ""

    def found(self, where: str, document: Any, queue: _Resource | None, resource: _Resource, text: str) -> FoundPolicy:
        """What goes to the judge."""
        settings, unknown = self.settings(queue) if queue and not queue.is_data else ((), ())
        named = self.queue(queue) if queue else self._elsewhere(resource.values.get("queue_url"))
        unresolved = tuple(dict.fromkeys((*names_in(document), *unknown)))
        known = [(narrow(name), f"${{{name}}}") for name in unresolved]
        words = (*known, (ACCOUNT, "ACCOUNT_ID"), (REGION, "REGION"))
        line = _line_of(text, where)
        return FoundPolicy(where, Kind.TERRAFORM, named, (Branch("", document, settings),), unresolved, line, words)

    def _elsewhere(self, url: Any) -> Queue:
        match = re.fullmatch(r"https://[^/]+/(\d{12})/([A-Za-z0-9_.-]+)", url) if isinstance(url, str) else None
        return Queue("", "aws", self._region, match[1], match[2]) if match else Queue("", "aws", self._region, "", "")


_ELEMENTS = {
    "actions": "Action",
    "not_actions": "NotAction",
    "resources": "Resource",
    "not_resources": "NotResource",
}


def _known(values: Any, mark: Any) -> list[str | None]:
    """The texts of a list, and None for those that are not known: Terraform leaves them out, or writes null."""
    values, mark = _list(values), _list(mark)
    size = max(len(values), len(mark) if True in mark else 0)
    is_unknown = [at >= len(values) or values[at] is None or mark[at : at + 1] == [True] for at in range(size)]
    return [None if unknown else str(values[at]) for at, unknown in enumerate(is_unknown)]


def _line_of(text: str, address: str) -> int:
    """The line of the address in what is planned, or in the state; 1 where it is not spelled out."""
    at = text.find(json.dumps(address), max(text.find('"planned_values"'), 0))
    return text.count("\n", 0, max(at, 0)) + 1


def _urls(queue: _Resource) -> set[Any]:
    return {queue.values.get("url"), queue.values.get("id")} - {None}


# --- what is in the file ------------------------------------------------------------------------------------------


def _resources_in(data: Mapping[str, Any]) -> Iterator[_Resource]:
    if isinstance(data.get("resources"), list):
        yield from _of_state_file(data["resources"])
        return
    changes = {
        each["address"]: each
        for each in _list(data.get("resource_changes"))
        if isinstance(each, Mapping) and isinstance(each.get("address"), str) and not each.get("deposed")
    }
    configured = dict(_configured(_map(_map(data.get("configuration")).get("root_module")), ""))
    seen = set()
    root = _map(_map(data.get("planned_values", data.get("values"))).get("root_module"))
    for module, each in _in_module(root, ""):
        address = each.get("address")
        if isinstance(address, str):
            seen.add(address)
            change = _map(_map(changes.get(address)).get("change"))
            yield _resource(each, address, module, _map(each.get("values")), change, configured)
    for address, each in changes.items():  # data sources that are read when it is applied are only here
        change = _map(each.get("change"))
        if address not in seen and _list(change.get("actions")) == ["read"]:
            module = str(each.get("module_address") or "")
            yield _resource(each, address, module, _map(change.get("after")), change, configured)
    prior = _map(_map(_map(data.get("prior_state")).get("values")).get("root_module"))
    for module, each in _in_module(prior, ""):
        address = each.get("address")
        if isinstance(address, str) and each.get("mode") == "data" and address not in seen and address not in changes:
            yield _resource(each, address, module, _map(each.get("values")), {}, configured)


def _resource(
    each: Mapping[str, Any],
    address: str,
    module: str,
    values: Mapping[str, Any],
    change: Mapping[str, Any],
    configured: Mapping[str, Mapping[str, Any]],
) -> _Resource:
    unknown = _map(change.get("after_unknown"))
    expressions = configured.get(_without_indexes(address))
    return _Resource(address, module, str(each.get("type")), values, unknown, expressions)


def _without_indexes(address: str) -> str:
    return re.sub(r"\[[^\]]*\]", "", address)


def _in_module(module: Mapping[str, Any], address: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for each in _list(module.get("resources")):
        if isinstance(each, Mapping):
            yield address, each
    for child in _list(module.get("child_modules")):
        if isinstance(child, Mapping):
            yield from _in_module(child, str(child.get("address") or ""))


def _configured(module: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The expressions of all resources, by address without indexes."""
    for each in _list(module.get("resources")):
        if isinstance(each, Mapping):
            yield f"{prefix}{each.get('address')}", _map(each.get("expressions"))
    for name, call in _map(module.get("module_calls")).items():
        yield from _configured(_map(_map(call).get("module")), f"{prefix}module.{name}.")


def _outputs(module: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The outputs of all modules that are called, by address without indexes."""
    for name, call in _map(module.get("module_calls")).items():
        inner = _map(_map(call).get("module"))
        yield f"{prefix}module.{name}", _map(inner.get("outputs"))
        yield from _outputs(inner, f"{prefix}module.{name}.")


def _of_state_file(resources: list[Any]) -> Iterator[_Resource]:
    for each in resources:
        for instance in _list(_map(each).get("instances")):
            if _map(instance).get("deposed"):  # it is replaced, and waits for its end
                continue
            module = str(each.get("module") or "")
            mode = "data." if each.get("mode") == "data" else ""
            key = _map(instance).get("index_key")
            index = "" if key is None else f"[{json.dumps(key)}]"
            address = f"{module + '.' if module else ''}{mode}{each.get('type')}.{each.get('name')}{index}"
            yield _Resource(address, module, str(each.get("type")), _map(_map(instance).get("attributes")), {}, {})


def _region_configured(data: Mapping[str, Any]) -> str | None:
    providers = _map(_map(data.get("configuration")).get("provider_config"))
    for each in providers.values():
        if _map(each).get("name") == "aws":
            region = _map(_map(_map(each).get("expressions")).get("region")).get("constant_value")
            if isinstance(region, str):
                return region
    return None


def _account_in(data: Mapping[str, Any], resources: Any) -> str:
    """The account, from what Terraform asked about the caller, from the ARN of a queue, or from what the policies
    spell out."""
    for each in resources:
        account = each.values.get("account_id") if each.type == "aws_caller_identity" else None
        queue = queue_of(each.values.get("arn"))
        if isinstance(account, str) or queue is not None:
            return account if isinstance(account, str) else str(queue and queue.account)
    for each in resources:
        policy = each.values.get("policy") if each.type.startswith("aws_sqs_queue") else None
        match = re.search(r"arn:[a-z0-9-]+:sqs:[a-z0-9-]+:(\d{12}):", str(policy or ""), re.ASCII)
        if match is not None:
            return match[1]
    return ACCOUNT


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
