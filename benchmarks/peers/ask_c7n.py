"""Cloud Custodian: the filter `cross-account` with `everyone_only`, from a policy file as its users write one, on the
queue's attributes as SQS returns them.
"""

from __future__ import annotations

from importlib.metadata import version

from adapter import Case, serve
from c7n.config import Config
from c7n.policy import PolicyCollection
from c7n.resources import load_resources

load_resources(("aws.sqs",))


def is_public(case: Case) -> bool:
    cross_account = {"type": "cross-account", "everyone_only": True, "whitelist": list(case.trusted_accounts)}
    data = {"policies": [{"name": "public-queues", "resource": "aws.sqs", "filters": [cross_account]}]}
    (policy,) = PolicyCollection.from_data(data, Config.empty(account_id=case.account, region=case.region))
    queue = {
        "QueueArn": case.queue_arn,
        "QueueUrl": f"https://sqs.{case.region}.amazonaws.com/{case.account}/{case.queue_arn.rsplit(':', 1)[-1]}",
        **({"Policy": case.policy} if case.policy else {}),
    }
    return bool(policy.resource_manager.filter_resources([queue]))


if __name__ == "__main__":
    serve(version("c7n"), {"Cloud Custodian cross-account": is_public})
