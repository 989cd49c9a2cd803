"""Queues and queue policies of CloudFormation templates: written by hand, for SAM, or by the CDK.

Source: "Intrinsic function reference", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy" and "AWS::SQS::QueueInlinePolicy" in
the CloudFormation user guide.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from safe_sqs.model import KeyManager, Queue
from safe_sqs.rules.queue_encryption import AWS_MANAGED_ALIAS
from safe_sqs.templates.errors import TemplateError
from safe_sqs.templates.found import Branch, FoundPolicy, Kind, Settings, queue_named
from safe_sqs.templates.reading import lines_of
from safe_sqs.templates.standins import ACCOUNT, REGION, in_words, is_open, names_in, narrow, narrowed, open_value

__all__ = ["Place", "find", "is_template"]

_QUEUE = "AWS::SQS::Queue"
_POLICIES = {"AWS::SQS::QueuePolicy": "Queues", "AWS::SQS::QueueInlinePolicy": "Queue"}
_MOST_BRANCHES = 32
_SUBSTITUTED = re.compile(r"\$\{([^}]*)\}")
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")
_QUEUE_URL = re.compile(r"https://[^/]+/(\d{12})/([A-Za-z0-9_.-]+)", re.ASCII)
_SQS_ARN = re.compile(r"arn:([a-z0-9-]+):sqs:([a-z0-9-]+):(\d{12}):", re.ASCII)

_NAMES = {
    _QUEUE: "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::Events::Rule": "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Serverless::Function": "FunctionName",
}
"""The property that names a resource of a type."""

_REF_IS_ARN = frozenset(
    {"AWS::SNS::Topic", "AWS::SecretsManager::Secret", "AWS::StepFunctions::StateMachine", "AWS::IAM::ManagedPolicy"}
)
_OF_RESOURCES = {"AWS::EC2::VPC": "vpc-", "AWS::EC2::VPCEndpoint": "vpce-", "AWS::Organizations::Organization": "o-"}
_ONE_ADDRESS = "192.0.2.1"
"""In place of an address that belongs to a resource."""
_NO_REGION = frozenset({"iam", "s3"})
_NOT_OF_AWS = ("Custom::", "AWS::CloudFormation::")


class Place(NamedTuple):
    """Where a template is deployed, as far as it is known."""

    account: str = ""
    region: str = ""
    partition: str = "aws"


class _NoValue:
    """AWS::NoValue: what it stands for is left out."""


def is_template(data: Any) -> bool:
    """True for what is a CloudFormation template."""
    return isinstance(data, Mapping) and isinstance(data.get("Resources"), Mapping)


def find(data: Mapping[str, Any], text: str, place: Place, values: Mapping[str, str]) -> Iterator[FoundPolicy]:
    """Every policy with each of its queues, and every queue that has none. Raises TemplateError."""
    resources = data["Resources"]
    _refuse_macros(resources)
    policies = {id_: each for id_, each in resources.items() if _type(each) in _POLICIES}
    template = _Template(data, _placed(policies, place), values)
    lines = lines_of(text, after="Resources")
    attached = [(id_, *each) for id_, resource in policies.items() for each in _queues(template, resource)]
    with_policy = {queue_id for _, queue_id, _ in attached}
    for id_, queue_id, queue in attached:
        others = [policies[each] for each, theirs, _ in attached if theirs == queue_id and queue_id and each != id_]
        where = f"{id_} of {queue_id}" if queue_id else id_
        yield from _found(template, lines, where, id_, queue, policies[id_], queue_id, others)
    for id_, resource in resources.items():
        if _type(resource) == _QUEUE and id_ not in with_policy:
            yield from _found(template, lines, id_, id_, template.queue(id_), None, id_, [])


def _type(resource: Any) -> str:
    kind = resource.get("Type") if isinstance(resource, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _properties(resource: Any) -> Mapping[str, Any]:
    properties = resource.get("Properties") if isinstance(resource, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def _refuse_macros(resources: Mapping[str, Any]) -> None:
    for id_, resource in resources.items():
        macro = next(filter(_is_macro, (id_, *_keys_of(resource))), None)
        if macro is not None:
            raise TemplateError(
                f"the resources are made by {'::'.join(macro.split('::')[:2])}, which only CloudFormation runs",
                "judge what it makes of it: aws cloudformation get-template --template-stage Processed",
            )


def _keys_of(resource: Any) -> list[str]:
    """The keys in which a macro could stand that makes a queue, or a property of one."""
    properties = _properties(resource) if _type(resource) in (_QUEUE, *_POLICIES) else {}
    return [*(resource if isinstance(resource, Mapping) else ()), *properties]


def _is_macro(key: str) -> bool:
    return key.startswith("Fn::")


def _placed(policies: Mapping[str, Any], place: Place) -> Place:
    """The place, from the ARNs that the policies spell out where nobody says it: they are about the stack's queues."""
    for resource in policies.values():
        document = _properties(resource).get("PolicyDocument")
        for statement in _statements(document):
            match = _SQS_ARN.search(json.dumps(statement.get("Resource", "")))
            if match is not None:
                return Place(place.account or match[3], place.region or match[2], match[1])
    return place


def _statements(document: Any) -> list[Mapping[str, Any]]:
    found = document.get("Statement") if isinstance(document, Mapping) else None
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, Mapping)]


def _queues(template: _Template, resource: Any) -> Iterator[tuple[str, Queue]]:
    """The queues of a policy, with the logical id of those that are in the template."""
    wanted = _properties(resource).get(_POLICIES[_type(resource)])
    urls: list[Any] = []
    for _, resolved in template.branches(lambda: template.resolve(wanted)):
        for url in resolved if isinstance(resolved, list) else [resolved]:
            if url not in urls:
                urls.append(url)
    for url in urls:
        id_ = template.id_of(url)
        yield id_, template.queue(id_) if id_ else template.queue_at(url)


def _found(
    template: _Template,
    lines: Mapping[str, int],
    where: str,
    id_: str,
    queue: Queue,
    policy: Any,
    queue_id: str,
    others: list[Any],
) -> Iterator[FoundPolicy]:
    """A policy with its queue, or a queue without one, where these are there under some conditions. `others` are the
    other policies of the queue."""

    def resolve() -> tuple[Any, tuple[Settings, ...]] | None:
        if queue_id and not template.has(queue_id):
            return None
        document = None
        if policy is not None and _is_attached(template, policy, queue_id):
            document = template.resolve(_properties(policy).get("PolicyDocument"))
            document = "" if document is None else document
        elif policy is not None and (not queue_id or any(_is_attached(template, each, queue_id) for each in others)):
            return None
        return document, template.settings(queue_id) if queue_id else ()

    made = list(template.branches(resolve))
    branches = [Branch(told, *each) for told, each in made[:_MOST_BRANCHES] if each is not None]
    if len(made) > _MOST_BRANCHES:
        settings = template.settings(queue_id) if queue_id else ()
        branches.append(Branch("", open_value("its many conditions"), settings))
    if not branches:
        return
    unresolved = tuple(
        dict.fromkeys(
            name
            for branch in branches
            for name in (*names_in(branch.document), *names_in([each.kms_key for each in branch.settings]))
        )
    )
    unresolved = tuple(dict.fromkeys((*unresolved, *template.open_settings)))
    template.open_settings.clear()
    branches = [branch._replace(settings=tuple(map(_closed, branch.settings))) for branch in branches]
    words = template.words(unresolved)
    yield FoundPolicy(where, Kind.CLOUDFORMATION, queue, tuple(branches), unresolved, lines.get(id_, 1), words)


def _is_attached(template: _Template, policy: Any, queue_id: str) -> bool:
    """True when a policy is made, and made the queue's, by the conditions as they are chosen."""
    if not template.is_made(policy):
        return False
    urls = template.resolve(_properties(policy).get(_POLICIES[_type(policy)]))
    return not queue_id or queue_id in map(template.id_of, urls if isinstance(urls, list) else [urls])


def _closed(settings: Settings) -> Settings:
    return settings._replace(kms_key=narrowed(settings.kms_key))


class _Template:
    def __init__(self, data: Mapping[str, Any], place: Place, values: Mapping[str, str]) -> None:
        self._resources: Mapping[str, Any] = data["Resources"]
        self._parameters = _section(data, "Parameters")
        self._mappings = _section(data, "Mappings")
        self._conditions = _section(data, "Conditions")
        self._values = values
        self._account = values.get("AWS::AccountId") or place.account or ACCOUNT
        self._region = values.get("AWS::Region") or place.region or REGION
        self._partition = values.get("AWS::Partition") or place.partition
        self._choices: dict[str, bool] = {}
        self._naming: set[str] = set()
        self._is_choosing = False
        self.open_settings: list[str] = []

    def words(self, unresolved: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """How to show what stands in for something."""
        known = [(narrow(name), f"${{{name}}}") for name in unresolved]
        return (*known, (ACCOUNT, "${AWS::AccountId}"), (REGION, "${AWS::Region}"))

    # --- conditions ---

    def branches(self, make: Callable[[], Any]) -> Iterator[tuple[str, Any]]:
        """What is made under each choice of the conditions that it meets; one more than the most when there are more.

        Conditions that only say whether a parameter equals a text are never chosen against each other.
        """
        self._choices = {}
        for _ in range(_MOST_BRANCHES + 1):
            made = make()
            yield self._told(), made
            while self._choices and not self._choices[list(self._choices)[-1]]:
                self._choices.popitem()
            if not self._choices:
                return
            self._choices[list(self._choices)[-1]] = False
        self._choices = {}

    def _told(self) -> str:
        return ", ".join(f"{'' if chosen else 'not '}{atom}" for atom, chosen in self._choices.items())

    def has(self, id_: str) -> bool:
        """True when a resource is made, by its Condition."""
        return self.is_made(self._resources[id_])

    def is_made(self, resource: Mapping[str, Any]) -> bool:
        """The same for what the template says of a resource."""
        condition = resource.get("Condition")
        return self._holds(condition) if isinstance(condition, str) else True

    def _holds(self, name: str, deep: int = 0) -> bool:
        definition = self._conditions.get(name)
        return self._decide(definition, name, deep) if isinstance(definition, Mapping) else self._choose(name)

    def _decide(self, definition: Any, name: str, deep: int) -> bool:
        function, given = (
            next(iter(definition.items())) if isinstance(definition, Mapping) and definition else ("", None)
        )
        parts = given if isinstance(given, list) else []
        if deep < 20:  # deeper is a circle
            if function == "Condition" and isinstance(given, str):
                return self._holds(given, deep + 1)
            if function == "Fn::Not" and len(parts) == 1:
                return not self._decide(parts[0], name, deep + 1)
            if function in ("Fn::And", "Fn::Or") and parts:
                held = [self._decide(each, f"{name}[{at}]", deep + 1) for at, each in enumerate(parts)]
                return all(held) if function == "Fn::And" else any(held)
            if function == "Fn::Equals" and len(parts) == 2:
                return self._equal(parts[0], parts[1])
        return self._choose(name)

    def _equal(self, left: Any, right: Any) -> bool:
        left, right = (self._chosen_by(each) for each in (left, right))
        if not names_in([left, right]):
            return bool(left == right)
        if names_in(left) == ():
            left, right = right, left
        about = f"{_shown(left)} = "
        if names_in(right) == () and any(
            chosen and atom.startswith(about) and atom != f"{about}{right}" for atom, chosen in self._choices.items()
        ):
            return False
        return self._choose(f"{about}{_shown(right)}")

    def _chosen_by(self, value: Any) -> Any:
        """A value on which a choice hangs. What may differ from deployment to deployment is open there: a parameter
        even if it has a default, because conditions are made to be chosen, and the place that nobody has said."""
        before, self._is_choosing = self._is_choosing, True
        try:
            return self.resolve(value)
        finally:
            self._is_choosing = before

    def _choose(self, atom: str) -> bool:
        return self._choices.setdefault(atom, True)

    # --- values ---

    def resolve(self, value: Any) -> Any:
        """A value with its functions carried out, and open values where that cannot be done."""
        resolved = self._resolve(value)
        return None if isinstance(resolved, _NoValue) else resolved

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, str):
            return _DYNAMIC.sub(lambda found: self._open(found[0].strip("{}")), value)
        if isinstance(value, list):
            made = [self._resolve(each) for each in value]
            return [each for each in made if not isinstance(each, _NoValue)]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((function, given),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, given)
        fields = {key: self._resolve(each) for key, each in value.items()}
        return {key: each for key, each in fields.items() if not isinstance(each, _NoValue)}

    def _open(self, name: str) -> str:
        return self._values.get(name) or open_value(name)

    def _call(self, function: str, given: Any) -> Any:
        carry_out = _FUNCTIONS.get(function)
        try:
            made = carry_out(self, given) if carry_out else None
        except (AttributeError, LookupError, TypeError, ValueError):  # not what the function takes
            made = None
        return self._open(_called(function, given)) if made is None else made

    def _ref(self, name: Any) -> Any:
        if name in self._values:
            return self._values[name]
        if self._is_choosing and (name in self._parameters or self._is_open_place(name)):
            return open_value(name)
        pseudo = self._pseudo(name)
        if pseudo is not None:
            return pseudo
        if name in self._parameters:
            return self._parameter(name, self._parameters[name])
        if name in self._resources:
            return self._ref_to(name)
        return None

    def _is_open_place(self, name: str) -> bool:
        """True for what is not known of where the stack will be, which a stand-in has the place of."""
        somewhere = {"AWS::AccountId": self._account == ACCOUNT, "AWS::Region": self._region == REGION}
        return somewhere.get(name, name in ("AWS::StackName", "AWS::StackId"))

    def _pseudo(self, name: str) -> Any:
        china = self._partition == "aws-cn"
        return {
            "AWS::AccountId": self._account,
            "AWS::Region": self._region,
            "AWS::Partition": self._partition,
            "AWS::URLSuffix": "amazonaws.com.cn" if china else "amazonaws.com",
            "AWS::StackName": "stack",
            "AWS::StackId": f"arn:{self._partition}:cloudformation:{self._region}:{self._account}:stack/stack/id",
            "AWS::NoValue": _NoValue(),
        }.get(name)

    def _parameter(self, name: str, parameter: Any) -> Any:
        kind = str(parameter.get("Type", "String"))
        if "Default" not in parameter or "AWS::SSM::Parameter::Value" in kind:
            return open_value(name)
        default = parameter["Default"]
        text = default if isinstance(default, str) else json.dumps(default)
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [each.strip() for each in text.split(",")]
        return text

    def _ref_to(self, id_: str) -> Any:
        kind = _type(self._resources[id_])
        if kind == _QUEUE:
            return self.url(id_)
        if kind in _REF_IS_ARN:
            return self._arn_of(id_)
        if kind == "AWS::EC2::EIP":
            return _ONE_ADDRESS
        if kind in _OF_RESOURCES:
            return f"{_OF_RESOURCES[kind]}{narrow(id_)}"
        if kind.startswith(_NOT_OF_AWS) or not kind:
            return None
        return self._name_of(id_)

    def _get_att(self, given: Any) -> Any:
        id_, _, attribute = given.partition(".") if isinstance(given, str) else (given[0], "", given[1])
        if not isinstance(attribute, str):
            return None
        resource = self._resources[id_]
        kind = _type(resource)
        if f"{id_}.{attribute}" in self._values:
            return self._values[f"{id_}.{attribute}"]
        if kind == _QUEUE:
            return {"Arn": self.queue(id_).arn, "QueueName": self.queue(id_).name, "QueueUrl": self.url(id_)}[attribute]
        if kind.startswith(_NOT_OF_AWS) or not kind:
            return None
        if attribute.endswith("Arn"):
            return self._arn_of(id_)
        return self._name_of(id_) if attribute in ("Name", "TopicName", "RoleId") else None

    def _arn_of(self, id_: str) -> str:
        kind = _type(self._resources[id_])
        service = {"Serverless": "lambda", "IAM": "iam", "StepFunctions": "states"}.get(
            kind.split("::")[1], kind.split("::")[1].lower()
        )
        region, account = ("" if service in _NO_REGION else self._region), ("" if service == "s3" else self._account)
        what = {
            "AWS::IAM::Role": "role/",
            "AWS::IAM::User": "user/",
            "AWS::IAM::ManagedPolicy": "policy/",
            "AWS::Events::Rule": "rule/",
            "AWS::KMS::Key": "key/",
            "AWS::Lambda::Function": "function:",
            "AWS::Serverless::Function": "function:",
        }.get(kind, "")
        return f"arn:{self._partition}:{service}:{region}:{account}:{what}{self._name_of(id_)}"

    def _name_of(self, id_: str) -> str:
        """The name that a resource is given, or else its logical id in place of what CloudFormation will make up."""
        given = _properties(self._resources[id_]).get(_NAMES.get(_type(self._resources[id_]), ""))
        if given is None or id_ in self._naming:
            return id_
        self._naming.add(id_)
        before = dict(self._choices)
        try:
            name = self.resolve(given)
        finally:
            self._naming.discard(id_)
            is_chosen = self._choices != before
            self._choices = before
        return narrowed(name) if isinstance(name, str) and not is_chosen else id_

    def _sub(self, given: Any) -> Any:
        text, own = (given, {}) if isinstance(given, str) else (given[0], given[1])

        def value_of(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                value = self.resolve(own[name])
            else:
                value = self.resolve({"Fn::GetAtt": name} if "." in name else {"Ref": name})
            return _plain_text(value)

        return _DYNAMIC.sub(lambda found: self._open(found[0].strip("{}")), _SUBSTITUTED.sub(value_of, text))

    def _join(self, given: Any) -> Any:
        separator, parts = given
        parts = self.resolve(parts)
        return separator.join(map(_plain_text, parts)) if isinstance(parts, list) else None

    def _if(self, given: Any) -> Any:
        name, if_true, if_false = given
        return self._resolve(if_true if self._holds(name) else if_false)

    def _select(self, given: Any) -> Any:
        index, of = self.resolve(given[0]), self.resolve(given[1])
        return of[int(index)] if isinstance(of, list) and int(index) >= 0 else None

    def _split(self, given: Any) -> Any:
        text = self.resolve(given[1])
        return None if names_in(text) else text.split(given[0])

    def _find_in_map(self, given: Any) -> Any:
        name, first, second = (self._key_of_map(each) for each in given[:3])
        if names_in([name, first, second]):
            return None
        found = self._mappings[name]
        if len(given) > 3 and (first not in found or second not in found[first]):
            return self._resolve(given[3]["DefaultValue"])
        return found[first][second]

    def _key_of_map(self, value: Any) -> Any:
        """A key of a mapping, open where it is the place that nobody has said."""
        if isinstance(value, Mapping) and self._is_open_place(value.get("Ref", "")):
            return open_value(value["Ref"])
        return self.resolve(value)

    def _base64(self, given: Any) -> Any:
        text = self.resolve(given)
        return None if names_in(text) else base64.b64encode(text.encode()).decode()

    def _to_json(self, given: Any) -> Any:
        return json.dumps(self.resolve(given), ensure_ascii=False)

    # --- queues ---

    def queue(self, id_: str) -> Queue:
        """A queue of the template."""
        return queue_named(self._name_of(id_), account=self._account, region=self._region, partition=self._partition)

    def url(self, id_: str) -> str:
        """The URL that a queue of the template will have."""
        queue = self.queue(id_)
        return f"https://sqs.{queue.region}.{self._pseudo('AWS::URLSuffix')}/{queue.account}/{queue.name}"

    def id_of(self, url: Any) -> str:
        """The logical id of the queue at a URL; "" for one that is not in the template."""
        return next(
            (id_ for id_, each in self._resources.items() if _type(each) == _QUEUE and self.url(id_) == url), ""
        )

    def queue_at(self, url: Any) -> Queue:
        """A queue that is not in the template."""
        match = _QUEUE_URL.fullmatch(url) if isinstance(url, str) else None
        if match is None:
            return Queue("", self._partition, self._region, "", "")
        return Queue("", self._partition, self._region, match[1], match[2])

    def settings(self, id_: str) -> tuple[Settings, ...]:
        """All ways in which a queue of the template may be set. SQS turns SSE-SQS on where nothing is said."""
        properties = _properties(self._resources[id_])
        key = self._text_of(properties, "KmsMasterKeyId")
        sse = properties.get("SqsManagedSseEnabled")
        managed = self.resolve(sse) if sse is not None else None
        if managed is None:
            managed = not key
        dead_letter = self._dead_letter(properties.get("RedrivePolicy"))
        if is_open(managed):
            self.open_settings += names_in(managed)
            may_be = [True, False]
        else:
            may_be = [str(managed).lower() == "true"]
        keys = [key]
        if is_open(key) and self._may_be_empty(names_in(key)[0]):
            self.open_settings += names_in(key)
            keys.append("")
        manager = self._manager_of(properties.get("KmsMasterKeyId"), key)
        return tuple(
            Settings(sse_sqs and not each, each, manager if each else None, dead_letter)
            for sse_sqs in may_be
            for each in keys
        )

    def _may_be_empty(self, parameter: str) -> bool:
        """True for a parameter that may be given as empty, as no condition excludes here."""
        return parameter in self._parameters and self._choices.get(f"{parameter} = ") is not False

    def _text_of(self, properties: Mapping[str, Any], name: str) -> str:
        value = self.resolve(properties.get(name))
        return "" if value is None else _plain_text(value)

    def _dead_letter(self, given: Any) -> str:
        policy = self.resolve(given)
        if isinstance(policy, str):
            try:
                policy = json.loads(policy)
            except (ValueError, RecursionError):
                return in_words(policy)
        if policy is None:
            return ""
        target = policy.get("deadLetterTargetArn") if isinstance(policy, Mapping) else None
        return in_words(_plain_text(target)) if target is not None else "RedrivePolicy"

    def _manager_of(self, given: Any, key: str) -> KeyManager | None:
        if key == AWS_MANAGED_ALIAS or key.endswith(f":{AWS_MANAGED_ALIAS}"):
            return KeyManager.AWS
        named = given.get("Ref", given.get("Fn::GetAtt")) if isinstance(given, Mapping) else None
        id_ = named[0] if isinstance(named, list) and named else named
        is_own = isinstance(id_, str) and _type(self._resources.get(id_.split(".")[0])).startswith("AWS::KMS::")
        return KeyManager.CUSTOMER if is_own else None


_FUNCTIONS: dict[str, Callable[[_Template, Any], Any]] = {
    "Ref": _Template._ref,
    "Fn::GetAtt": _Template._get_att,
    "Fn::Sub": _Template._sub,
    "Fn::Join": _Template._join,
    "Fn::If": _Template._if,
    "Fn::Select": _Template._select,
    "Fn::Split": _Template._split,
    "Fn::FindInMap": _Template._find_in_map,
    "Fn::Base64": _Template._base64,
    "Fn::ToJsonString": _Template._to_json,
}


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def _plain_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return ",".join(map(_plain_text, value)) if isinstance(value, list) else json.dumps(value)


def _shown(value: Any) -> str:
    """A side of a comparison for people: of an open value the name alone."""
    return names_in(value)[0] if is_open(value) else in_words(_plain_text(value))


def _called(function: str, given: Any) -> str:
    """The name of a value that a function would give: of a Ref the name alone, which `--value` can then say."""
    text = in_words(given) if isinstance(given, str) else json.dumps(given, default=str)
    if function in ("Ref", "Fn::GetAtt"):
        return ".".join(map(str, given)) if isinstance(given, list) else text
    return f"{function.removeprefix('Fn::')} {text}"[:100]
