"""Findings to AWS Security Hub, by BatchImportFindings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from safe_sqs.fleet.access import Account
from safe_sqs.formats.asff import batches
from safe_sqs.inspection import Trouble

__all__ = ["Failed", "Imported", "clients_of", "import_findings"]

_MOST_EXAMPLES = 20
_RETRIES = 8
"""Security Hub takes ten calls a second from an account and region; botocore waits between its retries."""

_NEXT_STEPS = {
    "InvalidAccessException": "enable Security Hub for this account and region",
    "AccessDeniedException": "allow securityhub:BatchImportFindings to this role",
}

ClientFor = Callable[[str, str], Any]


class Failed(NamedTuple):
    """A finding that Security Hub did not take, and why, in its own words."""

    id: str
    code: str
    message: str


class Imported(NamedTuple):
    """What came of an import. `failed` counts the findings that were not taken; `examples` has the first of them.
    `troubles` are the places where a whole batch was not taken, whose findings are counted in `failed` too."""

    accepted: int
    failed: int
    examples: tuple[Failed, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def clients_of(account: Account) -> ClientFor:
    """Clients for an account that is entered in one way, one for each region."""

    @cache
    def in_region(region: str) -> Any:
        retries = {"mode": "standard", "total_max_attempts": _RETRIES}
        return account.client("securityhub", region, retries=retries)

    return lambda _account, region: in_region(region)


def import_findings(client_for: ClientFor, findings: Iterable[dict[str, Any]]) -> Imported:
    """Send findings, as `safe_sqs.formats.asff` makes them, to Security Hub.

    `client_for` gives the client for an account id and a region; it has to belong to that account. A place that takes
    nothing, because Security Hub is not enabled or the call is not allowed, is a trouble, and is not asked again; the
    other places go on.
    """
    accepted = failed = 0
    examples: list[Failed] = []
    troubles: dict[tuple[str, str], Trouble] = {}
    for batch in batches(findings):
        place = (batch[0]["AwsAccountId"], batch[0]["Resources"][0]["Region"])
        if place in troubles:
            failed += len(batch)
            continue
        try:
            answer = client_for(*place).batch_import_findings(Findings=batch)
        except (ClientError, BotoCoreError) as error:
            failed += len(batch)
            troubles[place] = _trouble(place, error)
            continue
        accepted += answer["SuccessCount"]
        failed += answer["FailedCount"]
        refused = (Failed(each["Id"], each["ErrorCode"], each["ErrorMessage"]) for each in answer["FailedFindings"])
        examples += refused
        del examples[_MOST_EXAMPLES:]
    return Imported(accepted, failed, tuple(examples), tuple(troubles.values()))


def _trouble(place: tuple[str, str], error: Exception) -> Trouble:
    account, region = place
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    next_step = _NEXT_STEPS.get(code, "try again; if it stays so, look at Security Hub in that account and region")
    return Trouble(f"Security Hub of {account} in {region}", f"the findings were not taken: {code}", next_step)
