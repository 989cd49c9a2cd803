"""What a policy says of one request: the evaluator.

Sources: "Policy evaluation logic", "Principal", "NotPrincipal", "Action" and "Resource" in the IAM user guide, and
"Amazon SQS API permissions" in the Amazon SQS developer guide.

Where the reference leaves open whether a statement applies, or AWS would refuse the policy (a wildcard inside a
principal's ARN, a value that its operator cannot read), the evaluator takes what lets more in: a doubtful Allow
applies, a doubtful Deny does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from safe_sqs.operations import OPERATIONS, Kind
from safe_sqs.patterns import has_wildcard, matches
from safe_sqs.policy.conditions import Keys, holds
from safe_sqs.policy.document import WITHOUT_TYPE, Document, Statement, parse
from safe_sqs.policy.texts import ARN_COLONS, COLON, Pattern, by_segment, read_pattern, substitute

__all__ = [
    "ACTIONS",
    "ANONYMOUS",
    "Decision",
    "Request",
    "account_of",
    "action_fits",
    "actions_of",
    "conditions_hold",
    "decide",
    "decide_of",
    "in_lower_case",
    "principal_fits",
    "resource_fits",
    "variable_resource",
]

ANONYMOUS = "anonymous"
"""The principal of a request that nobody signed."""

_SERVICE_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".aws.internal")
_BATCH = "Batch"
_ORDER = (Kind.PRODUCE, Kind.CONSUME, Kind.SETTLE, Kind.READ, Kind.ADMINISTER)
ACTIONS = tuple(
    sorted(
        (operation for operation in OPERATIONS if not operation.endswith(_BATCH)),
        key=lambda operation: _ORDER.index(OPERATIONS[operation]),
    )
)
"""The names of all IAM actions of Amazon SQS, those about messages first. Batch operations have none of their own."""
_BATCH_OF = {
    f"sqs:{name.removesuffix(_BATCH)}".lower(): f"sqs:{name}".lower() for name in OPERATIONS if name.endswith(_BATCH)
}
_SINGLE_OF = {batch: single for single, batch in _BATCH_OF.items()}


class Decision(str, Enum):
    """What a policy says of a request. NO_MATCH: nothing, so that another policy decides."""

    ALLOW = "allow"
    DENY = "deny"
    NO_MATCH = "no match"


class Request(NamedTuple):
    """One request, as a policy sees it.

    `principal` is "anonymous", an ARN, or the name of a service such as sns.amazonaws.com; `action` is an IAM action or
    an operation, such as sqs:SendMessage; `resource` is the queue's ARN; `keys` has the values of each condition key.
    """

    principal: str
    action: str
    resource: str
    keys: Mapping[str, tuple[str, ...]] = {}


def decide(document: Document, request: Request) -> Decision:
    """What a policy says of a request: an explicit Deny wins, then an Allow.

    Raises PolicyError. Keys that the request does not list are missing in it: none is made up from the principal.
    """
    return decide_of(parse(document), request)


def decide_of(statements: Iterable[Statement], request: Request) -> Decision:
    """`decide`, for statements that have been parsed."""
    keys = in_lower_case(request.keys)
    decision = Decision.NO_MATCH
    for statement in statements:
        if (statement.allows and decision is Decision.ALLOW) or not _applies(statement, request, keys):
            continue
        if not statement.allows:
            return Decision.DENY
        decision = Decision.ALLOW
    return decision


def in_lower_case(keys: Mapping[str, tuple[str, ...]]) -> Keys:
    """The keys of a request in lower case. A value alone counts as the only one."""
    return {key.lower(): (values,) if isinstance(values, str) else tuple(values) for key, values in keys.items()}


def _applies(statement: Statement, request: Request, keys: Keys) -> bool:
    return (
        action_fits(statement, request.action)
        and principal_fits(statement, request.principal)
        and resource_fits(statement, request.resource, keys)
        and conditions_hold(statement, keys)
    )


def conditions_hold(statement: Statement, keys: Keys) -> bool:
    """True when every line of the statement's conditions holds; a doubtful one holds in an Allow."""
    for condition in statement.conditions:
        held = holds(condition, keys)
        if not (statement.allows if held is None else held):
            return False
    return True


def action_fits(statement: Statement, action: str) -> bool:
    """True when the statement is about this action. The batch operations are judged as their single ones."""
    action = action.lower()
    if not statement.actions:
        return statement.allows and statement.actions_negated
    doubt = statement.allows is not statement.actions_negated
    return _is_listed(_SINGLE_OF.get(action, action), statement.actions, doubt) is not statement.actions_negated


@lru_cache(maxsize=4096)
def _is_listed(action: str, patterns: tuple[str, ...], doubt: bool) -> bool:
    """True when one of the patterns is the action. One that names a batch operation is in doubt: IAM knows no such
    action."""
    batch = _BATCH_OF.get(action)
    return any(
        matches(pattern, action) or (doubt and batch is not None and matches(pattern, batch)) for pattern in patterns
    )


@lru_cache(maxsize=1024)
def _actions_listed(patterns: tuple[str, ...], doubt: bool) -> frozenset[str]:
    return frozenset(name for name in ACTIONS if _is_listed(f"sqs:{name}".lower(), patterns, doubt))


def actions_of(statement: Statement) -> frozenset[str]:
    """The names of the IAM actions of Amazon SQS that the statement is about."""
    if not statement.actions:
        return frozenset(ACTIONS if statement.allows and statement.actions_negated else ())
    listed = _actions_listed(statement.actions, statement.allows is not statement.actions_negated)
    return frozenset(ACTIONS) - listed if statement.actions_negated else listed


def resource_fits(statement: Statement, resource: str, keys: Keys) -> bool:
    """True when the statement is about this resource. "" is a queue of unknown ARN: only `*` is about it for sure."""
    if not statement.resources:
        return statement.allows and statement.resources_negated
    doubt = statement.allows is not statement.resources_negated
    listed = any(
        text in ("*", resource)
        or (doubt and not resource)
        or _is_like(text, resource, statement.variables, doubt, keys)
        for text in statement.resources
    )
    return listed is not statement.resources_negated


def _is_like(text: str, resource: str, variables: bool, doubt: bool, keys: Keys) -> bool:
    """True when a pattern of a Resource element is about the resource. In doubt are an ARN that is not complete, a
    wildcard that crosses a colon from within a segment, and a variable that the reference does not allow."""
    if text and resource.startswith(f"{text}:"):
        return doubt
    varied = variables and "${" in text
    if not varied and not has_wildcard(text):
        return False
    pattern = variable_resource(text, doubt) if varied else read_pattern(text, wildcards=True, variables=False)
    if pattern is None:
        return doubt and read_pattern(text, wildcards=True, variables=True) is None
    replaced = substitute(pattern, lambda key: _only(keys.get(key))) if varied else pattern
    return replaced is not None and (replaced if doubt else by_segment(replaced)).fits(resource)


def variable_resource(text: str, doubt: bool) -> Pattern | None:
    """The pattern of a Resource element with policy variables, or None when nothing can be said of it: it is not
    written by the rules, or, unless it counts in doubt, has a variable before the fifth colon, where none is allowed.
    """
    pattern = read_pattern(text, wildcards=True, variables=True)
    if pattern is None or not (doubt or pattern.beginning.count(COLON) >= ARN_COLONS):
        return None
    return pattern


def _only(values: tuple[str, ...] | None) -> str | None:
    return values[0] if values is not None and len(values) == 1 else None


def principal_fits(statement: Statement, principal: str) -> bool:
    """True when the statement is about this principal."""
    if not statement.principals:
        return statement.allows and statement.principals_negated
    doubt = statement.allows is not statement.principals_negated
    named = any(_names(kind, name, principal, doubt) for kind, name in statement.principals)
    return named is not statement.principals_negated


def _names(kind: str, name: str, principal: str, doubt: bool) -> bool:
    if kind == "AWS" and name == "*":
        return True
    if name in ("", "*"):
        return doubt
    if kind in ("AWS", WITHOUT_TYPE):
        certain = kind == "AWS" and not has_wildcard(name)
        return (certain or doubt) and _names_in_aws(name, principal)
    if has_wildcard(name):
        return doubt and matches(name, principal)
    return name == principal and (doubt or kind != "Service" or principal.endswith(_SERVICE_SUFFIXES))


def _names_in_aws(name: str, principal: str) -> bool:
    if not has_wildcard(name):
        is_it = name == principal and (name.startswith("arn:") or name.isalnum()) and name != ANONYMOUS
        return is_it or _is_account(name, principal) or _is_session(name, principal)
    account = account_of(principal)
    return account != "" and any(matches(name, text) for text in _names_of(principal, account))


def _names_of(principal: str, account: str) -> Iterator[str]:
    """The names that a principal of an account has: its own, its account's, and its role's."""
    parts = principal.split(":", 5)
    partition = parts[1] if len(parts) == 6 else "aws"
    yield from (principal, account, f"arn:{partition}:iam::{account}:root")
    if parts[-1].startswith("assumed-role/"):
        yield f"arn:{partition}:iam::{account}:role/{parts[-1].split('/')[1]}"


def account_of(principal: str) -> str:
    """The account of a principal's ARN, or ""."""
    parts = principal.split(":", 5)
    if len(parts) == 6 and parts[2] in ("iam", "sts"):
        return parts[4]
    return principal if len(principal) == 12 and principal.isdigit() else ""


def _is_account(name: str, principal: str) -> bool:
    """An account is named by its id or as its root, and stands for every principal in it."""
    account = account_of(principal)
    if not account:
        return False
    if name == account:
        return True
    parts = name.split(":", 5)
    if parts[-1] != "root" or account_of(name) != account:
        return False
    return principal == account or principal.startswith(f"arn:{parts[1]}:")


def _is_session(name: str, principal: str) -> bool:
    """A role is named by its ARN, and acts through its sessions. A session's ARN leaves out the path of its role."""
    role, session = name.split(":", 5), principal.split(":", 5)
    if len(role) != 6 or len(session) != 6 or role[2] != "iam" or session[2] != "sts":
        return False
    role_path, session_path = role[5].split("/"), session[5].split("/")
    return (
        (role[1], role[4]) == (session[1], session[4])
        and role_path[0] == "role"
        and session_path[0] == "assumed-role"
        and role_path[-1:] == session_path[1:2]
    )
