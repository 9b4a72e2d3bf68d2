"""Which addresses a collect may connect to, and a transport that connects to no other.

A URL in a list may lead, by itself or by a redirect, to a machine that only this one can reach:
a router, a cloud's metadata service, a database. Names are therefore resolved once, all their
addresses are checked, and the connection is made to a checked address itself. A name that
resolves differently a moment later (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 ranges that wrap an IPv4 address, with how far that is shifted to the left.
_WRAPPERS = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4
)


class PrivateAddress(httpx.RequestError):
    """The name leads to an address that is not on the public internet."""


class UnknownHost(httpx.RequestError):
    """The name does not resolve."""


def is_public(text: str) -> bool:
    """Whether an address is on the public internet.

    False for private, loopback, link-local, reserved, multicast and unspecified ones, and for
    IPv6 addresses that wrap such an IPv4 one.

    Example:
        >>> is_public("169.254.169.254"), is_public("::ffff:10.0.0.1"), is_public("8.8.8.8")
        (False, False, True)
    """
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(str(address.ipv4_mapped))
        for network, shift in _WRAPPERS:
            if address in network:
                wrapped = ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
                return is_public(str(wrapped))
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


class Gate:
    """Says which addresses of a host may be connected to.

    `allow_private` opens all, `allowed_networks` single ones ("10.1.0.0/16"), such as an image
    server in one's own house.
    """

    def __init__(
        self, *, allow_private: bool = False, allowed_networks: Iterable[str] = ()
    ) -> None:
        self._allow_private = allow_private
        self._networks = [ipaddress.ip_network(network) for network in allowed_networks]

    def addresses(self, host: str, *, port: int) -> list[str]:
        """The host's addresses, IPv4 first; PrivateAddress when a single one may not be used."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise UnknownHost(f"the name {host} does not resolve: {error}") from error
        ordered = sorted(found, key=lambda one: one[0] != socket.AF_INET)
        addresses = list(dict.fromkeys(str(one[4][0]) for one in ordered))
        for address in addresses:
            if not self._open(address):
                raise PrivateAddress(f"{host} is {address}, which is not a public address")
        return addresses

    def _open(self, text: str) -> bool:
        if self._allow_private or is_public(text):
            return True
        address = ipaddress.ip_address(text.partition("%")[0])
        return any(address in network for network in self._networks)


class PinnedTransport(httpx.BaseTransport):
    """Connects to the addresses that the gate has checked, never to a name.

    The `Host` header and the name in the TLS handshake, against which the certificate is
    checked, stay those of the URL. Connections are not kept, because a pool keyed by address
    would answer for one name over a connection that was verified for another.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        limits = httpx.Limits(max_keepalive_connections=0, max_connections=None)
        self._inner = httpx.HTTPTransport(limits=limits, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The response of the first address that accepts a connection."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = self._gate.addresses(host, port=port)
        for number, address in enumerate(addresses[:3], start=1):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return self._inner.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses[:3]):
                    raise
        raise UnknownHost(f"the name {host} has no addresses")

    def close(self) -> None:
        """Ends all connections."""
        self._inner.close()
