"""Which IP addresses are left, when a request has to come from some blocks and not from others."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network

__all__ = ["PRIVATE", "Network", "an_address", "fixed_blocks"]

Network = IPv4Network | IPv6Network
_Ranges = list[tuple[int, int]]

_WIDEST_PREFIX = {4: 8, 6: 32}
_ADDRESS = {4: IPv4Address, 6: IPv6Address}
_BITS = {4: 32, 6: 128}
_PREFERRED = {4: int(ip_address("198.51.100.7")), 6: int(ip_address("2001:db8::7"))}
"""Addresses for documentation: what a witness shows where any will do."""

PRIVATE: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""Where no request from the internet comes from."""


def fixed_blocks(blocks: Iterable[Network]) -> Iterable[Network]:
    """Of the blocks in one list, those that are no wider than /8 (IPv4) or /32 (IPv6), after neighbours are merged."""
    blocks = list(blocks)
    for version in (4, 6):
        for block in collapse_addresses(block for block in blocks if block.version == version):  # type: ignore[type-var]
            if block.prefixlen >= _WIDEST_PREFIX[version]:
                yield block


def an_address(inside: Iterable[Iterable[Network]], outside: Iterable[Network]) -> str | None:
    """An address that is in a block of each list of `inside` and in no block of `outside`, or None."""
    inside, outside = [list(blocks) for blocks in inside], list(outside)
    for version in (4, 6):
        ranges: _Ranges = [(0, 2 ** _BITS[version] - 1)]
        for blocks in inside:
            ranges = _common(ranges, _ranges(blocks, version))
        ranges = _common(ranges, _gaps(_ranges(outside, version), 2 ** _BITS[version] - 1))
        if ranges:
            return str(_ADDRESS[version](_chosen(ranges, version)))
    return None


def _chosen(ranges: _Ranges, version: int) -> int:
    preferred = _PREFERRED[version]
    if any(first <= preferred <= last for first, last in ranges):
        return preferred
    first, last = ranges[0]
    return min(first + 1, last)


def _ranges(blocks: Iterable[Network], version: int) -> _Ranges:
    """The blocks as ranges of numbers, in order, without overlap."""
    ranges: _Ranges = []
    for first, last in sorted(
        (int(block.network_address), int(block.broadcast_address)) for block in blocks if block.version == version
    ):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], last))
        else:
            ranges.append((first, last))
    return ranges


def _gaps(ranges: _Ranges, end: int) -> _Ranges:
    starts = [0, *(last + 1 for _, last in ranges)]
    stops = [*(first - 1 for first, _ in ranges), end]
    return [(start, stop) for start, stop in zip(starts, stops, strict=True) if start <= stop]


def _common(one: _Ranges, other: _Ranges) -> _Ranges:
    common: _Ranges = []
    here, there = 0, 0
    while here < len(one) and there < len(other):
        first, last = max(one[here][0], other[there][0]), min(one[here][1], other[there][1])
        if first <= last:
            common.append((first, last))
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return common
