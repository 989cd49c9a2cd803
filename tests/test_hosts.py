"""Which endpoints are AWS's: every grammar of every partition, and the names that only look so."""

from __future__ import annotations

from contextlib import suppress

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from safe_sqs import Config
from safe_sqs.hosts import (
    Endpoint,
    is_aws_host,
    is_loopback,
    is_private,
    is_trusted,
    parse_endpoint,
    vpc_endpoint_of,
)
from safe_sqs.judge import judge_connection
from safe_sqs.model import Connection, Identity, IdentityKind
from safe_sqs.wire import partitions

AWS_HOSTS = [
    # The public partition: standard, FIPS, dual-stack, legacy, VPC endpoint (regional and of one zone).
    "sqs.us-east-1.amazonaws.com",
    "sqs.eu-central-2.amazonaws.com",
    "sqs.me-central-1.amazonaws.com",
    "sqs-fips.us-west-2.amazonaws.com",
    "sqs.us-east-1.api.aws",
    "sqs-fips.us-east-1.api.aws",
    "queue.amazonaws.com",
    "eu-west-1.queue.amazonaws.com",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.us-east-1.vpce.amazonaws.com",
    "vpce-0a1b2c3d4e5f67890-abcdefgh-us-east-1a.sqs.us-east-1.vpce.amazonaws.com",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs-fips.us-east-1.vpce.amazonaws.com",
    # GovCloud shares the suffixes of the public partition.
    "sqs.us-gov-west-1.amazonaws.com",
    "sqs.us-gov-east-1.amazonaws.com",
    "sqs-fips.us-gov-west-1.amazonaws.com",
    "sqs.us-gov-west-1.api.aws",
    "us-gov-west-1.queue.amazonaws.com",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.us-gov-west-1.vpce.amazonaws.com",
    # China.
    "sqs.cn-north-1.amazonaws.com.cn",
    "sqs.cn-northwest-1.amazonaws.com.cn",
    "sqs-fips.cn-north-1.amazonaws.com.cn",
    "sqs.cn-north-1.api.amazonwebservices.com.cn",
    "sqs-fips.cn-northwest-1.api.amazonwebservices.com.cn",
    "cn-north-1.queue.amazonaws.com.cn",
    "vpce-0a1b2c3d4e5f67890-abcdefgh-cn-north-1a.sqs.cn-north-1.vpce.amazonaws.com.cn",
    # The European sovereign cloud.
    "sqs.eusc-de-east-1.amazonaws.eu",
    "sqs-fips.eusc-de-east-1.amazonaws.eu",
    "sqs.eusc-de-east-1.api.amazonwebservices.eu",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.eusc-de-east-1.vpce.amazonaws.eu",
    # The isolated partitions.
    "sqs.us-iso-east-1.c2s.ic.gov",
    "sqs-fips.us-iso-west-1.c2s.ic.gov",
    "sqs.us-iso-east-1.api.aws.ic.gov",
    "us-iso-east-1.queue.c2s.ic.gov",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.us-iso-east-1.vpce.c2s.ic.gov",
    "sqs.us-isob-east-1.sc2s.sgov.gov",
    "sqs-fips.us-isob-east-1.sc2s.sgov.gov",
    "sqs.us-isob-east-1.api.aws.scloud",
    "us-isob-east-1.queue.sc2s.sgov.gov",
    "sqs.eu-isoe-west-1.cloud.adc-e.uk",
    "sqs-fips.eu-isoe-west-1.cloud.adc-e.uk",
    "sqs.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
    "sqs.us-isof-south-1.csp.hci.ic.gov",
    "sqs-fips.us-isof-east-1.csp.hci.ic.gov",
    "sqs.us-isof-south-1.api.aws.hci.ic.gov",
]

LOOK_ALIKES = [
    # AWS's name with more behind it, or in front of it.
    "sqs.us-east-1.amazonaws.com.evil.example",
    "sqs.us-east-1.api.aws.evil.example",
    "queue.amazonaws.com.evil.example",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.us-east-1.vpce.amazonaws.com.evil.example",
    "sqs.us-east-1.amazonaws.com-evil.example",
    "sqs.us-east-1.amazonaws.company",
    "sqs.us-east-1.amazonaws.co",
    "sqs.us-east-1.amazonaws.org",
    "sqs.us-east-1.amazonaws.com.co",
    "sqs.us-east-1.evilamazonaws.com",
    "sqs.us-east-1.evil-amazonaws.com",
    "sqs.us-east-1.evilapi.aws",
    "sqs.us-east-1.aws",
    "sqs.us-east-1.amazonaws",
    "evil.sqs.us-east-1.amazonaws.com",
    "sqs.us-east-1.evil.amazonaws.com",
    "amazonaws.com",
    "us-east-1.amazonaws.com",
    "sqs.amazonaws.com",
    "sqs..us-east-1.amazonaws.com",
    ".sqs.us-east-1.amazonaws.com",
    "sqs.us-east-1..amazonaws.com",
    "-sqs.us-east-1.amazonaws.com",
    "sqs-.us-east-1.amazonaws.com",
    "sqs-evil.us-east-1.amazonaws.com",
    "sqs_fips.us-east-1.amazonaws.com",
    "fips-sqs.us-east-1.amazonaws.com",
    "sqs-us-east-1.amazonaws.com",
    "sqs.us-east-1.arnazonaws.com",
    "sqs.us-east-1.amazonavvs.com",
    "sqs.us-east-1.amaz0naws.com",
    "sqs.us-east-1-amazonaws.com",
    # Names that a customer of AWS owns below AWS's own suffixes.
    "sqs.s3.amazonaws.com",
    "sqs.s3.us-east-1.amazonaws.com",
    "sqs.us-east-1.s3.amazonaws.com",
    "sqs.s3-us-west-2.amazonaws.com",
    "sqs.us-east-1.amazonaws.com.s3.amazonaws.com",
    "queue.s3.amazonaws.com",
    "us-east-1.queue.s3.amazonaws.com",
    "sqs.s3-website-us-east-1.amazonaws.com",
    "sqs-123456789.us-east-1.elb.amazonaws.com",
    "sqs.us-east-1.elb.amazonaws.com",
    "abcdef1234.execute-api.us-east-1.amazonaws.com",
    "abcdef1234.execute-api.us-east-1.api.aws",
    "ec2-203-0-113-9.compute-1.amazonaws.com",
    "ec2-203-0-113-9.us-west-2.compute.amazonaws.com",
    "sqs.abcdefghijkl.us-east-1.rds.amazonaws.com",
    "sqs.us-east-1.cloudfront.net",
    "sqs.us-east-1.on.aws",
    # PrivateLink to somebody else's service, and other services of AWS.
    "vpce-0a1b2c3d4e5f67890-abcdefgh.vpce-svc-0f9e8d7c6b5a43210.us-east-1.vpce.amazonaws.com",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.s3.us-east-1.vpce.amazonaws.com",
    "evil.sqs.us-east-1.vpce.amazonaws.com",
    "vpce-.sqs.us-east-1.vpce.amazonaws.com",
    "vpce-0a1b2c3d.evil.sqs.us-east-1.vpce.amazonaws.com",
    "sns.us-east-1.amazonaws.com",
    "sts.us-east-1.amazonaws.com",
    "kms.us-east-1.amazonaws.com",
    # Regions that are none, or that are of another partition.
    "sqs.evil.amazonaws.com",
    "sqs.us-east.amazonaws.com",
    "sqs.us-east-1a.amazonaws.com",
    "sqs.xx-east-1.amazonaws.com",
    "sqs.aws-global.amazonaws.com",
    "sqs.us-east-1.amazonaws.com.cn",
    "sqs.cn-north-1.amazonaws.com",
    "sqs.us-east-1.c2s.ic.gov",
    "sqs.us-iso-east-1.amazonaws.com",
    "sqs.us-east-1.amazonaws.eu",
    "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.cn-north-1.vpce.amazonaws.com",
    # A trailing dot is another name to a signature and to a certificate.
    "sqs.us-east-1.amazonaws.com.",
    "queue.amazonaws.com.",
    "sqs.us-east-1.amazonaws.com..",
    # Letters that a client may fold into AWS's name, and names that were folded already.
    "xn--sqs-us-east-1-amazonaws-com-evil.example",
    "xn--amazonws-p0a.com",
    "sqs.us-east-1.xn--mazonaws-yqa.com",
    # Addresses in place of names.
    "127.0.0.1",
    "169.254.169.254",
    "10.0.0.5",
    "2130706433",
    "0x7f000001",
    "127.1",
    "017700000001",
    "localhost",
    "localhost.",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    # Very long.
    "sqs.us-east-1.amazonaws.com." + "a" * 255,
    "a" * 10_000 + ".amazonaws.com",
    "sqs." + "us-east-1." * 1_000 + "amazonaws.com",
]

UNREADABLE = [
    # User information, which some parsers end at the first @ and some at the last.
    "https://sqs.us-east-1.amazonaws.com@evil.example",
    "https://sqs.us-east-1.amazonaws.com:443@evil.example",
    "https://sqs.us-east-1.amazonaws.com%40evil.example",
    "https://user@sqs.us-east-1.amazonaws.com",
    "https://user:password@sqs.us-east-1.amazonaws.com",
    "https://@sqs.us-east-1.amazonaws.com",
    "https://evil.example@sqs.us-east-1.amazonaws.com@evil.example",
    # A back slash ends the host for browsers, and not for others.
    "https://evil.example\\.sqs.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com\\@evil.example",
    "https://sqs.us-east-1.amazonaws.com\\evil.example",
    "https:\\\\sqs.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com/\\evil.example",
    # White space and control characters, which some parsers drop.
    " https://sqs.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com ",
    "https://sqs.us-east-1.amazonaws.com\n",
    "https://sqs.us-east-1.amazonaws.com\n.evil.example",
    "https://sqs.us-east-1.amaz\nonaws.com",
    "https://sqs.us-east-1.amazonaws.com\t.evil.example",
    "https://sqs.us-east-1.amazonaws.com\r\nHost: evil.example",
    "https://sqs.us-east-1.amazonaws.com\x00.evil.example",
    "https://sqs.us-east-1.amazonaws.com\x7f",
    "https://sqs us-east-1.amazonaws.com",
    "ht\ntps://sqs.us-east-1.amazonaws.com",
    # Letters outside ASCII: full-width forms, look-alikes, dots of other scripts, invisible ones.
    "https://sqs.us-east-1.\uff41mazonaws.com",
    "https://\uff53\uff51\uff53.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.\u0430mazonaws.com",
    "https://sqs.us-east-1.amazonaws\u3002com",
    "https://sqs.us-east-1.amazonaws.com\uff0eevil.example",
    "https://sqs.us-east-1.amazonaws.com\uff0fevil.example",
    "https://sqs.us-east-1.amazonaws.com\u200b",
    "https://sqs.us-east-1.amazonaws.com\u2024evil.example",
    "https://sq\u017f.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com:\u0664\u0664\u0663",
    "https://b\u00fccher.example",
    # Ports that are none.
    "https://sqs.us-east-1.amazonaws.com:",
    "https://sqs.us-east-1.amazonaws.com:/",
    "https://sqs.us-east-1.amazonaws.com:evil",
    "https://sqs.us-east-1.amazonaws.com:-443",
    "https://sqs.us-east-1.amazonaws.com:443443",
    "https://sqs.us-east-1.amazonaws.com:443:443",
    "https://sqs.us-east-1.amazonaws.com:0x1bb",
    "https://sqs.us-east-1.amazonaws.com: 443",
    # IPv6 literals that are none.
    "https://[::1",
    "https://::1",
    "https://[::1%25eth0]",
    "https://[::1]evil.example",
    "https://[sqs.us-east-1.amazonaws.com]",
    "https://[::1].evil.example",
    # No URL at all, or no host in it.
    "",
    "https://",
    "https:///sqs.us-east-1.amazonaws.com",
    "https:sqs.us-east-1.amazonaws.com",
    "https:/sqs.us-east-1.amazonaws.com",
    "//sqs.us-east-1.amazonaws.com",
    "sqs.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com;evil.example",
    "https://sqs.us-east-1.amazonaws.com#@evil.example",
    "https://sqs.us-east-1.amazonaws.com,evil.example",
    "https://sqs.us-east-1.amazonaws.com&evil.example",
    "https://*.us-east-1.amazonaws.com",
    "https://%73qs.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com%2eevil.example",
    "1https://sqs.us-east-1.amazonaws.com",
]


def is_aws(host: str) -> bool:
    """Whether the host is SQS's, as the rules ask."""
    return is_aws_host(host, "sqs", partitions())


def rules_against(url: str, **settings: object) -> set[str]:
    """The names of the rules that refuse a request to a URL which is fine in all else."""
    connection = Connection(
        url=url,
        service="sqs",
        certificates_checked=True,
        proxied=False,
        proxy_sees_plain_text=False,
        identity=Identity(IdentityKind.TEMPORARY),
        partitions=partitions(),
    )
    return {finding.rule for finding in judge_connection(connection, Config(**settings)).refusals}


def skip_unless_known(host: str) -> None:
    """An older botocore does not know the newer partitions; then their hosts are nobody's."""
    suffixes = {suffix for each in partitions() for suffix in (each.dns_suffix, each.dual_stack_dns_suffix) if suffix}
    if not any(host.endswith(f".{suffix}") for suffix in suffixes):
        pytest.skip("a partition that the installed botocore does not know")


# --- AWS's own hosts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", AWS_HOSTS)
def test_a_host_of_sqs_is_accepted(host):
    skip_unless_known(host)
    assert is_aws(host)
    assert rules_against(f"https://{host}/") == set()


@pytest.mark.parametrize("host", AWS_HOSTS)
def test_the_same_host_over_plain_http_is_refused_for_that_alone(host):
    skip_unless_known(host)
    assert rules_against(f"http://{host}/") == {"https-endpoint"}


@pytest.mark.parametrize("host", ["SQS.US-EAST-1.AMAZONAWS.COM", "Sqs.us-East-1.amazonAWS.com", "QUEUE.AmazonAWS.com"])
@pytest.mark.parametrize("scheme", ["https", "HTTPS", "HtTpS"])
def test_letter_case_does_not_matter_in_a_host_of_sqs(scheme, host):
    assert rules_against(f"{scheme}://{host}/") == set()


@pytest.mark.parametrize("scheme", ["HTTP", "hTTp"])
def test_letter_case_does_not_hide_plain_http(scheme):
    assert rules_against(f"{scheme}://sqs.us-east-1.amazonaws.com/") == {"https-endpoint"}


@pytest.mark.parametrize("variant", ["plain", "fips", "dual-stack", "fips and dual-stack"])
def test_whatever_botocore_resolves_to_is_accepted(variant):
    session = Session()
    config = ClientConfig(use_fips_endpoint="fips" in variant, use_dualstack_endpoint="dual-stack" in variant)
    urls = []

    def answer(params, **_):  # ahead of any signature, so that nothing is sent
        urls.append(params["url"])
        return AWSResponse(params["url"], 200, {}, None), {}

    for partition in partitions():
        for region in sorted(each for each in partition.regions if not each.endswith("-global")):
            with suppress(BotoCoreError):  # a partition without this variant
                client = session.create_client(
                    "sqs", region, config=config, aws_access_key_id="x", aws_secret_access_key="y"
                )
                client.meta.events.register("before-call", answer)
                client.list_queues()
    assert len(urls) > 25
    assert [url for url in urls if rules_against(url)] == []


def test_the_legacy_names_in_botocore_are_accepted():
    resolver = Session().get_component("endpoint_resolver")
    names = set()
    for partition in partitions():
        for region in partition.regions:
            names.add((resolver.construct_endpoint("sqs", region) or {}).get("sslCommonName"))
    names -= {None}
    assert "us-west-2.queue.amazonaws.com" in names
    assert [name for name in names if not is_aws(name)] == []


def test_a_region_that_botocore_does_not_know_yet_is_accepted_by_its_pattern():
    assert is_aws("sqs.eu-west-99.amazonaws.com")
    assert is_aws("sqs.us-gov-south-7.amazonaws.com")


def test_a_name_with_letters_outside_ascii_fits_no_pattern_of_regions():
    assert not is_aws_host("sqs.us-\u00fcnten-1.amazonaws.com", "sqs", partitions())
    assert not is_aws_host("sqs.us-east-\u0661.amazonaws.com", "sqs", partitions())


def test_every_partition_of_botocore_is_read():
    with_regions = {partition.id for partition in partitions() if partition.regions and partition.dns_suffix}
    assert {"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b"} <= with_regions


def test_a_host_of_another_service_is_accepted_for_that_service_only():
    assert is_aws_host("kms.us-east-1.amazonaws.com", "kms", partitions())
    assert not is_aws_host("sqs.us-east-1.amazonaws.com", "kms", partitions())
    assert not is_aws_host("queue.amazonaws.com", "kms", partitions())
    assert not is_aws_host("us-east-1.queue.amazonaws.com", "kms", partitions())


# --- what only looks so ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", LOOK_ALIKES, ids=lambda host: host[:80])
def test_a_host_that_only_looks_like_sqs_is_refused(host):
    assert not is_aws(host)
    assert "endpoint-host" in rules_against(f"https://{host}/")


@pytest.mark.parametrize(
    "address", ["::1", "::ffff:127.0.0.1", "2001:db8::1", "fd00:ec2::254", "::", "1:2:3:4:5:6:7:8"]
)
def test_an_ipv6_literal_is_refused(address):
    assert rules_against(f"https://[{address}]/") == {"endpoint-host"}


@pytest.mark.parametrize("url", UNREADABLE, ids=ascii)
def test_a_url_that_two_parsers_could_read_differently_is_refused(url):
    assert parse_endpoint(url) is None
    assert "endpoint-host" in rules_against(url)


@pytest.mark.parametrize("url", UNREADABLE, ids=ascii)
def test_such_a_url_is_refused_even_when_everything_in_it_is_trusted(url):
    trusted = ["evil.example", "sqs.us-east-1.amazonaws.com", "localhost", "[::1]", "xn--bcher-kva.example"]
    assert "endpoint-host" in rules_against(url, trusted_endpoint_hosts=trusted)


@pytest.mark.parametrize("port", ["80", "8443", "4566", "0", "1", "65535", "99999", "4430"])
def test_an_odd_port_of_a_host_of_sqs_is_refused(port):
    assert rules_against(f"https://sqs.us-east-1.amazonaws.com:{port}/") == {"endpoint-host"}


def test_port_80_over_http_is_refused_as_plain_http():
    assert rules_against("http://sqs.us-east-1.amazonaws.com:80/") == {"https-endpoint"}
    assert rules_against("http://sqs.us-east-1.amazonaws.com:443/") == {"https-endpoint", "endpoint-host"}


@pytest.mark.parametrize("port", ["443", "0443", "00443"])
def test_the_standard_port_may_be_written_out(port):
    assert rules_against(f"https://sqs.us-east-1.amazonaws.com:{port}/") == set()


@pytest.mark.parametrize("scheme", ["ftp", "ws", "wss", "file", "httpsx", "http+unix", "unix", "gopher"])
def test_any_other_scheme_is_refused(scheme):
    assert "https-endpoint" in rules_against(f"{scheme}://sqs.us-east-1.amazonaws.com/")


@pytest.mark.parametrize("path", ["", "/", "/123456789012/orders", "?Action=x", "/?a=b@c:d", "//evil.example/"])
def test_the_path_of_a_url_does_not_matter(path):
    assert rules_against(f"https://sqs.us-east-1.amazonaws.com{path}") == set()


@pytest.mark.parametrize("path", ["", "/", "/sqs.us-east-1.amazonaws.com", "?sqs.us-east-1.amazonaws.com"])
def test_the_path_of_a_url_does_not_help(path):
    assert rules_against(f"https://evil.example{path}") == {"endpoint-host"}


def test_a_very_long_name_is_judged_at_once():
    parts = ".".join(["sqs"] * 100_000)
    assert not is_aws(f"{parts}.amazonaws.com")
    assert not is_aws("vpce-" + "0-" * 100_000 + "!.sqs.us-east-1.vpce.amazonaws.com")
    assert parse_endpoint("https://" + "a" * 1_000_000 + "\n") is None


# --- what a URL says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "endpoint", "text"),
    [
        ("https://Host.Example", Endpoint("https", "host.example", 443), "https://host.example"),
        ("HTTP://host.example:80/x", Endpoint("http", "host.example", 80), "http://host.example"),
        ("http://host.example:443", Endpoint("http", "host.example", 443), "http://host.example:443"),
        ("https://[::1]:4566/", Endpoint("https", "::1", 4566), "https://[::1]:4566"),
        ("https://[2001:DB8::1]", Endpoint("https", "2001:db8::1", 443), "https://[2001:db8::1]"),
        (
            "https://under_score.example/?a#b",
            Endpoint("https", "under_score.example", 443),
            "https://under_score.example",
        ),
    ],
)
def test_a_readable_url_is_taken_apart(url, endpoint, text):
    assert parse_endpoint(url) == endpoint
    assert str(endpoint) == text


# --- trusted by name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://sqs.corp.example/", "sqs.corp.example"),
        ("https://sqs.corp.example:443/", "sqs.corp.example"),
        ("https://SQS.corp.example/", "sqs.CORP.example"),
        ("https://sqs.corp.example:8443/", "sqs.corp.example:8443"),
        ("https://[::1]:4566/", "[::1]:4566"),
        ("https://10.0.0.5/", "10.0.0.5"),
    ],
)
def test_a_trusted_host_is_accepted_on_its_port(url, entry):
    assert is_trusted(parse_endpoint(url), [entry])
    assert rules_against(url, trusted_endpoint_hosts=[entry]) == set()


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.corp.example:8443/",
        "https://sqs.corp.example./",
        "https://evil.sqs.corp.example/",
        "https://sqs.corp.example.evil.example/",
        "https://corp.example/",
        "https://sqsxcorp.example/",
        "https://xsqs.corp.example/",
    ],
)
def test_a_trusted_host_covers_no_other_name_and_no_other_port(url):
    assert rules_against(url, trusted_endpoint_hosts=["sqs.corp.example"]) == {"endpoint-host"}


def test_a_trusted_host_is_not_trusted_over_plain_http():
    assert rules_against("http://sqs.corp.example/", trusted_endpoint_hosts=["sqs.corp.example"]) == {"https-endpoint"}
    assert rules_against("http://sqs.corp.example:443/", trusted_endpoint_hosts=["sqs.corp.example:443"]) == {
        "https-endpoint"
    }


def test_a_trusted_port_80_is_no_trust_in_443():
    assert "endpoint-host" in rules_against("https://sqs.corp.example/", trusted_endpoint_hosts=["sqs.corp.example:80"])


# --- loopback, for the profile `local` -------------------------------------------------------------------------------

LOOPBACK = ["localhost", "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"]
NOT_LOOPBACK = [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "fe80::1",
    "128.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "127.0.0.1.nip.io",
    "localhost.",
    "localhost.localdomain",
    "localhost.evil.example",
    "evil.localhost",
    "xlocalhost",
    "ip6-localhost",
    "localtest.me",
    "",
]


def bracketed(host: str) -> str:
    """The host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_loopback_address_is_one_in_its_usual_notation(host):
    assert is_loopback(host)
    assert rules_against(f"http://{bracketed(host)}:4566/", profile="local") == set()


@pytest.mark.parametrize("host", NOT_LOOPBACK)
def test_nothing_else_is_a_loopback_address(host):
    assert not is_loopback(host)
    assert "endpoint-host" in rules_against(f"http://{bracketed(host)}:4566/", profile="local")


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("profile", ["baseline", "strict"])
def test_a_loopback_address_is_a_foreign_host_in_the_other_profiles(profile, host):
    assert {"https-endpoint", "endpoint-host"} <= rules_against(f"http://{bracketed(host)}:4566/", profile=profile)


# --- VPC endpoints ---------------------------------------------------------------------------------------------------

VPC_ENDPOINT_HOST = "vpce-0a1b2c3d4e5f67890-abcdefgh.sqs.us-east-1.vpce.amazonaws.com"
ZONAL_HOST = "vpce-0a1b2c3d4e5f67890-abcdefgh-us-east-1a.sqs.us-east-1.vpce.amazonaws.com"


@pytest.mark.parametrize("host", [VPC_ENDPOINT_HOST, ZONAL_HOST])
def test_the_id_of_a_vpc_endpoint_is_read_from_its_host(host):
    assert vpc_endpoint_of(host) == "vpce-0a1b2c3d4e5f67890"


@pytest.mark.parametrize(
    "host", ["sqs.us-east-1.amazonaws.com", "vpce-0a1b.evil.example", "vpce-0a1b", "vpce.x.vpce.y"]
)
def test_no_other_host_has_a_vpc_endpoint_id(host):
    assert vpc_endpoint_of(host) == ""


@pytest.mark.parametrize("host", [VPC_ENDPOINT_HOST, ZONAL_HOST])
def test_only_the_listed_vpc_endpoints_may_be_used(host):
    assert rules_against(f"https://{host}/", vpc_endpoints=["vpce-0a1b2c3d4e5f67890"]) == set()
    assert rules_against(f"https://{host}/", vpc_endpoints=["vpce-11111111"]) == {"endpoint-host"}
    assert rules_against(f"https://{host}/", vpc_endpoints=["vpce-0a1b2c3d4e5f6789"]) == {"endpoint-host"}


# --- private addresses, for vpc-route --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["10.1.2.3", "172.31.0.1", "192.168.0.1", "fd00::1", "fe80::1%eth0", "127.0.0.1"])
def test_a_private_address_is_private(address):
    assert is_private(address)


@pytest.mark.parametrize(
    "address", ["52.94.5.1", "172.32.0.1", "2600:1f18::1", "::ffff:52.94.5.1", "", "sqs", "10.1.2"]
)
def test_a_public_address_or_no_address_is_not_private(address):
    assert not is_private(address)
