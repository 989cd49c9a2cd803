"""What a person writes for a queue: which region and URL it means, and that nothing is sent to a host that it names."""

from __future__ import annotations

import pytest

from safe_sqs import Config
from safe_sqs.fleet.access import Account
from safe_sqs.fleet.naming import NamingError, named, url_of

PATH = "111122223333/orders"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (f"https://sqs.eu-west-1.amazonaws.com/{PATH}", "eu-west-1"),
        (f"https://sqs.eu-west-1.amazonaws.com/{PATH}.fifo", "eu-west-1"),
        (f"http://sqs.eu-west-1.amazonaws.com:443/{PATH}", "eu-west-1"),
        (f"https://SQS.eu-west-1.AmazonAWS.com/{PATH}", "eu-west-1"),
        (f"https://sqs-fips.us-east-2.amazonaws.com/{PATH}", "us-east-2"),
        (f"https://sqs.eu-west-1.api.aws/{PATH}", "eu-west-1"),
        (f"https://sqs.cn-north-1.amazonaws.com.cn/{PATH}", "cn-north-1"),
        (f"https://sqs.cn-north-1.api.amazonwebservices.com.cn/{PATH}", "cn-north-1"),
        (f"https://sqs.us-gov-west-1.amazonaws.com/{PATH}", "us-gov-west-1"),
        (f"https://queue.amazonaws.com/{PATH}", "us-east-1"),
        (f"https://eu-west-1.queue.amazonaws.com/{PATH}", "eu-west-1"),
        (f"https://queue.amazonaws.com.cn/{PATH}", ""),
        (f"https://vpce-0123abcd-xyz.sqs.eu-west-1.vpce.amazonaws.com/{PATH}", "eu-west-1"),
        (f"https://vpce-0123abcd-xyz-eu-west-1a.sqs.eu-west-1.vpce.amazonaws.com/{PATH}", "eu-west-1"),
        (f"https://sqs.eu-west-1.amazonaws.com.example.org/{PATH}", ""),
        (f"https://bucket.eu-west-1.amazonaws.com/{PATH}", ""),
        (f"https://localhost:4566/{PATH}", ""),
        (f"https://127.0.0.1/queue/{PATH}", ""),
        ("orders", ""),
        ("orders.fifo", ""),
        ("n" * 80, ""),
        ("arn:aws:sqs:eu-west-1:111122223333:orders", "eu-west-1"),
        ("arn:aws:sqs:eu-west-1:999999999999:theirs.fifo", "eu-west-1"),
        ("arn:aws-cn:sqs:cn-north-1:111122223333:orders", "cn-north-1"),
        ("arn:aws:sqs:xx-new-9:111122223333:orders", "xx-new-9"),
        ("  orders\n", ""),
    ],
)
def test_arns_and_hosts_of_aws_name_the_region_and_nothing_else_does(url, region):
    assert named(url).region == region


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a queue's URL"),
        ("orders-*", "expected a queue's URL"),
        ("two words", "expected a queue's URL"),
        ("orders.fifo.fifo", "expected a queue's URL"),
        ("n" * 81, "expected a queue's URL"),
        ("n" * 78 + ".fifo", "expected a queue's URL"),
        ("\x1b[31morders", "expected a queue's URL"),
        ("arn:aws:sns:eu-west-1:111122223333:orders", "expected arn:aws:sqs:"),
        ("arn:aws:sqs:eu-west-1:111122223333:orders:extra", "expected arn:aws:sqs:"),
        ("arn:aws:sqs:eu-west-1::orders", "expected arn:aws:sqs:"),
        ("arn:aws:sqs:eu-west-1:111122223333:*", "expected arn:aws:sqs:"),
        ("arn:aws:sqs:cn-north-1:111122223333:orders", "expected the partition aws-cn"),
        (f"ftp://sqs.eu-west-1.amazonaws.com/{PATH}", "expected a queue's URL"),
        (f"https://sqs.eu-west-1.amazonaws.com\\@example.org/{PATH}", "expected a queue's URL"),
        ("https://sqs.eu-west-1.amazonaws.com/", "does not end with /ACCOUNT/NAME"),
        ("https://sqs.eu-west-1.amazonaws.com/orders", "does not end with /ACCOUNT/NAME"),
        (f"https://sqs.eu-west-1.amazonaws.com/{PATH}?Action=SendMessage", "ends with the name"),
        (f"https://sqs.eu-west-1.amazonaws.com/{PATH}#top", "ends with the name"),
    ],
)
def test_what_names_no_queue_is_told_with_what_was_expected(text, expected):
    with pytest.raises(NamingError) as told:
        named(text)
    assert expected in str(told.value)
    assert "\x1b" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:hunter2@sqs.eu-west-1.amazonaws.com/{PATH}",
        f"https://sqs.eu-west-1.amazonaws.com/{PATH}?X-Amz-Security-Token=hunter2",
    ],
)
def test_no_secret_in_a_url_is_repeated(url):
    with pytest.raises(NamingError) as told:
        named(url)
    assert "hunter2" not in str(told.value)


@pytest.fixture
def client(emulator, make_raw):
    """A client for the emulator."""
    return make_raw()


def test_an_arn_becomes_a_url_at_the_endpoint_of_the_client_without_a_call(client, emulator):
    before = emulator.arrived.copy()
    url = url_of(client, named("arn:aws:sqs:us-east-1:999999999999:theirs"))
    assert url == f"{emulator.url}/999999999999/theirs"
    assert emulator.arrived == before


def test_a_name_is_asked_for(client, good):
    assert url_of(client, named(good.rpartition("/")[2])) == good


def test_a_url_of_aws_stays_as_it_is(client):
    url = f"https://sqs.us-east-1.amazonaws.com/{PATH}"
    assert url_of(client, named(url)) == url


def test_a_url_of_the_endpoint_stays_as_it_is_however_its_path_is_made(client, emulator):
    for url in (f"{emulator.url}/{PATH}", f"{emulator.url}/queue/orders"):
        assert url_of(client, named(url)) == url


@pytest.mark.parametrize("host", ["https://example.org", "http://localhost:9324/queue", "https://localhost"])
def test_of_the_url_of_another_endpoint_only_the_path_counts(client, emulator, host):
    assert url_of(client, named(f"{host}/{PATH}")) == f"{emulator.url}/{PATH}"


def test_the_url_of_another_endpoint_has_to_say_account_and_name(client):
    with pytest.raises(NamingError, match="does not end with /ACCOUNT/NAME"):
        url_of(client, named("http://localhost:9324/queue/orders"))


def test_a_host_that_a_url_names_is_never_connected_to(emulator, monkeypatch, good):
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "ASIAEXAMPLEEXAMPLE01")
    client = Account().sqs(Config())
    elsewhere = named(good.replace(emulator.url, "https://nobody.invalid"))
    before = emulator.arrived["GetQueueAttributes"]
    client.get_queue_attributes(QueueUrl=url_of(client, elsewhere), AttributeNames=["All"])
    assert emulator.arrived["GetQueueAttributes"] == before + 1
