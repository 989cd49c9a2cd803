"""Prowler: its check sqs_queues_not_publicly_accessible, which finds the queues in a service object. The real one asks
AWS for them when it is imported; a plain one with a single queue stands in its place.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType, SimpleNamespace

from adapter import Case, serve
from prowler.providers.aws.services.sqs.sqs_service import Queue

SERVICE = "prowler.providers.aws.services.sqs"
CHECK = "sqs_queues_not_publicly_accessible"

service = SimpleNamespace(queues=[], audited_account="", audited_partition="aws", audit_config={})
stand_in = ModuleType(f"{SERVICE}.sqs_client")
stand_in.sqs_client = service  # type: ignore[attr-defined]
sys.modules[stand_in.__name__] = stand_in
check = getattr(import_module(f"{SERVICE}.{CHECK}.{CHECK}"), CHECK)()


def is_public(case: Case) -> bool:
    service.audited_account = case.account
    service.queues = [
        Queue(
            id=f"https://sqs.{case.region}.amazonaws.com/{case.account}/{case.queue_arn.rsplit(':', 1)[-1]}",
            name=case.queue_arn.rsplit(":", 1)[-1],
            arn=case.queue_arn,
            region=case.region,
            policy=json.loads(case.policy) if case.policy else None,
        )
    ]
    (report,) = check.execute()
    return {"PASS": False, "FAIL": True}[report.status]


if __name__ == "__main__":
    serve(version("prowler"), {f"Prowler {CHECK}": is_public})
