"""Brute force: every request that a few representative values can make up, judged one by one by the evaluator.

Who may come is written down here once more, from the documentation of AWS and not from the judge's own table, so that a
mistake in the table shows. The same knowledge checks that the judge's witnesses are what they should be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from itertools import combinations, islice, pairwise, product
from types import MappingProxyType
from typing import Any, NamedTuple

from safe_sqs import policy

__all__ = ["World", "is_impossible", "is_insider", "requests"]

Keys = dict[str, tuple[str, ...]]
Network = IPv4Network | IPv6Network

ACTIONS = tuple(
    f"sqs:{name}"
    for name in (
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueUrl",
        "GetQueueAttributes",
        "ListQueues",
        "ListQueueTags",
        "ListDeadLetterSourceQueues",
        "ListMessageMoveTasks",
        "PurgeQueue",
        "SetQueueAttributes",
        "AddPermission",
        "RemovePermission",
        "CreateQueue",
        "DeleteQueue",
        "TagQueue",
        "UntagQueue",
        "StartMessageMoveTask",
        "CancelMessageMoveTask",
    )
)
_PRIVATE = [
    ip_network(block)
    for block in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
    + ("::1/128", "fc00::/7", "fe80::/10")
]
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com")
_SERVICE_NAMES = ("aws:principalservicename", "aws:principalservicenameslist")
_OTHER_SERVICE = "another-service.amazonaws.com"
_QUEUE_ORGANISATION = "o-queueowner"
_STRANGER = "999988887777"
_STRANGE_ORGANISATION = "o-z9z9z9z9z9"
_ORGANISATION = r"o-[a-z0-9]{10,32}"
_ACCOUNTS = ("aws:principalaccount", "aws:vpceaccount", "aws:sourceaccount", "aws:sourceowner")
_ORGANISATIONS = ("aws:principalorgid", "aws:vpceorgid", "aws:sourceorgid")
_PATHS = ("aws:principalorgpaths", "aws:vpceorgpaths", "aws:sourceorgpaths")
_TAGS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")

_IDENTITY = {
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:username",
    "aws:tokenissuetime",
    "aws:multifactorauthpresent",
    "aws:multifactorauthage",
    "aws:sourceidentity",
    "aws:federatedprovider",
    "aws:assumedroot",
}
_ENDPOINT = {
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:vpcsourceip",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
}
_SOURCE = {
    "aws:sourcearn",
    "aws:sourceaccount",
    "aws:sourceowner",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
}
_ALWAYS = {
    "aws:securetransport",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:viaawsservice",
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalisawsservice",
}
_SINGLE = {*_IDENTITY, *_ENDPOINT, *_SOURCE, *_ALWAYS, "aws:sourceip", "aws:userid", "aws:principaltype"} | {
    "aws:referer",
    "aws:useragent",
}
_BOOLEAN = ("aws:securetransport", "aws:viaawsservice", "aws:principalisawsservice", "aws:multifactorauthpresent")
_NUMBERS = ("aws:epochtime", "aws:multifactorauthage")
_MOMENTS = ("aws:currenttime", "aws:tokenissuetime")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
MULTIPLE = frozenset(
    {
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "aws:vpceorgpaths",
    }
)
"""Keys with several values. An operator without ForAllValues or ForAnyValue is in doubt where it would hold."""
_ANONYMOUS = {"aws:principaltype": "Anonymous", "aws:userid": "anonymous", "aws:principalaccount": "anonymous"}
_TYPE = {"role": "AssumedRole", "user": "User", "root": "Account", "federated-user": "FederatedUser"}
_PRINCIPAL = re.compile(
    r"arn:aws:(?:iam|sts)::(\d{12}):(root|user|role|federated-user|assumed-role)(?:/(.+))?", re.DOTALL
)
_FEDERATED = r"[A-Za-z0-9_+=,.@-]+"
_SOURCE_ARN = {
    "sns.amazonaws.com": r"arn:aws:sns:[a-z-]+\d:(\d{12}):[A-Za-z0-9._-]+",
    "s3.amazonaws.com": r"arn:aws:s3:::()[a-z0-9.-]+",
    "events.amazonaws.com": r"arn:aws:events:[a-z-]+\d:(\d{12}):[A-Za-z0-9._/-]+",
    _OTHER_SERVICE: r"arn:aws:(?!(?:s3|sns|events):)[a-z0-9-]+:(?:[a-z-]*\d)?:(\d{12}|):.+",
}


class World(NamedTuple):
    """What a policy and a question say: what the policy asks about, and whom it names."""

    region: str
    account: str
    texts: Mapping[str, tuple[str, ...]]
    """The values that conditions compare each key with, in lower case."""
    sets: frozenset[str]
    """Keys of which a request may have several values: those known for it, and those that a set operator asks about."""
    principals: frozenset[str]
    actions: tuple[str, ...]
    """Of the actions that are tried, those between which the policy may make a difference."""
    named: frozenset[str]
    """The accounts, organisations, VPCs, endpoints, ids and ARNs without account that the policy names, and the
    services that it names in conditions: one that is a Principal of one statement is an outsider's for all others."""
    blocks: tuple[Network, ...]
    """The blocks of addresses that it names."""
    inside: frozenset[str] | None = None
    """The VPCs and endpoints that count as inside, where it is not those that the policy names."""

    @classmethod
    def of(cls, document: Mapping[str, Any], queue_arn: str, trusted_accounts: Iterable[str] = ()) -> World:
        """The world of a policy, which has been parsed from JSON."""
        texts: dict[str, list[str]] = {}
        principals: set[str] = set()
        sets = set(MULTIPLE)
        blocks: list[Network] = []
        for statement in _listed(document["Statement"]):
            principals.update(_principals(statement))
            for operator, lines in statement.get("Condition", {}).items():
                for key, values in lines.items():
                    named = [str(value).lower() if isinstance(value, bool) else str(value) for value in _listed(values)]
                    texts.setdefault(key.lower(), []).extend(named)
                    if operator.lower().startswith("for"):
                        sets.add(key.lower())
                    if key.lower() == "aws:sourceip":
                        blocks += _fixed(named)
            for text in _listed(statement.get("Resource", statement.get("NotResource"))):
                texts.setdefault("", []).append(text)
        everything = [text for values in texts.values() for text in values]
        for text in everything:
            for variable in re.findall(r"\$\{\s*([^{},]{2,}?)\s*[,}]", text):
                texts.setdefault(variable.lower(), [])
        texts.pop("", None)
        _, _, _, region, account, _ = queue_arn.split(":")
        names = {*_named([*principals, *everything]), account, *trusted_accounts, _QUEUE_ORGANISATION}
        names.update(_services_named(text for key in _SERVICE_NAMES for text in texts.get(key, ())))
        return cls(
            region,
            account,
            {key: tuple(dict.fromkeys(values)) for key, values in texts.items()},
            frozenset(sets),
            frozenset(principals),
            tuple(_distinct_actions(_listed(document["Statement"]))),
            frozenset(names),
            tuple(blocks),
        )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _principals(statement: Mapping[str, Any]) -> list[str]:
    named = statement.get("Principal", statement.get("NotPrincipal"))
    if isinstance(named, Mapping):
        return [name for names in named.values() for name in _listed(names)]
    return _listed(named)


def _distinct_actions(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    seen = set()
    patterns = [
        text.lower()
        for statement in statements
        for text in _listed(statement.get("Action", statement.get("NotAction")))
    ]
    for action in ACTIONS:
        same = tuple(
            fnmatchcase(action.lower(), pattern) or fnmatchcase(f"{action.lower()}batch", pattern)
            for pattern in patterns
        )
        if same not in seen:
            seen.add(same)
            yield action


def _named(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (digits for digits in re.findall(r"\d+", text) if len(digits) == 12)
        for word in re.split(r"[^A-Za-z0-9.-]+", text):
            if word.startswith(("o-", "vpc-", "vpce-")):
                yield word
        yield from re.findall(r"\bA(?:ROA|IDA)[A-Z0-9]+(?![A-Z0-9*?])", text)
        parts = text.split(":", 5)
        if len(parts) == 6 and parts[2] == "s3" and not re.search(r"[/*?:]", parts[5]):
            yield f"arn:aws:s3:::{parts[5]}"
        elif len(parts) == 6 and parts[0] == "arn" and parts[4] == "" and "*" not in text and "?" not in text:
            yield text


def _services_named(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (word for word in re.split(r"[^a-z0-9.-]+", text.lower()) if _SERVICE.fullmatch(word))


def _fixed(texts: Iterable[str]) -> Iterator[Network]:
    """Blocks no wider than /8 or /32, after neighbours are merged."""
    blocks = [block for block in map(_network, texts) if block is not None]
    for version, widest in ((4, 8), (6, 32)):
        merged = collapse_addresses([block for block in blocks if block.version == version])  # type: ignore[type-var]
        yield from (block for block in merged if block.prefixlen >= widest)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


# --- is it somebody whom the policy names? ------------------------------------------------------------------------


def is_insider(world: World, request: policy.Request) -> str:
    """Why this request is none of an outsider, or ""."""
    keys = {key.lower(): values for key, values in request.keys.items()}
    for name in _tells(request.principal, keys):
        if name in world.named:
            return f"the policy names {name}"
    address = keys.get("aws:sourceip", ("198.51.100.7",))[0]
    if any(ip_address(address) in block for block in (*_PRIVATE, *world.blocks)):
        return f"{address} is private or named"
    return ""


def comes_from_inside(world: World, keys: Mapping[str, tuple[str, ...]]) -> str:
    """Why a request with these keys, in lower case, comes through a VPC or an endpoint that counts as inside, or ""."""
    endpoint = {key: values for key, values in keys.items() if key in _ENDPOINT}
    inside = world.named if world.inside is None else world.inside
    return next((f"{name} is inside" for name in _tells("", endpoint) if name in inside), "")


def _tells(principal: str, keys: Keys) -> Iterator[str]:
    """What a request tells about who stands behind it."""
    yield principal
    for key in (*_ACCOUNTS, *_ORGANISATIONS, "aws:sourcevpc", "aws:sourcevpce"):
        yield from keys.get(key, ())
    yield from keys.get("aws:sourcearn", ())
    for text in (principal, *keys.get("aws:sourcearn", ()), *keys.get("aws:sourcevpcarn", ())):
        parts = text.split(":", 5)
        if len(parts) == 6:
            yield parts[4]
    for key in _PATHS:
        yield from (path.partition("/")[0] for path in keys.get(key, ()))
    yield from (vpc.rpartition("/")[2] for vpc in keys.get("aws:sourcevpcarn", ()))
    yield from (name.partition(":")[0] for name in keys.get("aws:userid", ()))


# --- can there be such a request? ---------------------------------------------------------------------------------


def is_impossible(world: World, request: policy.Request) -> str:
    """Why nobody at all can make this request, or ""."""
    keys = {key.lower(): values for key, values in request.keys.items()}
    for key, values in keys.items():
        if len(values) != 1 and (not values or key in _SINGLE or key.startswith(_TAGS)):
            return f"{len(values)} values of {key}"
    given = {"aws:resourceaccount": world.account, "aws:requestedregion": world.region}
    for key, value in given.items():
        if keys.get(key, (value,)) != (value,):
            return f"{key} is {keys[key]}"
    for key in {*_NUMBERS, *_MOMENTS} & set(keys):
        if (_NUMBER.fullmatch(keys[key][0]) is None) is (key in _NUMBERS) or _seconds(keys[key][0]) is None:
            return f"{key} is {keys[key]}"
    for key in _BOOLEAN:
        if keys.get(key, ("true",))[0] not in ("true", "false"):
            return f"{key} is {keys[key]}"
    for key, paths in zip(_ORGANISATIONS, _PATHS, strict=True):
        organisation, path = (
            keys.get(key, (_STRANGE_ORGANISATION,))[0],
            keys.get(paths, (f"{_STRANGE_ORGANISATION}/x",))[0],
        )
        if not re.fullmatch(_ORGANISATION, organisation) or not re.fullmatch(f"{_ORGANISATION}/.+", path):
            return f"no organisation: {organisation}, {path}"
        if key in keys and paths in keys and not path.startswith(f"{organisation}/"):
            return f"{path} is not in {organisation}"
    if request.principal.endswith(".amazonaws.com"):
        return _no_service(request.principal, keys)
    return _no_caller(request.principal, keys)


def _no_caller(principal: str, keys: Keys) -> str:
    if keys.get("aws:principalisawsservice", ("false",)) != ("false",) or set(keys) & _SOURCE:
        return "a caller that is a service"
    if principal == "anonymous" and ("aws:principalisawsservice" in keys or _is_forwarded(keys)):
        return "an anonymous caller with a key of those that sign"
    if set(keys) & _ENDPOINT and "aws:sourceip" in keys:
        return "an internet address and a VPC endpoint"
    if principal == "anonymous":
        if any(key in _IDENTITY - set(_ANONYMOUS) or key.startswith("aws:principaltag/") for key in keys):
            return "an anonymous caller with an identity"
        return next((key for key, value in _ANONYMOUS.items() if keys.get(key, (value,)) != (value,)), "")
    match = _PRINCIPAL.fullmatch(principal)
    if match is None or (match[2] == "root") is not (match[3] is None):
        return f"no principal: {principal}"
    account, kind, name = match[1], match[2], match[3]
    if kind == "federated-user" and not re.fullmatch(_FEDERATED, name):
        return f"no federated user: {name}"
    user_id = {"role": r"AROA[A-Z0-9]+:.+", "user": r"AIDA[A-Z0-9]+", "root": account}
    arn = principal
    if kind == "assumed-role":
        arn, kind = f"arn:aws:iam::{account}:role/{name.split('/')[0]}", "role"
    expected = {"aws:principalarn": arn, "aws:principalaccount": account, "aws:principaltype": _TYPE[kind]}
    if kind == "user":
        expected["aws:username"] = name
    elif "aws:username" in keys:
        return f"{principal} with a user name"
    for key, value in expected.items():
        if keys.get(key, (value,)) != (value,):
            return f"{key} is {keys[key]} for {principal}"
    if "aws:userid" in keys and not re.fullmatch(
        user_id.get(kind, re.escape(f"{account}:{name}")), keys["aws:userid"][0], re.DOTALL
    ):
        return f"{principal} with aws:userid {keys['aws:userid']}"
    if kind == "root" and any(key.startswith("aws:principaltag/") for key in keys):
        return "a root user with tags"
    return ""


def _is_forwarded(keys: Keys) -> bool:
    return keys.get("aws:viaawsservice", ("false",)) != ("false",)


def _no_service(principal: str, keys: Keys) -> str:
    if set(keys) & (_IDENTITY | _ENDPOINT | {"aws:principaltype", "aws:userid"}):
        return "a service with an identity or an endpoint"
    for key in _SERVICE_NAMES:
        if keys.get(key, (principal,)) != (principal,):
            return f"{principal} with {key} {keys[key]}"
    if keys.get("aws:principalisawsservice", ("true",)) != ("true",) or _is_forwarded(keys):
        return "a service that is none, or that acts with the credentials of others"
    accounts = {keys[key][0] for key in ("aws:sourceaccount", "aws:sourceowner") if key in keys}
    arn = keys.get("aws:sourcearn")
    if arn:
        match = re.fullmatch(_SOURCE_ARN.get(principal, _SOURCE_ARN[_OTHER_SERVICE]), arn[0], re.DOTALL)
        if match is None:
            return f"{principal} acts for {arn}"
        accounts |= {match[1]} - {""}
    if len(accounts) > 1 or not all(re.fullmatch(r"\d{12}", account) for account in accounts):
        return f"a source in the accounts {accounts}"
    return ""


# --- all requests -------------------------------------------------------------------------------------------------


def requests(
    world: World, queue_arn: str, *, outsiders: bool, settled: Mapping[str, str] = MappingProxyType({})
) -> Iterator[policy.Request]:
    """The requests that representative values make up: those of outsiders only, or of anyone at all.

    `settled` has keys, in lower case, that have one value in all of them.
    """
    asked = {*world.texts}
    if world.principals - {"*"}:
        asked.add(_WHO)
    for parts in _callers(world, outsiders=outsiders):
        columns = [_distinct(part, asked) for part in parts]
        for choice in islice(product(*columns), _MANY):
            keys = {key: values for part in choice for key, values in part.items()}
            principal = keys.pop(_WHO)[0]
            keys.update({key: (value,) for key, value in settled.items()})
            for action in world.actions:
                yield policy.Request(principal, action, queue_arn, keys)


_WHO = "\0principal"
_BOTH = ("true", "false")
_MANY = 3_000
_MOST = 14
_RESOURCES = ("x", "a:x", "red")
Part = list[Keys]


def _distinct(part: Iterable[Keys], asked: set[str]) -> Part:
    """The keys that the policy asks about; of those that are the same, one."""
    found: dict[tuple[tuple[str, tuple[str, ...]], ...], Keys] = {}
    for keys in part:
        kept = {key: values for key, values in keys.items() if key in asked}
        who = {_WHO: keys[_WHO]} if _WHO in keys else {}
        found.setdefault(tuple(sorted(kept.items())), {**kept, **who})
    return list(found.values())


def _callers(world: World, *, outsiders: bool) -> Iterator[list[Part]]:
    """Each kind of caller, as columns of keys of which a request has one row each."""
    always = _in_any_case(world)
    direct = [*always, [{"aws:principalisawsservice": ("false",)}], [{"aws:viaawsservice": (text,)} for text in _BOTH]]
    always.append([{"aws:viaawsservice": ("false",)}])
    internet = [{"aws:sourceip": (address,)} for address in _addresses(world, outsiders=outsiders)]
    endpoint = _of_endpoint(world, outsiders=outsiders)
    nobody = {_WHO: ("anonymous",), **{key: (value,) for key, value in _ANONYMOUS.items()}}
    for network in (internet, endpoint):
        yield [network, [nobody], *always]
        for kind in _TYPE:
            identities = list(_identities(world, kind, outsiders=outsiders))
            tags = [] if kind == "root" else _free(world, _belongs_to_identity)
            yield [
                network,
                identities,
                _of_ids(world, kind, outsiders=outsiders),
                *_signed(world, outsiders),
                *tags,
                *direct,
            ]
    for service in _services(world, outsiders=outsiders):
        sources = list(_of_source(world, service, outsiders=outsiders))
        yield [sources, [{}, *internet], *_organisation(world, "source", outsiders), *always]


def _may(world: World, text: str, outsiders: bool) -> bool:
    return not (outsiders and text in world.named)


def _in_any_case(world: World) -> list[Part]:
    parts: list[Part] = [[{"aws:securetransport": (text,)} for text in _BOTH]]
    parts.append([{"aws:requestedregion": (world.region,), "aws:resourceaccount": (world.account,)}])
    parts += [[{key: (text,)} for text in _measures(world, key)] for key in ("aws:currenttime", "aws:epochtime")]
    queue_organisations = {_QUEUE_ORGANISATION, *(name for name in world.named if name.startswith("o-"))}
    parts.append([{}, *({"aws:resourceorgid": (name,)} for name in sorted(queue_organisations))])
    return parts + _free(world, lambda key: not _belongs_to_identity(key) and key not in _KNOWN)


_KNOWN = {*_IDENTITY, *_ENDPOINT, *_SOURCE, *_ALWAYS, "aws:sourceip", "aws:userid", "aws:principaltype"} | {
    "aws:resourceorgid"
}


def _belongs_to_identity(key: str) -> bool:
    settled = ("aws:principalarn", "aws:principalaccount", "aws:username")
    return key.startswith("aws:principaltag/") or (
        key in _IDENTITY and key not in settled and key not in _ORGANISATIONS and key not in _PATHS
    )


def _free(world: World, wanted: Callable[[str], bool]) -> list[Part]:
    """Keys whose values the caller chooses."""
    parts = []
    for key in filter(wanted, world.texts):
        values = [(value,) for value in _values(world, key)]
        if key in world.sets and key not in _SINGLE and not key.startswith(_TAGS):
            values += list(combinations((value for (value,) in values[:6]), 2))
        parts.append([{}, *({key: value} for value in values)])
    return parts


def _values(world: World, key: str) -> list[str]:
    texts = world.texts[key]
    if key in _BOOLEAN:
        return ["true", "false"]
    if key in (*_NUMBERS, *_MOMENTS):
        return _measures(world, key)
    values = [value for text in texts for value in _instances(world, text)]
    values += [value for text in texts for value in (text.swapcase(), f"{text}x")]
    numbers = sorted({float(text) for text in texts if _NUMBER.fullmatch(text)})
    for number in numbers:
        values += [f"{number:.15g}", f"{number - 1:.15g}", f"{number + 1:.15g}"]
    values += [f"{(low + high) / 2:.15g}" for low, high in pairwise(numbers)]
    return [*dict.fromkeys(["x", *values])][:_MOST] + [""]


def _measures(world: World, key: str) -> list[str]:
    """Numbers or moments at, before, after and between those that the policy names."""
    seconds = {_seconds(text) for text in world.texts.get(key, ())} - {None}
    points = sorted(second for second in seconds if second is not None)
    around = [point + step for point in points for step in (0, -1, 1)]
    around += [(low + high) / 2 for low, high in pairwise(points)]
    around = list(dict.fromkeys(around)) or [1893456000.0]
    if key in _NUMBERS:
        return [f"{point:.15g}" for point in around]
    return [datetime.fromtimestamp(point, timezone.utc).isoformat() for point in around]


def _seconds(text: str) -> float | None:
    try:
        if _NUMBER.fullmatch(text):
            return float(text)
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except ValueError:
        return None


def _instances(world: World, text: str, runs: Iterable[str] = ("", "x", "y:z")) -> Iterator[str]:
    """Some texts that fit a pattern."""
    for written in _without_variables(world, text):
        if "*" not in written and "?" not in written:
            yield written
            continue
        for run in runs:
            yield written.replace("?", "1").replace("*", run)
        yield written.replace("?", "e").replace("*", "1.1")


def _without_variables(world: World, text: str) -> Iterator[str]:
    match = re.search(r"\$\{\s*([^{},]+?)\s*(?:,\s*'([^']*)'\s*)?\}", text)
    if match is None:
        yield text
        return
    others = [value for value in world.texts.get(match[1].lower(), ()) if "$" not in value and "*" not in value]
    for value in dict.fromkeys(["x", _STRANGER, *others, *filter(None, [match[2]])]):
        yield from _without_variables(world, text[: match.start()] + value + text[match.end() :])


def _numbered(text: str) -> Iterator[str]:
    """Account ids that fit a pattern."""
    for digit in "81":
        first, star, rest = text.replace("?", digit).partition("*")
        rest = rest.replace("*", "")
        padded = first + (digit * (12 - len(first) - len(rest)) if star else "") + rest
        if re.fullmatch(r"\d{12}", padded):
            yield padded


def _accounts(world: World, keys: Iterable[str], *, outsiders: bool, principals: Iterable[str] = ()) -> list[str]:
    found = [_STRANGER]
    for text in (*principals, *(text for key in keys for text in world.texts.get(key, ()))):
        parts = text.split(":", 5)
        for written in _without_variables(world, parts[4] if len(parts) == 6 else text):
            found += _numbered(written)
    if not outsiders:
        found += [name for name in sorted(world.named) if name.isdigit()]
    return [account for account in dict.fromkeys(found) if _may(world, account, outsiders)][:_MOST]


def _identities(world: World, kind: str, *, outsiders: bool) -> Iterator[Keys]:
    keys_with_account = ("aws:principalarn", "aws:principalaccount", "aws:userid")
    accounts = _accounts(world, keys_with_account, outsiders=outsiders, principals=sorted(world.principals))
    names = ["x"]
    arns = []
    for text in (*world.texts.get("aws:principalarn", ()), *world.principals):
        _, slash, name = text.rpartition("/")
        names += _instances(world, name) if slash else ()
        for start in (f"arn:aws:iam::{_STRANGER}", "arn:aws:iam", f"aws:iam::{_STRANGER}:role/x"):
            arns += [text.replace("*", start, 1).replace("*", end).replace("?", "8") for end in ("", "x")]
        arns.append(text)
    names += [name for text in world.texts.get("aws:username", ()) for name in _instances(world, text)]
    where = "sts" if kind == "federated-user" else "iam"
    names = list(dict.fromkeys(filter(None, names)))[:_MOST]
    arns += [f"arn:aws:{where}::{account}:{kind}/{name}" for account in accounts for name in names]
    if kind == "root":
        arns += [f"arn:aws:iam::{account}:root" for account in accounts]
    for arn in dict.fromkeys(arns):
        match = _PRINCIPAL.fullmatch(arn)
        if match is None or not _may(world, match[1], outsiders) or (match[2] == "root") is not (match[3] is None):
            continue
        if match[2] not in (kind, "assumed-role" if kind == "role" else kind) or f":{where}:" not in arn.replace(
            ":sts::" + match[1] + ":assumed-role", ":iam:"
        ):
            continue
        if kind == "federated-user" and not re.fullmatch(_FEDERATED, match[3]):
            continue
        session = match[2] == "assumed-role"
        keys = {
            _WHO: arn,
            "aws:principalarn": f"arn:aws:iam::{match[1]}:role/{match[3].split('/')[0]}" if session else arn,
            "aws:principalaccount": match[1],
            "aws:principaltype": _TYPE[kind],
        }
        if kind == "user":
            keys["aws:username"] = match[3]
        if kind in ("root", "federated-user"):
            keys["aws:userid"] = match[1] if kind == "root" else f"{match[1]}:{match[3]}"
        yield {key: (value,) for key, value in keys.items()}


def _of_ids(world: World, kind: str, *, outsiders: bool) -> Part:
    shape = {"role": r"(AROA[A-Z0-9]+):.+", "user": r"(AIDA[A-Z0-9]+)"}.get(kind)
    if shape is None:
        return [{}]
    written = ["AROAX:x", "AIDAX"]
    for text in world.texts.get("aws:userid", ()):
        for run in ("x", "X", "AROAX", "AIDAX", "AROAX:x"):
            written += [
                value.replace("*", run, 1).replace("*", "x").replace("?", "X")
                for value in _without_variables(world, text)
            ]
    matches = (re.fullmatch(shape, value) for value in dict.fromkeys(written))
    return [{"aws:userid": (match[0],)} for match in matches if match and _may(world, match[1], outsiders)]


def _signed(world: World, outsiders: bool) -> list[Part]:
    return _organisation(world, "principal", outsiders)


def _organisation(world: World, whose: str, outsiders: bool) -> list[Part]:
    key, paths_key = f"aws:{whose}orgid", f"aws:{whose}orgpaths"
    organisations, paths = [_STRANGE_ORGANISATION], []
    for name in (key, paths_key):
        for text in world.texts.get(name, ()):
            for value in _instances(
                world, text, ("", "x", "xxxxxxxxxx", _STRANGE_ORGANISATION, f"{_STRANGE_ORGANISATION}/x")
            ):
                organisations.append(value.partition("/")[0])
                paths.append(value)
    if not outsiders:
        organisations += [name for name in sorted(world.named) if name.startswith("o-")]
    part: Part = [{}]
    for organisation in dict.fromkeys(organisations):
        if re.fullmatch(_ORGANISATION, organisation) and _may(world, organisation, outsiders):
            inside = [path for path in paths if re.fullmatch(re.escape(organisation) + "/.+", path)]
            part += [{key: (organisation,), paths_key: (path,)} for path in [f"{organisation}/r-1/", *inside]]
    return [part]


def _addresses(world: World, *, outsiders: bool) -> list[str]:
    found = ["198.51.100.7", "2001:db8::7"]
    for text in world.texts.get("aws:sourceip", ()):
        found += _edges(text)
    found += [str(edge) for block in world.blocks for edge in _edges(str(block))]
    closed = (*_PRIVATE, *world.blocks) if outsiders else _PRIVATE
    return [text for text in dict.fromkeys(found) if not any(ip_address(text) in block for block in closed)][:40]


def _edges(text: str) -> Iterator[str]:
    """The first and the last address of a block, and those beside it."""
    block = _network(text)
    if block is None:
        return
    kind = type(block.network_address)
    for number in (int(block[0]), int(block[0]) - 1, int(block[-1]), int(block[-1]) + 1):
        if 0 <= number < 2**block.max_prefixlen:
            yield str(kind(number))


def _of_endpoint(world: World, *, outsiders: bool) -> Part:
    def ids(key: str, fresh: str) -> list[str]:
        found = [
            fresh,
            *(value for text in world.texts.get(key, ()) for value in _instances(world, text, ("x", "", fresh))),
        ]
        shape = fresh.partition("-")[0] + r"-[a-z0-9]+"
        kept = [name for name in dict.fromkeys(found) if re.fullmatch(shape, name) and _may(world, name, outsiders)]
        return kept[:_MOST]

    addresses = [edge for text in world.texts.get("aws:vpcsourceip", ()) for edge in _edges(text)]
    columns: list[Part] = [
        [
            {"aws:sourcevpc": (vpc,), **more}
            for vpc in ids("aws:sourcevpc", "vpc-9z")
            for account in _accounts(world, ("aws:vpceaccount",), outsiders=outsiders)
            for arn in [{"aws:sourcevpcarn": (f"arn:aws:ec2:{world.region}:{account}:vpc/{vpc}",)}]
            for more in ({}, arn, {"aws:vpceaccount": (account,)}, {"aws:vpceaccount": (account,), **arn})
        ],
        [{"aws:sourcevpce": (name,)} for name in ids("aws:sourcevpce", "vpce-9z")],
        [{"aws:vpcsourceip": (address,)} for address in dict.fromkeys(["10.9.9.9", "198.51.100.7", *addresses])],
        *_organisation(world, "vpce", outsiders),
    ]
    columns = [_distinct(column, {*world.texts}) for column in columns]
    return [{key: values for row in choice for key, values in row.items()} for choice in product(*columns)]


def _services(world: World, *, outsiders: bool) -> list[str]:
    found = [*_SOURCE_ARN]
    for key in _SERVICE_NAMES:
        found += [
            value
            for text in world.texts.get(key, ())
            for value in _instances(world, text, ("x", "sns", "x.amazonaws.com"))
        ]
    found += [] if outsiders else sorted({*world.named, *world.principals})
    services = (service for service in dict.fromkeys(found) if _SERVICE.fullmatch(service))
    return [service for service in services if _may(world, service, outsiders)]


def _of_source(world: World, service: str, *, outsiders: bool) -> Iterator[Keys]:
    given = {
        _WHO: (service,),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (service,),
        "aws:principalservicenameslist": (service,),
    }
    accounts = _accounts(world, ("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner"), outsiders=outsiders)
    arns = []
    for account in accounts:
        arns += [f"arn:aws:{name}:us-east-1:{account}:{rest}" for name in ("sns", "lambda") for rest in _RESOURCES]
        arns += [f"arn:aws:events:us-east-1:{account}:rule/x", "arn:aws:s3:::x", f"arn:aws:s3:::x-{account}"]
    for text in world.texts.get("aws:sourcearn", ()):
        arns += _arns(world, text, accounts)
    for arn in [None, *dict.fromkeys(arns)]:
        of_arn = accounts
        if arn is not None:
            match = re.fullmatch(_SOURCE_ARN.get(service, _SOURCE_ARN[_OTHER_SERVICE]), arn)
            if match is None or not _may(world, match[1], outsiders) or not _may(world, arn, outsiders):
                continue
            of_arn = [match[1]] if match[1] else accounts
        named = {} if arn is None else {"aws:sourcearn": (arn,)}
        yield {**given, **named}
        for account in of_arn:
            yield {**given, **named, "aws:sourceaccount": (account,)}
            yield {**given, **named, "aws:sourceowner": (account,)}
            yield {**given, **named, "aws:sourceaccount": (account,), "aws:sourceowner": (account,)}


def _arns(world: World, text: str, accounts: Iterable[str]) -> Iterator[str]:
    """ARNs of sources that fit a pattern."""
    for written in _without_variables(world, text):
        parts = written.split(":", 5)
        if len(parts) == 6 and "*" not in written.partition(":")[0]:
            services = ("sns", "s3", "events", "lambda") if "*" in parts[2] or "?" in parts[2] else (parts[2],)
            regions = ("us-east-1", "") if parts[3] == "*" else (parts[3].replace("?", "e").replace("*", "1"),)
            numbers = [*accounts, ""] if parts[4] == "*" else [*_numbered(parts[4]), parts[4]]
            for service, region, number in product(services, regions, numbers):
                for rest in (parts[5], *_instances(world, parts[5])):
                    yield f"arn:aws:{service}:{region}:{number}:{rest}"
        if "*" in written:
            for start in (f"arn:aws:lambda:us-east-1:{_STRANGER}:x", f"aws:lambda:us-east-1:{_STRANGER}:x"):
                for end in ("", "x", "y:z"):
                    yield written.replace("*", start, 1).replace("*", end).replace("?", "1")
