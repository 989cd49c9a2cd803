"""The published controls that check what our rules check, or a part of it, so that a team sees what it covers already.

Each id stands in the documentation or the source of who publishes it: looked up in November 2026, in the user guides of
AWS Security Hub and AWS Config, CIS Amazon Web Services Foundations Benchmark 7.0.0, Prowler of August 2026, Checkov
3.3.30, trivy-checks of August 2026, cdk-nag 3.0, cfn_nag 0.8 and the AWS Compliance mod for Steampipe of December 2025.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from safe_sqs.rules import ALL_RULES

__all__ = ["CONTROLS", "NOT_OURS", "UNPUBLISHED", "Control", "Coverage", "as_markdown"]


class Coverage(str, Enum):
    """How much of our rule a control checks."""

    SAME = "same"
    PART = "part"


class Control(NamedTuple):
    """A check that somebody else publishes. `remark` says what it does not see, or sees in another way."""

    source: str
    id: str
    covers: Coverage
    remark: str
    url: str


_SAME, _PART = Coverage.SAME, Coverage.PART

SECURITY_HUB = "Security Hub"
AWS_CONFIG = "AWS Config"
CIS = "CIS AWS Foundations 7.0.0"
PROWLER = "Prowler"
CHECKOV = "Checkov"
TRIVY = "Trivy"
CDK_NAG = "cdk-nag"
CFN_NAG = "cfn_nag"
STEAMPIPE = "Steampipe"


def _security_hub(number: str, covers: Coverage, remark: str) -> Control:
    service, _, _ = number.lower().partition(".")
    page = f"https://docs.aws.amazon.com/securityhub/latest/userguide/{service}-controls.html"
    return Control(SECURITY_HUB, number, covers, remark, f"{page}#{number.lower().replace('.', '-')}")


def _aws_config(name: str, covers: Coverage, remark: str) -> Control:
    return Control(
        AWS_CONFIG, name, covers, remark, f"https://docs.aws.amazon.com/config/latest/developerguide/{name}.html"
    )


def _cis(number: str, remark: str) -> Control:
    return Control(CIS, number, _PART, remark, "https://www.cisecurity.org/benchmark/amazon_web_services")


def _prowler(service: str, name: str, covers: Coverage, remark: str) -> Control:
    folder = "https://github.com/prowler-cloud/prowler/tree/master/prowler/providers/aws/services"
    return Control(PROWLER, name, covers, remark, f"{folder}/{service}/{name}")


def _checkov(name: str, path: str, remark: str) -> Control:
    return Control(CHECKOV, name, _PART, remark, f"https://github.com/bridgecrewio/checkov/blob/main/checkov/{path}")


def _trivy(name: str, path: str, remark: str) -> Control:
    folder = "https://github.com/aquasecurity/trivy-checks/blob/main/checks/cloud/aws"
    return Control(TRIVY, name, _PART, remark, f"{folder}/{path}.rego")


def _cdk_nag(name: str, remark: str) -> Control:
    return Control(CDK_NAG, name, _PART, remark, "https://github.com/cdklabs/cdk-nag/blob/main/RULES.md")


def _cfn_nag(name: str, file: str, remark: str) -> Control:
    folder = "https://github.com/stelligent/cfn_nag/blob/master/lib/cfn-nag/custom_rules"
    return Control(CFN_NAG, name, _PART, remark, f"{folder}/{file}.rb")


def _steampipe(name: str, covers: Coverage, remark: str) -> Control:
    file = "https://github.com/turbot/steampipe-mod-aws-compliance/blob/main/conformance_pack/sqs.pp"
    return Control(STEAMPIPE, name, covers, remark, file)


_KEY_AGE = "The age of the keys of IAM users, not what a program signs with"
_ROLE_ATTACHED = "That an instance has a role, not that programs on it use it; nothing outside of EC2"
_AS_ITS_OWN = "Judges the dead-letter queue as a queue of its own, and does not tell whose it is"

CONTROLS: dict[str, tuple[Control, ...]] = {
    "https-endpoint": (),
    "tls-verification": (),
    "endpoint-host": (),
    "static-credentials": (
        _security_hub("IAM.3", _PART, _KEY_AGE),
        _aws_config("access-keys-rotated", _PART, _KEY_AGE),
        _aws_config("ec2-instance-profile-attached", _PART, _ROLE_ATTACHED),
        _cis("2.12", f"{_KEY_AGE}; 1.14 in version 3.0.0"),
        _cis("2.16", f"{_ROLE_ATTACHED}; 1.18 in version 3.0.0"),
        _prowler("iam", "iam_rotate_access_key_90_days", _PART, _KEY_AGE),
        _prowler("ec2", "ec2_instance_profile_attached", _PART, _ROLE_ATTACHED),
        _checkov("CKV_SECRET_2", "secrets", "Access keys in files, found by their pattern"),
        _checkov(
            "CKV_AWS_45",
            "cloudformation/checks/resource/aws/LambdaEnvironmentCredentials.py",
            "Secrets in the environment of Lambda functions, in templates",
        ),
        _checkov(
            "CKV_AWS_46",
            "cloudformation/checks/resource/aws/EC2Credentials.py",
            "Secrets in the user data of instances, in templates",
        ),
        _trivy("AVD-AWS-0146", "iam/rotate_access_keys", _KEY_AGE),
    ),
    "vpc-route": (
        _aws_config(
            "service-vpc-endpoint-enabled", _PART, "That each VPC has an endpoint for SQS, not that programs use it"
        ),
        _aws_config(
            "vpc-endpoint-enabled", _PART, "That the named VPCs have an endpoint for SQS, not that programs use it"
        ),
    ),
    "role-operations": (),
    "queue-encryption": (
        _security_hub("SQS.1", _SAME, "As the level any; does not ask who manages the key"),
        _prowler(
            "sqs",
            "sqs_queues_server_side_encryption_enabled",
            _SAME,
            "As the level any; does not ask who manages the key",
        ),
        _checkov(
            "CKV_AWS_27",
            "terraform/checks/resource/aws/SQSQueueEncryption.py",
            "Templates only; in CloudFormation it wants a KMS key, in Terraform SSE-SQS is enough",
        ),
        _checkov(
            "CKV2_AWS_73",
            "terraform/checks/graph_checks/aws/SQSEncryptionCMK.yaml",
            "Terraform only; finds alias/aws/sqs, and passes a queue without a key",
        ),
        _trivy("AVD-AWS-0096", "sqs/enable_queue_encryption", "Templates only; does not ask who manages the key"),
        _trivy(
            "AVD-AWS-0135",
            "sqs/queue_encryption_with_cmk",
            "Templates only; finds alias/aws/sqs, and takes any other key for your own",
        ),
        _cdk_nag("AwsSolutions-SQS2", "CDK only; finds a queue whose encryption is switched off in so many words"),
        _cfn_nag("W48", "SqsQueueKmsMasterKeyIdRule", "CloudFormation only; wants a KMS key, so SSE-SQS fails"),
        _steampipe("sqs_queue_encrypted_at_rest", _SAME, "As the level any; does not ask who manages the key"),
        _steampipe(
            "sqs_queue_encrypted_with_kms_cmk", _PART, "As the level customer-key, but takes any key for your own"
        ),
    ),
    "public-access": (
        _security_hub("SQS.3", _SAME, "The same meaning of public; shows no request that gets through"),
        _aws_config(
            "sqs-queue-no-public-access", _SAME, "The same meaning of public; shows no request that gets through"
        ),
        _cis("2.21", "A manual check for Principal *, for policies of all services"),
        _prowler(
            "sqs",
            "sqs_queues_not_publicly_accessible",
            _PART,
            "Allows with Principal *; no Deny, no Resource, no NotPrincipal, and operators are read loosely",
        ),
        _checkov(
            "CKV_AWS_168",
            "terraform/checks/resource/aws/SQSQueuePolicyAnyPrincipal.py",
            "Terraform only; no Deny, no Resource, and operators are read loosely",
        ),
        _checkov(
            "CKV_AWS_387",
            "terraform/checks/resource/aws/SQSOverlyPermissive.py",
            "Terraform only; any condition at all counts as closed",
        ),
        _cfn_nag(
            "F21", "SqsQueuePolicyWildcardPrincipalRule", "CloudFormation only; Principal *, whatever the conditions"
        ),
        _cfn_nag("F7", "SqsQueuePolicyNotPrincipalRule", "CloudFormation only; an Allow with NotPrincipal"),
        _steampipe(
            "sqs_queue_policy_prohibit_public_access", _PART, "Allows with Principal *, whatever the conditions"
        ),
    ),
    "dead-letter-queue": (
        _security_hub("SQS.1", _PART, _AS_ITS_OWN),
        _security_hub("SQS.3", _PART, _AS_ITS_OWN),
        _aws_config("sqs-queue-no-public-access", _PART, _AS_ITS_OWN),
    ),
    "least-privilege": (
        _aws_config(
            "sqs-queue-policy-full-access-check", _PART, "Only SQS:*; no foreign accounts, and no services for others"
        ),
        _checkov(
            "CKV_AWS_72",
            "terraform/checks/resource/aws/SQSPolicy.py",
            "Terraform only; only an action * in the first statement",
        ),
        _trivy("AVD-AWS-0097", "sqs/no_wildcards_in_policy_documents", "Templates only; only * and sqs:*"),
        _cfn_nag("F20", "SqsQueuePolicyWildcardActionRule", "CloudFormation only; only wildcards in actions"),
        _cfn_nag("W18", "SqsQueuePolicyNotActionRule", "CloudFormation only; only an Allow with NotAction"),
    ),
    "tls-only-policy": (
        _cdk_nag(
            "AwsSolutions-SQS4", "CDK only; looks for the usual Deny statement, not for requests that get past it"
        ),
    ),
    "vpc-only-policy": (),
}
"""For each rule what others publish, in an order of our own: AWS first, then those who look at accounts, then those who
look at templates."""

UNPUBLISHED: dict[str, str] = {
    "https-endpoint": "Only the program itself sees where its requests go",
    "tls-verification": "Only the program itself sees whether it checks certificates",
    "endpoint-host": "Only the program itself sees where its requests go",
    "role-operations": "Only the program itself knows which role a client has in it",
    "vpc-only-policy": "No tool that we know asks whether a queue is confined to a VPC",
}
"""Why there is nothing for a rule."""

NOT_OURS: tuple[Control, ...] = (
    _security_hub("SQS.2", _PART, "Tags, which say nothing of who can read a message"),
    _aws_config("sqs-queue-dlq-check", _PART, "That there is a dead-letter queue; we judge the one that there is"),
    _cdk_nag("AwsSolutions-SQS3", "That there is a dead-letter queue; we judge the one that there is"),
    _cdk_nag("Serverless-SQSRedrivePolicy", "That there is a dead-letter queue; we judge the one that there is"),
    _steampipe(
        "sqs_queue_dead_letter_queue_configured",
        _PART,
        "That there is a dead-letter queue; we judge the one that there is",
    ),
)
"""Published checks of queues which no rule of ours makes. Their `covers` says nothing."""

_DOCUMENTATION = "https://docs.aws.amazon.com/"


def as_markdown() -> str:
    """The whole table for a page of the documentation whose folder has `rules/`. Only the documentation of AWS is
    linked."""
    lines = ["| Rule | Published by | Control | Covers | |", "|---|---|---|---|---|"]
    for rule in ALL_RULES:
        page = f"[{rule.name}](rules/{rule.name}.md)"
        lines += [
            f"| {page} | {each.source} | {_named(each)} | {each.covers.value} | {_cell(each.remark)} |"
            for each in CONTROLS[rule.name]
        ]
        if not CONTROLS[rule.name]:
            lines.append(f"| {page} | nobody | | | {UNPUBLISHED[rule.name]} |")
    lines += ["", "| Not checked by us | Control | |", "|---|---|---|"]
    lines += [f"| {control.source} | {_named(control)} | {_cell(control.remark)} |" for control in NOT_OURS]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("*", r"\*")


def _named(control: Control) -> str:
    return f"[{control.id}]({control.url})" if control.url.startswith(_DOCUMENTATION) else f"`{control.id}`"
