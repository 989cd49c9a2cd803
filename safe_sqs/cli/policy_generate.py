"""`safe-sqs policy generate`: policies from the names of those who need a queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from safe_sqs.cli.problems import Group, Problem
from safe_sqs.model import Queue, Role

__all__ = ["generate", "queues_named", "say", "show", "writing"]

F = TypeVar("F", bound=Callable[..., Any])

_QUOTA = 8_192
"""Bytes that the policy of a queue may have."""


@click.group(cls=Group, short_help="Write policies from the names of those who need a queue.")
def generate() -> None:
    """Write a queue policy, an IAM policy or the policy of a VPC endpoint from names.

    What is written names actions one by one, by role, and ties each service to what it may act for. A queue policy
    denies plain HTTP to everyone.

    \b
    Roles:
        producer       sends, and finds the queue and reads its attributes
        consumer       receives, deletes and changes visibility, and finds the queue and reads its attributes
        administrator  sets up, tags, purges and deletes the queue, and reads all about it; no message

    \b
    Examples:
        safe-sqs policy generate queue --help
        safe-sqs policy generate identity --role producer --queue-arn ARN > policy.json
        safe-sqs policy generate endpoint --queue-arn ARN --producer 123456789012 > policy.json

    The exit status is 0, or 2 when what was asked for makes no policy.
    """  # noqa: D301


def _named(*, with_organisations: bool = False) -> Callable[[F], F]:
    """--producer, --consumer and --administrator."""
    who = "role, user, account or organisation" if with_organisations else "role, user or account"

    def add(command: F) -> F:
        for role in reversed(Role):
            command = click.option(
                f"--{role.value}",
                f"{role.value}s",
                multiple=True,
                metavar="WHO",
                help=f"Who is {role.value}: a {who}. Repeatable.",
            )(command)
        return command

    return add


def _confined(command: F) -> F:
    """--vpc and --vpc-endpoint."""
    for option in reversed(
        (
            click.option("--vpc", "vpcs", multiple=True, metavar="ID", help="From this VPC only. Repeatable."),
            click.option(
                "--vpc-endpoint",
                "vpc_endpoints",
                multiple=True,
                metavar="ID",
                help="Through this VPC endpoint only. Repeatable; one of all of these is enough.",
            ),
        )
    ):
        command = option(command)
    return command


_queues = click.option(
    "--queue-arn", "queue_arns", multiple=True, required=True, metavar="ARN", help="The queue. Repeatable."
)


@generate.command(short_help="The policy of a queue.")
@click.option("--queue-arn", required=True, metavar="ARN", help="The queue that the policy is for.")
@_named()
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="SERVICE=SOURCE",
    help="A service that may send, and for what: an ARN, an account, or ARN,ACCOUNT. Repeatable.",
)
@_confined
@click.option(
    "--as",
    "form",
    type=click.Choice(["policy", "attributes"]),
    default="policy",
    help="The policy itself (default), or the attributes that aws sqs set-queue-attributes takes.",
)
def queue(
    queue_arn: str,
    producers: tuple[str, ...],
    consumers: tuple[str, ...],
    administrators: tuple[str, ...],
    services: tuple[str, ...],
    vpcs: tuple[str, ...],
    vpc_endpoints: tuple[str, ...],
    form: str,
) -> None:
    """Write the policy of a queue, on standard output.

    WHO is the ARN of a role or user, or an account by its 12 digits, whose IAM policies then decide. Each has one role.
    Of a bucket, whose ARN names no account, that of the queue is taken, or the one given behind a comma.

    With --vpc or --vpc-endpoint, everyone from elsewhere is denied: you, CloudFormation and the poller of a Lambda
    function as well. Only services that are named come in from outside.

    \b
    Examples:
        safe-sqs policy generate queue --queue-arn ARN --producer arn:aws:iam::123456789012:role/shop \\
            --consumer arn:aws:iam::123456789012:role/packing --administrator 123456789012
        safe-sqs policy generate queue --queue-arn ARN \\
            --service sns.amazonaws.com=arn:aws:sns:us-east-1:123456789012:orders \\
            --service s3.amazonaws.com=arn:aws:s3:::shop-uploads
        safe-sqs policy generate queue --queue-arn ARN --consumer 123456789012 --vpc-endpoint vpce-0a1b2c3d4e5f67890

    \b
    Attach it. The policy is a string within the attributes, so:
        safe-sqs policy generate queue ... --as attributes > attributes.json
        aws sqs set-queue-attributes --queue-url URL --attributes file://attributes.json

    It takes the place of the policy that the queue has. The exit status is 0, or 2 when this makes no policy.
    """  # noqa: D301
    import json

    from safe_sqs.writing.generate import queue_policy, text_of

    (named,) = queues_named([queue_arn])
    with writing():
        policy = queue_policy(
            named,
            producers=producers,
            consumers=consumers,
            administrators=administrators,
            services=services,
            vpcs=vpcs,
            vpc_endpoints=vpc_endpoints,
        )
    if form == "attributes":
        click.echo(json.dumps({"Policy": text_of(policy)}, indent=2))
    else:
        pretty = json.dumps(policy, indent=2)
        click.echo(pretty if len(pretty.encode()) <= _QUOTA else text_of(policy))
    for remark in _remarks(named, policy, services=bool(services), confined=bool(vpcs or vpc_endpoints)):
        say(remark)


def _remarks(named: Queue, policy: dict[str, Any], *, services: bool, confined: bool) -> Iterator[str]:
    from safe_sqs.policy import grants

    if confined:
        yield (
            "everyone from elsewhere is denied, you and CloudFormation too: attach it from inside, or keep a way in. "
            "Only the root user of the account can remove the policy from outside (sts assume-root, with the task "
            "policy SQSUnlockQueuePolicy)"
        )
    if confined and services:
        yield (
            "the services come from outside of every VPC, and are let in by name. The rule vpc-only-policy finds that: "
            "exempt the queue from it, with the reason"
        )
    if services:
        yield "a queue under a KMS key needs that key's policy to let the services in, which alias/aws/sqs cannot"
    others = sorted({grant.account for grant in grants(policy, queue_arn=named.arn)} - {"", named.account})
    if others:
        yield (
            f"{', '.join(others)} is not the queue's account: its IAM policies have to allow the same, and "
            "the key of an encrypted queue too. With trusted_accounts set, add it there"
        )


@generate.command(short_help="The IAM policy of a producer, consumer or administrator.")
@click.option(
    "--role", required=True, type=click.Choice([role.value for role in Role]), help="What the program is to the queues."
)
@_queues
@click.option(
    "--dead-letter-queue-arn",
    "dead_letter_queue_arns",
    multiple=True,
    metavar="ARN",
    help="A dead-letter queue of theirs, at which the guard looks as well. Repeatable.",
)
@click.option(
    "--kms-key", "kms_keys", multiple=True, metavar="ARN", help="A KMS key that encrypts the queues. Repeatable."
)
@click.option(
    "--describe-key", is_flag=True, help="Let the guard ask who manages the key: for queue-encryption=customer-key."
)
@_confined
def identity(
    role: str,
    queue_arns: tuple[str, ...],
    dead_letter_queue_arns: tuple[str, ...],
    kms_keys: tuple[str, ...],
    describe_key: bool,
    vpcs: tuple[str, ...],
    vpc_endpoints: tuple[str, ...],
) -> None:
    """Write an IAM policy, to attach to the role of a program, on standard output.

    It allows what the role needs on these queues, over HTTPS, and what the guard reads. ListQueues and CreateQueue are
    in none: the first cannot be granted for one queue, the second belongs to whoever deploys.

    \b
    Examples:
        safe-sqs policy generate identity --role producer --queue-arn ARN > policy.json
        safe-sqs policy generate identity --role consumer --queue-arn ARN --dead-letter-queue-arn ARN --kms-key ARN
        aws iam put-role-policy --role-name shop --policy-name orders --policy-document file://policy.json

    The exit status is 0, or 2 when this makes no policy.
    """  # noqa: D301
    from safe_sqs.writing.identity import identity_policy

    with writing():
        policy = identity_policy(
            Role(role),
            queues_named(queue_arns),
            dead_letter_queues=queues_named(dead_letter_queue_arns),
            kms_keys=kms_keys,
            vpcs=vpcs,
            vpc_endpoints=vpc_endpoints,
            describe_keys=describe_key,
        )
    show(policy)


@generate.command(short_help="The policy of a VPC endpoint.")
@_queues
@_named(with_organisations=True)
def endpoint(
    queue_arns: tuple[str, ...],
    producers: tuple[str, ...],
    consumers: tuple[str, ...],
    administrators: tuple[str, ...],
) -> None:
    """Write the policy of a VPC endpoint, on standard output: only these may use only these queues through it.

    WHO is the ARN of a role or user, an account by its 12 digits, or the id of an organisation. An endpoint's policy
    grants nothing by itself, it is what requests have to pass as well; it takes the place of the one that lets all
    through. What else uses the endpoint has to be in it.

    \b
    Examples:
        safe-sqs policy generate endpoint --queue-arn ARN --producer arn:aws:iam::123456789012:role/shop > policy.json
        safe-sqs policy generate endpoint --queue-arn ARN --queue-arn ARN --consumer o-exampleorgid
        aws ec2 modify-vpc-endpoint --vpc-endpoint-id ID --policy-document file://policy.json

    The exit status is 0, or 2 when this makes no policy.
    """  # noqa: D301
    from safe_sqs.writing.identity import endpoint_policy

    with writing():
        policy = endpoint_policy(
            queues_named(queue_arns), producers=producers, consumers=consumers, administrators=administrators
        )
    show(policy)


# --- shared with from-usage --------------------------------------------------------------------------------------


def queues_named(arns: Iterable[str]) -> list[Queue]:
    """The queues of these ARNs. Raises Problem."""
    from safe_sqs.facts import queue_of_arn
    from safe_sqs.patterns import has_wildcard

    found = []
    for arn in arns:
        named = queue_of_arn(arn)
        if named is None or has_wildcard(arn):
            raise Problem(f"{arn!r} is not the ARN of a queue", "such as arn:aws:sqs:us-east-1:123456789012:orders")
        found.append(named)
    return found


@contextmanager
def writing() -> Iterator[None]:
    """Tell in one line why something makes no policy."""
    from safe_sqs.writing.names import CannotWrite

    try:
        yield
    except CannotWrite as problem:
        raise Problem(problem.found, problem.next_step) from None


def show(policy: dict[str, Any]) -> None:
    """Print a policy."""
    import json

    click.echo(json.dumps(policy, indent=2))


def say(remark: str) -> None:
    """A remark, which is not part of the policy."""
    click.echo(f"note: {remark}", err=True)
