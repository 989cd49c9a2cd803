"""Endpoints: what a URL says, read so strictly that no parser can read it differently, and whose host it names.

Host names follow "Amazon Simple Queue Service endpoints and quotas" and "AWS service endpoints"; the partitions
(DNS suffixes and regions) are botocore's own data, handed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple

from safe_sqs.model import Partition

__all__ = ["Endpoint", "is_aws_host", "is_loopback", "is_private", "is_trusted", "parse_endpoint", "vpc_endpoint_of"]

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][\x21-\x5b\x5d-\x7e]*)?",
    re.ASCII,
)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_VPC_ENDPOINT = re.compile(r"(?P<id>vpce-[0-9a-z]+)(?:-[0-9a-z]+)*", re.ASCII)
_PSEUDO_REGION = "-global"


class Endpoint(NamedTuple):
    """Scheme, host (lower case, IPv6 without brackets) and port of a URL."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """host, or host:port when the port is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def parse_endpoint(url: str) -> Endpoint | None:
    """Scheme, host and port of a URL, or None when two parsers could disagree about them.

    User information, a back slash, white space, control characters, and anything outside ASCII (which a client may
    fold into another name) all make it None.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(scheme, 0)
    return Endpoint(scheme, match["host"].lower().strip("[]"), port)


@cache
def is_aws_host(host: str, service: str, partitions: tuple[Partition, ...]) -> bool:
    """True when AWS serves `service` under this very name.

    The whole name must fit: a bucket, a load balancer or a virtual machine also has a name below `amazonaws.com`.
    """
    return any(_fits(host, service, partition) for partition in partitions)


def _fits(host: str, service: str, partition: Partition) -> bool:
    services = (service, f"{service}-fips")
    for suffix in (partition.dns_suffix, partition.dual_stack_dns_suffix):
        if not suffix or not host.endswith(f".{suffix}"):
            continue
        match host[: -len(suffix) - 1].split("."):
            case [name, region] if name in services:
                return _is_region(region, partition)
            case [region, "queue"] if service == "sqs" and suffix == partition.dns_suffix:
                return _is_region(region, partition)
            case ["queue"] if service == "sqs" and suffix == partition.dns_suffix:
                return True
            case [endpoint, name, region, "vpce"] if name in services and suffix == partition.dns_suffix:
                return _VPC_ENDPOINT.fullmatch(endpoint) is not None and _is_region(region, partition)
    return False


def _is_region(name: str, partition: Partition) -> bool:
    if name.endswith(_PSEUDO_REGION):
        return False
    return name in partition.regions or re.fullmatch(partition.region_pattern, name, re.ASCII) is not None


def vpc_endpoint_of(host: str) -> str:
    """The id of the VPC endpoint that a host name belongs to, or ""."""
    first, _, rest = host.partition(".")
    match = _VPC_ENDPOINT.fullmatch(first)
    return match["id"] if match and ".vpce." in f".{rest}" else ""


def is_trusted(endpoint: Endpoint, trusted: Iterable[str]) -> bool:
    """True when the list names this host and port; an entry without a port means the scheme's own port."""
    return endpoint.netloc in {entry.lower() for entry in trusted}


def is_loopback(host: str) -> bool:
    """True for `localhost` and for a loopback address in its usual notation; no other name counts, whatever it
    resolves to."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(address: str) -> bool:
    """True when an address is not routed on the internet."""
    try:
        return ip_address(address).is_private
    except ValueError:
        return False
