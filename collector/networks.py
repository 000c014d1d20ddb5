"""Which addresses the collector may reach by configuration.

Owns the rule that a device's address never leads to what is not a device: by default private networks
and this machine only. Pure but for the name service.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from collector.modbus import Line

DEFAULT_NETWORKS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "::1/128",
    "fc00::/7",
)


def refused(address: str, networks: Sequence[str]) -> bool:
    """Tell whether an IP address lies outside every allowed network (CIDR; empty means the default)."""
    parsed = ipaddress.ip_address(address)
    return not any(parsed in ipaddress.ip_network(network) for network in networks or DEFAULT_NETWORKS)


async def address_problem(line: Line, networks: Sequence[str]) -> str:
    """Return why a line may not be opened, or an empty text; a name is judged by all its addresses."""
    if line.serial:
        return ""
    try:
        addresses = [str(ipaddress.ip_address(line.host))]
    except ValueError:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(line.host, line.port, type=socket.SOCK_STREAM)
        except OSError:
            return ""  # connecting fails by itself and says so
        addresses = [str(item[4][0]) for item in found]
    if any(refused(address, networks) for address in addresses):
        return f"地址 {line.host} 不在允许的网段内"
    return ""
