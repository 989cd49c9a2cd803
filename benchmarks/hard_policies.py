"""Policies that are meant to be hard to judge, within what SQS takes: made at random, and changed at random.

Source of the limits: "Quotas related to policies", Amazon SQS developer guide.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Any, NamedTuple

from typical_policies import QUEUE_ARN, TYPICAL

__all__ = ["Limits", "mutated", "random_policy", "size_of"]

Policy = dict[str, Any]
Statement = dict[str, Any]
Values = list[str]

MOST_BYTES = 8192
MOST_STATEMENTS = 20
MOST_PRINCIPALS = 50
MOST_CONDITIONS = 10
MOST_ACTIONS = 7


class Limits(NamedTuple):
    """The limits of SQS. AWS writes "10 conditions" and not of what, so both are tried: of a policy, and of each
    statement."""

    conditions_are_of_each_statement: bool

    def hold(self, policy: Policy) -> bool:
        statements = policy["Statement"]
        lines = [sum(map(len, statement.get("Condition", {}).values())) for statement in statements]
        most = max(lines, default=0) if self.conditions_are_of_each_statement else sum(lines)
        return (
            0 < len(statements) <= MOST_STATEMENTS
            and most <= MOST_CONDITIONS
            and sum(map(_principals, statements)) <= MOST_PRINCIPALS
            and all(_actions(statement) <= MOST_ACTIONS for statement in statements)
            and size_of(policy) <= MOST_BYTES
        )


def size_of(policy: Policy) -> int:
    """The bytes of the policy without any blanks."""
    return len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False).encode())


def _principals(statement: Statement) -> int:
    names = statement.get("Principal", statement.get("NotPrincipal"))
    if not isinstance(names, dict):
        return 1
    return sum(len(entry) if isinstance(entry, list) else 1 for entry in names.values())


def _actions(statement: Statement) -> int:
    actions = statement.get("Action", statement.get("NotAction"))
    return len(actions) if isinstance(actions, list) else 1


LINKED = ("aws:username", "aws:userid", "aws:PrincipalTag/a", "aws:PrincipalTag/b", "custom:a", "custom:b")
"""Keys that policy variables stand for."""


# --- values ------------------------------------------------------------------------------------------------------


def pattern(rng: Random) -> str:
    return "".join(rng.choices("*?ab", (3, 3, 2, 2), k=rng.randint(2, 40)))


def islands(rng: Random) -> str:
    """Stars between short words: where patterns of this kind meet, their words can come in any order."""
    return "*" + "*".join("".join(rng.choices("abc", k=rng.randint(1, 3))) for _ in range(rng.randint(2, 12))) + "*"


def alphabet(rng: Random) -> str:
    """A pattern with many different letters."""
    letters = rng.sample(ascii_letters + digits, rng.randint(10, 60))
    return rng.choice(("*", "?", "*?")).join(["", *letters, ""])


def long_text(rng: Random) -> str:
    """A text of thousands of letters, or a pattern that nearly fits it everywhere."""
    length = rng.randint(50, 2500)
    return rng.choice(("", "*", "a*", "?")) + "a" * length + rng.choice(("", "b", "*", "*b"))


def word(rng: Random) -> str:
    return "".join(rng.choices("abAB", k=rng.randint(1, 6)))


def block(rng: Random) -> str:
    """Address blocks that lie in each other, and some of IPv6."""
    if rng.random() < 0.15:
        return f"2001:{rng.choice(('db8', 'db9'))}:{rng.randrange(16):x}::/{rng.choice((16, 31, 32, 33, 48, 64))}"
    width = rng.choice((0, 1, 2, 4, 7, 8, 9, 12, 16, 24, 31, 32))
    return f"{rng.choice((0, 1, 52, 128))}.{rng.choice((0, 64, 128))}.{rng.randrange(4)}.{rng.randrange(4)}/{width}"


def address(rng: Random) -> str:
    return ".".join(str(rng.randrange(9)) for _ in range(4))


def variable(rng: Random) -> str:
    inner = rng.choice(
        ("aws:username", "aws:userid", "aws:PrincipalTag/a", "aws:PrincipalTag/b", "custom:a", "custom:b")
    )
    default = rng.choice(("", ", 'ab'"))
    tail = rng.choice(("", "b", "*", "a" * rng.randint(1, 1500)))
    return f"{rng.choice(('', 'a', '*'))}${{{inner}{default}}}{tail}"


def arn(rng: Random) -> str:
    service = rng.choice(("sns", "s3", "events", "*", "s*", "?*", "iam", "sts"))
    account = rng.choice(("*", "111122223333", "4444*", "*6", "????????????", "", "1*2*3"))
    return f"arn:{rng.choice(('aws', '*', 'aws*'))}:{service}:{rng.choice(('*', 'us-*', ''))}:{account}:{islands(rng)}"


def account(rng: Random) -> str:
    return rng.choice(("1", "9")) + "".join(rng.choices("89", k=11))


def some_digits(rng: Random) -> str:
    return "".join(rng.choices("*?0189", (3, 2, 1, 1, 1, 1), k=rng.randint(2, 12)))


def number(rng: Random) -> str:
    return str(rng.randint(-9, 9)) if rng.random() < 0.8 else f"{rng.random():.9f}"


def date(rng: Random) -> str:
    return f"20{rng.randint(10, 40)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T00:00:00Z"


def truth(rng: Random) -> str:
    return rng.choice(("true", "false"))


def organisation(rng: Random) -> str:
    return rng.choice(("o-a1b2c3d4e5", "o-*", "o-a*b*", "o-?1*", f"o-{word(rng).lower()}"))


Maker = Callable[[Random], str]
TEXTS: tuple[Maker, ...] = (pattern, islands, alphabet, long_text, word, variable, arn, account)
TEXT_OPERATORS = (
    "StringLike", "StringNotLike", "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
)  # fmt: skip
ARN_OPERATORS = ("ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals")
NUMBERS = ("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals")
DATES = ("DateEquals", "DateNotEquals", "DateLessThan", "DateGreaterThanEquals")

KINDS: dict[str, tuple[tuple[str, ...], tuple[Maker, ...]]] = {
    "aws:UserAgent": (TEXT_OPERATORS, TEXTS),
    "aws:Referer": (TEXT_OPERATORS, TEXTS),
    "custom:a": (
        (*TEXT_OPERATORS, *NUMBERS, *DATES, "Bool", "IpAddress", "NotIpAddress"),
        (*TEXTS, number, date, block),
    ),
    "custom:b": ((*TEXT_OPERATORS, *ARN_OPERATORS), TEXTS),
    "aws:PrincipalTag/a": (TEXT_OPERATORS, TEXTS),
    "aws:PrincipalTag/b": (TEXT_OPERATORS, TEXTS),
    "aws:TagKeys": (TEXT_OPERATORS, (word, pattern, islands)),
    "aws:PrincipalOrgPaths": (TEXT_OPERATORS, (lambda rng: f"{organisation(rng)}/{islands(rng)}",)),
    "aws:PrincipalOrgID": (TEXT_OPERATORS, (organisation,)),
    "aws:PrincipalArn": ((*ARN_OPERATORS, *TEXT_OPERATORS), (arn, pattern)),
    "aws:PrincipalAccount": (TEXT_OPERATORS, (account, some_digits)),
    "aws:userid": (TEXT_OPERATORS, (islands, pattern, variable)),
    "aws:username": (TEXT_OPERATORS, (islands, pattern, word)),
    "aws:SourceArn": ((*ARN_OPERATORS, *TEXT_OPERATORS), (arn, pattern)),
    "aws:SourceAccount": (TEXT_OPERATORS, (account, some_digits)),
    "aws:SourceIp": (("IpAddress", "NotIpAddress"), (block, block, address)),
    "aws:SourceVpce": (TEXT_OPERATORS, (lambda rng: f"vpce-{some_digits(rng)}",)),
    "aws:SourceVpc": (TEXT_OPERATORS, (lambda rng: f"vpc-{some_digits(rng)}",)),
    "aws:VpcSourceIp": (("IpAddress", "NotIpAddress"), (block, address)),
    "aws:MultiFactorAuthAge": (NUMBERS, (number,)),
    "aws:CurrentTime": (DATES, (date,)),
    "aws:SecureTransport": (("Bool",), (truth,)),
    "aws:ViaAWSService": (("Bool",), (truth,)),
}
ACTIONS = (
    "sqs:*",
    "*",
    "sqs:Send*",
    "sqs:*Message",
    "sqs:Get*",
    "sqs:?e*",
    "sqs:SendMessage",
    "sqs:DeleteQueue",
    "sqs:List*",
)
FREE = (
    "aws:UserAgent",
    "aws:Referer",
    "custom:a",
    "custom:b",
    "aws:PrincipalTag/a",
    "aws:PrincipalTag/b",
    "aws:TagKeys",
)


def _values(rng: Random, makers: Sequence[Maker], most: int) -> str | Values:
    count = rng.choice((1, 1, 1, rng.randint(1, 4), rng.randint(1, most)))
    maker = rng.choice(makers)
    values = [maker(rng) for _ in range(count)]
    return values[0] if count == 1 else list(dict.fromkeys(values))


def _line(rng: Random, key: str | None = None, most: int = 12) -> tuple[str, str, Any]:
    """An operator, a key and its values."""
    key = key or rng.choice(list(KINDS))
    operators, makers = KINDS[key]
    operator = rng.choice(operators)
    chance = rng.random()
    if chance < 0.06:
        return "Null", key, truth(rng)
    if chance < 0.2:
        operator += "IfExists"
    if chance > 0.8:
        operator = f"{rng.choice(('ForAllValues', 'ForAnyValue'))}:{operator}"
    if "Numeric" in operator:
        makers = (number,)
    elif "Date" in operator:
        makers = (date,)
    elif "Bool" in operator:
        makers = (truth,)
    elif "IpAddress" in operator:
        makers = (block, address)
    return operator, key, _values(rng, makers, most)


# --- statements --------------------------------------------------------------------------------------------------


def _statement(rng: Random, effect: str, lines: Sequence[tuple[str, str, Any]]) -> Statement:
    condition: dict[str, dict[str, Any]] = {}
    for operator, key, values in lines:
        condition.setdefault(operator, {})[key] = values
    statement: Statement = {"Effect": effect, "Principal": "*", "Action": "sqs:*", "Resource": QUEUE_ARN}
    if rng.random() < 0.2:
        statement["Action"] = rng.sample(ACTIONS, rng.randint(1, 4))
    if rng.random() < 0.1:
        statement["Resource"] = rng.choice(("*", "arn:aws:sqs:*:*:*", "arn:*:${aws:PrincipalTag/a}:orders"))
    if condition:
        statement["Condition"] = condition
    return statement


def _policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _open(rng: Random, *lines: tuple[str, str, Any]) -> Statement:
    return _statement(rng, "Allow", lines)


def clauses(rng: Random) -> Policy:
    """Denies that are clauses of a formula: each leaves as many ways out as it has lines, and they get in each other's
    way."""
    keys = [f"custom:{name}" for name in "abcdefgh"[: rng.randint(2, 8)]]
    width = rng.randint(2, 10)
    makers = rng.choice(((truth,), (word,), (islands, pattern)))
    operators = (
        "StringLike",
        "StringNotLike",
        "StringLikeIfExists",
        "ForAnyValue:StringLike",
        "ForAllValues:StringLike",
    )

    def clause() -> Iterator[tuple[str, str, Any]]:
        for _ in range(width):
            yield rng.choice(operators), rng.choice(keys), rng.choice(makers)(rng)

    return _policy(_open(rng), *(_statement(rng, "Deny", list(clause())) for _ in range(rng.randint(2, 19))))


def meeting_patterns(rng: Random) -> Policy:
    """One key that has to fit a pattern of each Deny: the walk through the product of them all."""
    key = rng.choice((*FREE, "aws:PrincipalArn", "aws:userid", "aws:SourceArn", "aws:PrincipalAccount"))
    maker = rng.choice((islands, pattern, alphabet, long_text)) if key in FREE else rng.choice(KINDS[key][1])
    operators = rng.choice((("StringNotLike",), ("StringLike",), ("StringNotLike", "StringLike")))
    count = rng.randint(2, 19)
    denies = [_statement(rng, "Deny", [(rng.choice(operators), key, maker(rng))]) for _ in range(count)]
    return _policy(_open(rng), *denies)


def many_values(rng: Random) -> Policy:
    """A few lines with hundreds of values: each look at them takes long."""
    key = rng.choice(list(KINDS))
    maker = rng.choice(KINDS[key][1])
    count = rng.randint(1, 4)
    lengths = [rng.randint(5, 600 // count) for _ in range(count)]
    operators = KINDS[key][0]
    denies = [
        _statement(rng, "Deny", [(rng.choice(operators), key, [maker(rng) for _ in range(length)]), _line(rng)])
        for length in lengths
    ]
    return _policy(_open(rng), *denies)


def nested_blocks(rng: Random) -> Policy:
    """Address blocks in and beside each other, wanted here and unwanted there."""
    key = rng.choice(("aws:SourceIp", "aws:VpcSourceIp", "custom:a"))
    maker = rng.choice((block, address))
    count = rng.randint(1, 19)

    def line() -> tuple[str, str, Any]:
        values = [maker(rng) for _ in range(rng.randint(1, 600 // count))]
        return rng.choice(("IpAddress", "NotIpAddress")), key, values

    return _policy(_open(rng, line()), *(_statement(rng, "Deny", [line()]) for _ in range(count)))


def many_principals(rng: Random) -> Policy:
    """Allows and Denies for many, each but some."""
    statements = []
    for _ in range(rng.randint(2, 12)):
        statement = _statement(rng, rng.choice(("Allow", "Deny")), [_line(rng) for _ in range(rng.randint(0, 3))])
        names = [f"arn:aws:iam::{account(rng)}:{rng.choice(('root', 'role/a', 'user/b', 'role/*'))}" for _ in range(4)]
        del statement["Principal"]
        statement[rng.choice(("Principal", "NotPrincipal"))] = {"AWS": names}
        statements.append(statement)
    return _policy(_open(rng, _line(rng)), *statements)


def known_names(rng: Random) -> Policy:
    """Hundreds of names that are no outsider's, and patterns that lie close to them."""
    key, before, letters, length = rng.choice(
        (
            ("aws:SourceVpce", "vpce-", ascii_lowercase + digits, 6),
            ("aws:SourceVpc", "vpc-", ascii_lowercase + digits, 6),
            ("aws:PrincipalOrgID", "o-", ascii_lowercase + digits, 4),
            ("aws:SourceAccount", "", digits, 12),
            ("aws:PrincipalAccount", "", digits, 12),
            ("aws:userid", "AIDA", ascii_uppercase, 4),
        )
    )
    names = [
        before + "".join(rng.choices(letters[: rng.randint(2, 36)], k=length)) for _ in range(rng.randint(20, 500))
    ]

    def near() -> str:
        name = rng.choice(names)
        at = rng.randrange(len(before), len(name))
        return name[:at] + rng.choice(("*", "?", "?*", "*?")) + name[at + 1 :]

    def line() -> tuple[str, str, Any]:
        return rng.choice(TEXT_OPERATORS), key, [near() for _ in range(rng.randint(1, 20))]

    denies = [_statement(rng, "Deny", [line()]) for _ in range(rng.randint(0, 6))]
    return _policy(_open(rng, ("StringEquals", key, names)), _open(rng, line()), *denies)


def long_texts(rng: Random) -> Policy:
    """A long text that is given, and long patterns that nearly fit it, beginning at each letter."""
    key = rng.choice(FREE)
    count = rng.randint(1, 10)
    length = rng.randint(100, 7000 // (count + 1))
    given = _open(rng, (rng.choice(("StringEquals", "StringLike", "StringEqualsIgnoreCase")), key, "a" * length))
    patterns = [f"*{'a' * rng.randint(length // 4, length)}{rng.choice(('b', '?b', 'b*'))}" for _ in range(count)]
    return _policy(given, *(_statement(rng, "Deny", [("StringLike", key, pattern)]) for pattern in patterns))


def repeated_variables(rng: Random) -> Policy:
    """A long text that is given, and patterns in which one variable stands several times."""
    key, other = rng.sample(FREE, 2)
    text = "a" * rng.randint(10, 1500) + rng.choice(("", "b", "bc"))
    stands = f"${{{other}}}"

    def line() -> tuple[str, str, Any]:
        parts = rng.choices((stands, stands, "*", "a"), k=rng.randint(1, 3))
        return rng.choice(("StringLike", "StringNotLike")), key, "".join([*parts, rng.choice(("", "c", "*", "*b"))])

    given = _open(rng, (rng.choice(("StringEquals", "StringLike")), key, text))
    return _policy(given, *(_statement(rng, "Deny", [line()]) for _ in range(rng.randint(1, 6))))


def many_accounts(rng: Random) -> Policy:
    """Hundreds of accounts by name, as principals or in conditions."""
    names = ["".join(rng.choices(digits, k=12)) for _ in range(rng.randint(20, 450))]
    key = rng.choice(("aws:PrincipalAccount", "aws:SourceAccount", "aws:SourceArn", "aws:PrincipalArn"))
    if key.endswith("Arn"):
        names = [f"arn:aws:{rng.choice(('iam', 'sns'))}::{name}:*" for name in names]
    operator = rng.choice(("ArnLike", "StringLike") if key.endswith("Arn") else ("StringEquals", "StringLike"))
    several = [_statement(rng, rng.choice(("Allow", "Deny")), [_line(rng)]) for _ in range(rng.randint(0, 10))]
    for statement in several:
        if rng.random() < 0.5:
            statement["Principal"] = {"AWS": [account(rng) for _ in range(4)]}
    return _policy(_open(rng, (operator, key, names)), *several)


def many_keys(rng: Random) -> Policy:
    """Many principals and many keys: each look at what a caller may choose takes long."""
    numbers = iter(range(1000))

    def lines() -> list[tuple[str, str, Any]]:
        return [(rng.choice(TEXT_OPERATORS), f"k:{next(numbers)}", word(rng)) for _ in range(rng.randint(1, 10))]

    names = [account(rng) for _ in range(rng.randint(1, 45))]
    denies = [_statement(rng, "Deny", lines()) for _ in range(rng.randint(1, 17))]
    exception = _statement(rng, "Deny", lines())
    del exception["Principal"]
    exception["NotPrincipal"] = {"AWS": names}
    return _policy(_open(rng, *lines()[:2]), exception, *denies)


def many_ways_to_mend(rng: Random) -> Policy:
    """Several statements that are public for more than one reason, so that no small change closes them."""
    allows = [_open(rng, *(_lax_line(rng) for _ in range(rng.randint(1, 10)))) for _ in range(rng.randint(1, 15))]
    return _policy(*allows, *clauses(rng)["Statement"][1:10])


def _lax_line(rng: Random) -> tuple[str, str, Any]:
    operator, key, values = rng.choice(("StringEquals", "StringLike")), f"k:{rng.randrange(50)}", islands(rng)
    return rng.choice((f"{operator}IfExists", f"ForAllValues:{operator}")), key, values


def linked_keys(rng: Random) -> Policy:
    """Keys that are compared with each other, by policy variables."""

    def line() -> tuple[str, str, Any]:
        return rng.choice(TEXT_OPERATORS), rng.choice(LINKED), [variable(rng) for _ in range(rng.randint(1, 3))]

    count = rng.randint(1, 19)
    return _policy(
        _open(rng, line()), *(_statement(rng, "Deny", [line() for _ in range(rng.randint(1, 3))]) for _ in range(count))
    )


def anything(rng: Random) -> Policy:
    def statement() -> Statement:
        effect = rng.choice(("Allow", "Deny", "Deny", "Deny"))
        return _statement(rng, effect, [_line(rng) for _ in range(rng.randint(0, 10))])

    return _policy(_open(rng, _line(rng)), *(statement() for _ in range(rng.randint(1, 19))))


def typical(rng: Random) -> Policy:
    return copy.deepcopy(rng.choice(list(TYPICAL.values())))


FAMILIES = (
    clauses, meeting_patterns, many_values, nested_blocks, many_principals, known_names, long_texts, many_accounts,
    many_keys, many_ways_to_mend, linked_keys, repeated_variables, anything, typical,
)  # fmt: skip


def random_policy(rng: Random, limits: Limits, number: int) -> Policy:
    """A policy of one of the families, which take turns by the number, cut down to the limits."""
    return _cut(FAMILIES[number % len(FAMILIES)](rng), rng, limits)


def _cut(policy: Policy, rng: Random, limits: Limits) -> Policy:
    """Take away at random what is too much."""
    while not limits.hold(policy):
        statement = rng.choice(policy["Statement"])
        lists = [
            values for keys in statement.get("Condition", {}).values() for values in keys.values()
            if isinstance(values, list) and len(values) > 1
        ]  # fmt: skip
        if lists:
            longest = max(lists, key=len)
            del longest[rng.randrange(len(longest)) :: 3]
            longest[:] = longest or ["a"]
        elif len(policy["Statement"]) > 1:
            policy["Statement"].remove(statement)
        else:
            return _policy(_open(rng))
    return policy


# --- changes -----------------------------------------------------------------------------------------------------


def mutated(policy: Policy, other: Policy, rng: Random, limits: Limits) -> Policy:
    """The policy with some changes; `other` may give it a statement."""
    changed = copy.deepcopy(policy)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(CHANGES)(changed, other, rng)
    return _cut(changed, rng, limits)


def _add_statement(policy: Policy, other: Policy, rng: Random) -> None:
    policy["Statement"].append(copy.deepcopy(rng.choice(other["Statement"])))


def _repeat_statement(policy: Policy, _other: Policy, rng: Random) -> None:
    policy["Statement"].append(copy.deepcopy(rng.choice(policy["Statement"])))
    _change_value(policy, _other, rng)


def _remove_statement(policy: Policy, _other: Policy, rng: Random) -> None:
    if len(policy["Statement"]) > 1:
        policy["Statement"].pop(rng.randrange(len(policy["Statement"])))


def _add_line(policy: Policy, _other: Policy, rng: Random) -> None:
    statement = rng.choice(policy["Statement"])
    used = [key for keys in statement.get("Condition", {}).values() for key in keys if key in KINDS]
    operator, key, values = _line(rng, rng.choice(used) if used and rng.random() < 0.7 else None, 40)
    statement.setdefault("Condition", {}).setdefault(operator, {})[key] = values


def _remove_line(policy: Policy, _other: Policy, rng: Random) -> None:
    keys = _some_line(policy, rng)
    if keys:
        keys.pop(rng.choice(list(keys)))


def _change_operator(policy: Policy, _other: Policy, rng: Random) -> None:
    condition = rng.choice(policy["Statement"]).get("Condition", {})
    if condition:
        keys = condition.pop(rng.choice(list(condition)))
        for key, values in keys.items():
            condition.setdefault(_line(rng, key)[0] if key in KINDS else "StringLike", {})[key] = values


def _change_value(policy: Policy, _other: Policy, rng: Random) -> None:
    keys = _some_line(policy, rng)
    if not keys:
        return
    key = rng.choice(list(keys))
    values = keys[key] if isinstance(keys[key], list) else [keys[key]]
    chance = rng.random()
    makers = KINDS[key][1] if key in KINDS else (islands, pattern, word)
    if chance < 0.3:
        values = [*values, *(rng.choice(makers)(rng) for _ in range(rng.choice((1, 3, len(values)))))]
    elif chance < 0.6:
        values[rng.randrange(len(values))] = rng.choice(makers)(rng)
    else:
        at = rng.randrange(len(values))
        text = str(values[at])
        place = rng.randint(0, len(text))
        values[at] = text[:place] + rng.choice(("*", "?", "a", "b", "*a", text)) + text[place + rng.randint(0, 1) :]
    keys[key] = values[0] if len(values) == 1 else values


def _change_element(policy: Policy, _other: Policy, rng: Random) -> None:
    statement = rng.choice(policy["Statement"])
    chance = rng.random()
    if chance < 0.4:
        statement["Effect"] = rng.choice(("Allow", "Deny"))
    elif chance < 0.7:
        statement.pop("Action", statement.pop("NotAction", None))
        statement[rng.choice(("Action", "NotAction"))] = rng.sample(ACTIONS, rng.randint(1, MOST_ACTIONS))
    else:
        statement.pop("Principal", None)
        statement.pop("NotPrincipal", None)
        names = [f"arn:aws:iam::{account(rng)}:{rng.choice(('root', 'role/a*', 'user/b'))}" for _ in range(3)]
        key = rng.choice(("Principal", "Principal", "NotPrincipal"))
        statement[key] = {"AWS": names} if key == "NotPrincipal" or rng.random() < 0.3 else "*"


def _some_line(policy: Policy, rng: Random) -> dict[str, Any] | None:
    conditions = [keys for statement in policy["Statement"] for keys in statement.get("Condition", {}).values() if keys]
    return rng.choice(conditions) if conditions else None


CHANGES = (
    _add_statement, _repeat_statement, _repeat_statement, _remove_statement, _add_line, _add_line, _remove_line,
    _change_operator, _change_value, _change_value, _change_value, _change_element,
)  # fmt: skip
