"""Other spellings of a queue's URL, and URLs that other queues or nobody have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError

from bypasses.stage import ACCOUNT, Stage, name_of
from bypasses.ways import Family
from safe_sqs import GuardError

FAMILY = Family("queue URL variants")
way = FAMILY.way

Variant = Callable[[str], str]

VARIANTS: dict[str, tuple[str, Variant]] = {
    "host-in-upper-case": ("a host in upper case", lambda url: url.replace("localhost", "LOCALHOST")),
    "scheme-in-upper-case": ("a scheme in upper case", lambda url: url.replace("https", "HTTPS")),
    "name-in-upper-case": ("a name in upper case", lambda url: url.replace(name_of(url), name_of(url).upper())),
    "trailing-slash": ("a slash at its end", lambda url: f"{url}/"),
    "two-trailing-slashes": ("two slashes at its end", lambda url: f"{url}//"),
    "double-slash": ("a double slash in its path", lambda url: f"https://localhost/{ACCOUNT}//{name_of(url)}"),
    "double-slash-after-the-host": (
        "a double slash after its host", lambda url: url.replace(f"/{ACCOUNT}", f"//{ACCOUNT}"),
    ),
    "standard-port": ("the port 443", lambda url: f"https://localhost:443/{ACCOUNT}/{name_of(url)}"),
    "another-port": ("another port", lambda url: f"https://localhost:1/{ACCOUNT}/{name_of(url)}"),
    "trailing-dot": ("a dot at the end of its host", lambda url: f"https://localhost./{ACCOUNT}/{name_of(url)}"),
    "legacy-host": ("the legacy host", lambda url: f"https://queue.amazonaws.com/{ACCOUNT}/{name_of(url)}"),
    "legacy-host-of-another-region": (
        "the legacy host of another region",
        lambda url: f"https://eu-west-1.queue.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    ),
    "host-of-aws": ("the host of AWS", lambda url: f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{name_of(url)}"),
    "host-of-another-region": (
        "the host of another region", lambda url: f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    ),
    "host-of-china": (
        "the host of another partition",
        lambda url: f"https://sqs.cn-north-1.amazonaws.com.cn/{ACCOUNT}/{name_of(url)}",
    ),
    "dual-stack-host": ("a dual-stack host", lambda url: f"https://sqs.us-east-1.api.aws/{ACCOUNT}/{name_of(url)}"),
    "host-of-a-vpc-endpoint": (
        "the host of a VPC endpoint",
        lambda url: f"https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/{ACCOUNT}/{name_of(url)}",
    ),
    "plain-http": ("plain HTTP in it", lambda url: url.replace("https://", "http://")),
    "foreign-host": ("a foreign host", lambda url: f"https://evil.example/{ACCOUNT}/{name_of(url)}"),
    "ipv6-host": ("an address as its host", lambda url: f"https://[::1]/{ACCOUNT}/{name_of(url)}"),
    "user-information": ("user information", lambda url: url.replace("https://", "https://user:password@")),
    "longer-path": ("a longer path", lambda url: f"https://localhost/queues/{ACCOUNT}/{name_of(url)}"),
    "dots-in-its-path": ("dots in its path", lambda url: f"https://localhost/{ACCOUNT}/../{ACCOUNT}/{name_of(url)}"),
    "percent-encoded-slash": ("a percent-encoded slash", lambda url: f"https://localhost/{ACCOUNT}%2f{name_of(url)}"),
    "percent-encoded-letter": ("a percent-encoded letter", lambda url: url.replace("/q", "/%71")),
    "query": ("a query", lambda url: f"{url}?region=eu-west-1"),
    "fragment": ("a fragment", lambda url: f"{url}#fragment"),
    "back-slash": ("a back slash", lambda url: f"https://localhost/{ACCOUNT}\\{name_of(url)}"),
    "white-space-around": ("white space around it", lambda url: f" {url}\t"),
    "line-end": ("a line end after it", lambda url: f"{url}\n"),
    "tab-inside": ("a tab inside", lambda url: url.replace("-", "-\t", 1)),
    "zero-byte": ("a zero byte after it", lambda url: f"{url}\0"),
    "another-account": ("another account", lambda url: f"https://localhost/999999999999/{name_of(url)}"),
    "no-account": ("no account", lambda url: f"https://localhost/queue/{name_of(url)}"),
    "account-that-is-too-long": ("an account of 13 digits", lambda url: f"https://localhost/{ACCOUNT}0/{name_of(url)}"),
    "bare-name": ("nothing but the name", name_of),
    "arn": ("the ARN in its place", lambda url: f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name_of(url)}"),
    "path-only": ("nothing but the path", lambda url: f"/{ACCOUNT}/{name_of(url)}"),
    "no-scheme": ("no scheme", lambda url: f"localhost/{ACCOUNT}/{name_of(url)}"),
    "file-scheme": ("the scheme of files", lambda url: f"file:///{ACCOUNT}/{name_of(url)}"),
    "parameters": ("parameters after a semicolon", lambda url: f"{url};v=1"),
}  # fmt: skip


def by_variant(variant: Variant) -> Callable[[Stage], None]:
    """A good queue and its variant are used first, so that both may be known, then the bad queue's variant."""

    def attempt(stage: Stage) -> None:
        client = stage.client()
        for url in (stage.good, variant(stage.good)):
            with suppress(GuardError, ClientError, BotoCoreError):
                client.send_message(QueueUrl=url, MessageBody="harmless")
        client.send_message(QueueUrl=variant(stage.bad), MessageBody=stage.secret)

    return attempt


for _id, (_says, _variant) in VARIANTS.items():
    FAMILY.add(_id, f"The URL of a bad queue with {_says}.", by_variant(_variant))


@way
def empty_url(stage: Stage) -> None:
    """No URL at all."""
    stage.client().send_message(QueueUrl="", MessageBody=stage.secret)


@way
def url_of_a_good_queue_that_goes_on(stage: Stage) -> None:
    """The URL of a good queue that goes on to a bad one."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.send_message(QueueUrl=f"{stage.good}/../{name_of(stage.bad)}", MessageBody=stage.secret)


@way
def found_with_its_owner(stage: Stage) -> None:
    """A queue that GetQueueUrl found by its name and the account of its owner."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    found = client.get_queue_url(QueueName=name_of(stage.bad), QueueOwnerAWSAccountId=ACCOUNT)
    client.send_message(QueueUrl=found["QueueUrl"], MessageBody=stage.secret)
