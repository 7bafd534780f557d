"""Which addresses are places on the open internet. Pure: nothing is looked up here."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, urlsplit

from sop.errors import SiyuError

Address = IPv4Address | IPv6Address
_INSIDE = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa")
_EMBEDS = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))  # the last four bytes are IPv4
_NEVER = (
    IPv6Network("64:ff9b:1::/48"),  # NAT64 of somebody's own network
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("fec0::/10"),  # site-local, of old
)


class BadAddress(SiyuError):
    """这个网址不能用。"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an https address points: the host as DNS knows it, and what to ask it for."""

    host: str
    port: int
    path: str


def place_of(url: str) -> Place:
    """Take an address apart. Raises `BadAddress` when it is no place on the open internet."""
    try:
        parts = urlsplit(url)
        port, host = parts.port or 443, (parts.hostname or "").rstrip(".")
        host = host if ":" in host else host.encode("idna").decode("ascii").lower()
    except (ValueError, UnicodeError):
        raise BadAddress("网址写得不对") from None
    if parts.scheme != "https" or not host:
        raise BadAddress("网址要以 https:// 开头")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("网址里不能带用户名和密码")
    _refuse_inside(host)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    return Place(host, port, path + query)


def _refuse_inside(host: str) -> None:
    try:
        public = is_public(ip_address(host))
    except ValueError:  # a name
        labels = host.split(".")
        inside = any(host == end or host.endswith(f".{end}") for end in _INSIDE)
        # A last label of digits is an address in disguise: 2130706433, 127.1, 0x7f.1.
        public = len(labels) > 1 and not inside and not labels[-1][:1].isdigit()
    if not public:
        raise BadAddress(f"{host} 不是公网上的地址")


def is_public(address: Address) -> bool:
    """Whether an address is on the open internet, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and any(address in network for network in _EMBEDS):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.scope_id or any(address in network for network in _NEVER):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
