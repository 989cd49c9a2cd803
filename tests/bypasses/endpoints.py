"""Where a client sends, and whether it knows whom it talks to: endpoint, host, certificate checks, proxies."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.httpsession import URLLib3Session

from bypasses.stage import Stage, with_living_client
from bypasses.ways import Family

FAMILY = Family("endpoints")
way = FAMILY.way

FORWARDING = {"proxy_use_forwarding_for_https": True}


@way
def plain_http(stage: Stage) -> None:
    """An endpoint over plain HTTP."""
    stage.client({"endpoint_url": stage.plain.url}).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def plain_http_in_upper_case(stage: Stage) -> None:
    """An endpoint over plain HTTP whose scheme and host are in upper case."""
    url = stage.plain.url.replace("http://localhost", "HTTP://LOCALHOST")
    stage.client({"endpoint_url": url}).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def plain_http_to_a_trusted_host(stage: Stage) -> None:
    """An endpoint over plain HTTP on a host that is trusted by name."""
    client = stage.client({"endpoint_url": stage.plain.url}, trusted_endpoint_hosts=[stage.plain.netloc])
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def plain_http_for_an_operation_without_a_message(stage: Stage) -> None:
    """A DeleteMessage, which no queue rule holds, over plain HTTP."""
    client = stage.client({"endpoint_url": stage.plain.url})
    client.delete_message(QueueUrl=stage.good, ReceiptHandle=stage.secret)


@way
def plain_http_in_the_profile_local(stage: Stage) -> None:
    """An endpoint over plain HTTP that is not on the loopback address, in the profile for emulators."""
    del os.environ["AWS_ENDPOINT_URL"]
    proxied = {"endpoint_url": "http://emulator.example", "config": ClientConfig(proxies={"http": stage.plain.url})}
    stage.client(proxied, profile="local").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def without_tls(**arguments: Any) -> Callable[[Stage], None]:
    """A client for AWS itself without TLS. A proxy stands in for the network."""

    def attempt(stage: Stage) -> None:
        del os.environ["AWS_ENDPOINT_URL"]
        config = ClientConfig(proxies={"http": stage.plain.url})
        client = stage.client({"config": config, **arguments})
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


FAMILY.add("use-ssl-false", "AWS itself with `use_ssl=False`.", without_tls(use_ssl=False))
FAMILY.add("http-to-aws", "AWS itself over plain HTTP.", without_tls(endpoint_url="http://sqs.us-east-1.amazonaws.com"))
FAMILY.add(
    "http-to-the-legacy-host",
    "The legacy host of AWS over plain HTTP.",
    without_tls(endpoint_url="http://queue.amazonaws.com"),
)

LOOK_ALIKES = {
    "host-below-another-domain": "sqs.us-east-1.amazonaws.com.evil.example",
    "host-with-a-dash": "sqs-us-east-1.amazonaws.com",
    "host-of-a-bucket": "sqs.us-east-1.s3.us-east-1.amazonaws.com",
    "host-of-a-load-balancer": "sqs-1234.us-east-1.elb.amazonaws.com",
    "host-of-a-machine": "ec2-203-0-113-5.compute-1.amazonaws.com",
    "host-of-a-gateway": "sqs.execute-api.us-east-1.amazonaws.com",
    "host-with-a-trailing-dot": "sqs.us-east-1.amazonaws.com.",
    "host-of-a-short-suffix": "sqs.us-east-1.amazonaws.co",
    "host-of-no-region": "sqs.anything.amazonaws.com",
    "host-of-a-vpc-endpoint-of-another-service": "vpce-0a1b-2c3d.execute-api.us-east-1.vpce.amazonaws.com",
    "host-of-two-labels-more": "sqs.us-east-1.evil.amazonaws.com",
}


def through_a_proxy(host: str) -> Callable[[Stage], None]:
    """A client for a host that a proxy is asked to connect to, so that no name is resolved here."""

    def attempt(stage: Stage) -> None:
        config = ClientConfig(proxies={"https": stage.plain.url})
        client = stage.client({"endpoint_url": f"https://{host}", "config": config})
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


for _id, _host in LOOK_ALIKES.items():
    FAMILY.add(_id, f"The host {_host}, which is not one of SQS.", through_a_proxy(_host))


@way
def host_that_nobody_trusts(stage: Stage) -> None:
    """A server with a good certificate that is neither AWS nor trusted."""
    client = stage.client(stage.to_unknown, trusted_endpoint_hosts=[stage.front.host])
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def host_that_is_trusted_on_another_port(stage: Stage) -> None:
    """A server on a host that is trusted, but not on this port."""
    client = stage.client(stage.to_unknown, trusted_endpoint_hosts=["localhost", stage.front.host])
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def address_of_a_trusted_host(stage: Stage) -> None:
    """The address of a host that is trusted by name only."""
    own = {"endpoint_url": stage.unknown.url.replace("localhost", "127.0.0.1"), "verify": stage.unknown.authority}
    stage.client(own).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def server_that_nobody_verifies(stage: Stage) -> None:
    """A trusted name behind which stands anybody, because no certificate is checked."""
    client = stage.client({"endpoint_url": stage.unknown.url, "verify": False})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def verify_zero(stage: Stage) -> None:
    """Certificate checks that are switched off by a value that only means False."""
    client = stage.client({"endpoint_url": stage.unknown.url})
    client._endpoint.http_session._verify = 0
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


# --- an endpoint that changes under a living client ----------------------------------------------------------------


@way
def builtins_of_the_resolver(stage: Stage) -> None:
    """The endpoint that is built into the client's endpoint resolver is changed."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client._ruleset_resolver._builtins["SDK::Endpoint"] = stage.plain.url
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def resolver_replaced(stage: Stage) -> None:
    """The method of a client that finds its endpoint is replaced."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client._resolve_endpoint_ruleset = lambda *_, **__: (stage.plain.url, {}, {})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def resolver_taken_away(stage: Stage) -> None:
    """The endpoint resolver is taken away, so that the client's own endpoint counts, which is changed as well."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client._ruleset_resolver = None
    client.meta._endpoint_url = stage.plain.url
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def resolver_of_another_client(stage: Stage) -> None:
    """The endpoint resolver of another client, which leads to plain HTTP."""
    client, other = stage.client(), stage.unprotected(endpoint_url=stage.plain.url)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client._ruleset_resolver = other._ruleset_resolver
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def switch_verification_off(client: Any) -> None:
    client._endpoint.http_session._verify = False


def swap_the_http_session(client: Any) -> None:
    client._endpoint.http_session.close()
    client._endpoint.http_session = URLLib3Session(verify=False)


def swap_the_endpoint(client: Any) -> None:
    client._endpoint.close()
    client._endpoint = type(client._endpoint)(
        client._endpoint.host, "sqs", client.meta.events, http_session=URLLib3Session(verify=False)
    )


FAMILY.add(
    "verification-switched-off",
    "Certificate checks that are switched off in the client's HTTP session.",
    with_living_client(switch_verification_off),
)
FAMILY.add(
    "http-session-swapped",
    "An HTTP session without certificate checks in the place of the client's.",
    with_living_client(swap_the_http_session),
)
FAMILY.add(
    "endpoint-swapped",
    "An endpoint without certificate checks in the place of the client's.",
    with_living_client(swap_the_endpoint),
)


# --- proxies -------------------------------------------------------------------------------------------------------


@way
def proxy_that_reads(stage: Stage) -> None:
    """A proxy to which requests for HTTPS are forwarded, so that it reads them."""
    config = ClientConfig(proxies={"https": stage.unknown.url}, proxies_config=FORWARDING)
    client = stage.client({"config": config, "verify": stage.unknown.authority})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def proxy_that_reads_from_the_environment(stage: Stage) -> None:
    """The same proxy, named by HTTPS_PROXY, for a client that forwards."""
    os.environ.pop("NO_PROXY", None)
    os.environ["HTTPS_PROXY"] = stage.unknown.url
    arguments = {"config": ClientConfig(proxies_config=FORWARDING), "verify": stage.unknown.authority}
    stage.client(arguments).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def proxy_that_reads_under_a_living_client(stage: Stage) -> None:
    """An HTTP session with such a proxy in the place of the client's."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client._endpoint.http_session.close()
    client._endpoint.http_session = URLLib3Session(
        verify=stage.unknown.authority, proxies={"https": stage.unknown.url}, proxies_config=FORWARDING
    )
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def proxy_in_the_profile_local(stage: Stage) -> None:
    """Plain HTTP to a loopback address, which the profile for emulators lets pass, through a proxy."""
    os.environ.pop("NO_PROXY", None)
    arguments = {
        "endpoint_url": "http://localhost:9",
        "config": ClientConfig(proxies={"http": stage.plain.url}),
    }
    stage.client(arguments, profile="local").send_message(QueueUrl=stage.good, MessageBody=stage.secret)
