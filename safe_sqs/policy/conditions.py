"""Whether a line of a Condition block holds for a request.

Source: "Condition operators" and "Conditions with multiple context keys or values" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from safe_sqs.policy.document import Condition
from safe_sqs.policy.operators import Compared, Over, fits, read_request_value, read_value
from safe_sqs.policy.texts import Pattern, by_part, has_six_parts, substitute

__all__ = ["MULTIVALUED", "Keys", "holds", "wanted_by"]

MULTIVALUED = frozenset(
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
"""Keys with several values. They require a set operator: without one, a line that would hold is in doubt."""

Keys = Mapping[str, tuple[str, ...]]
"""The condition keys of a request, in lower case, with their values."""


def holds(condition: Condition, keys: Keys) -> bool | None:
    """Whether a line holds for a request with these keys. None: in doubt."""
    operator = condition.operator
    if condition.doubtful:
        return None
    values = keys.get(condition.key, ())
    if operator.over is not Over.PLAIN or operator.compared is Compared.PRESENCE:
        values = tuple(filter(None, values))  # an empty text is no value to those
    if operator.compared is Compared.PRESENCE and operator.over is not Over.PLAIN:
        return operator.over is Over.ALL
    if operator.compared is Compared.PRESENCE:
        return any((not values) is read_value(operator.compared, text, False) for text in condition.values)
    if not values and operator.over is Over.ANY and operator.if_exists:
        return None  # the reference says both of the two
    if not values:
        return operator.if_exists or operator.over is Over.ALL or (operator.negated and operator.over is Over.PLAIN)
    wanted = list(wanted_by(condition, keys))
    if operator.compared is Compared.ARN and not all(map(has_six_parts, wanted)):
        return None
    fitting = [_fits_any(condition, wanted, value) for value in values]
    if operator.over is Over.PLAIN:
        held = any(fitting) is not operator.negated
        return None if held and condition.key in MULTIVALUED else held
    each = [fit is not operator.negated for fit in fitting]
    return all(each) if operator.over is Over.ALL else any(each)


def wanted_by(condition: Condition, keys: Keys) -> Iterable[Any]:
    """The values of a line as its operator reads them, with variables replaced. One without a value is left out."""
    compared = condition.operator.compared
    for text in condition.values:
        wanted = read_value(compared, text, condition.variables)
        if compared.is_text and wanted.variables:
            wanted = _replaced(wanted, compared, keys)
        if wanted is not None:
            yield wanted


def _replaced(pattern: Pattern, compared: Compared, keys: Keys) -> Pattern | None:
    def value_of(key: str) -> str | None:
        values = keys.get(key, ())
        if len(values) != 1:
            return None
        return values[0].lower() if compared is Compared.TEXT_WITHOUT_CASE else values[0]

    replaced = substitute(pattern, value_of)
    return by_part(replaced) if replaced is not None and compared is Compared.ARN else replaced


def _fits_any(condition: Condition, wanted: list[Any], text: str) -> bool:
    value = read_request_value(condition.operator.compared, text)
    return any(fits(condition.operator, entry, value) for entry in wanted)
