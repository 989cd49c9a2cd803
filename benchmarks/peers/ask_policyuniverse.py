"""policyuniverse: the question that Security Monkey, Repokid and Checkov ask it, `Policy.is_internet_accessible()`."""

from __future__ import annotations

import json
from importlib.metadata import version

from adapter import Case, serve
from policyuniverse.policy import Policy


def is_public(case: Case) -> bool:
    return bool(case.policy) and Policy(json.loads(case.policy)).is_internet_accessible()


if __name__ == "__main__":
    serve(version("policyuniverse"), {"policyuniverse": is_public})
