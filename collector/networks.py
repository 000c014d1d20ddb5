"""Which addresses and serial ports the collector may reach by configuration.

Owns the rule that a device's address never leads to what is not a device: by default private networks
and this machine only; and how a serial port may be set. Pure but for the name service.
"""

import asyncio
import fnmatch
import ipaddress
import os
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
BAUDRATES = ("300", "600", "1200", "2400", "4800", "9600", "14400", "19200", "38400", "57600", "115200")
PARITIES = ("N", "E", "O")


def refused(address: str, networks: Sequence[str]) -> bool:
    """Tell whether an IP address may not be reached.

    It must lie in an allowed network (CIDR; empty means the default), and never be an address of this
    machine on a network; the loopback is reached only where its network is allowed.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if not any(parsed in ipaddress.ip_network(network) for network in networks or DEFAULT_NETWORKS):
        return True
    return not parsed.is_loopback and is_own(parsed)


def is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address is one of this machine's: only those can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004, the IP version
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((str(address), 0))
    except OSError:
        return False
    return True


def peer_problem(peer: str, networks: Sequence[str]) -> str:
    """Return why an open connection may not be used, or an empty text.

    Judges the address that was really reached: between the question to the name service and the
    connection a name can change.
    """
    return f"实际连到的地址 {peer} 不在允许的网段内" if peer and refused(peer, networks) else ""


def _port_problem(port: str, serial_ports: Sequence[str]) -> str:
    path = os.path.normpath(port)
    allowed = not serial_ports or any(fnmatch.fnmatchcase(path, pattern) for pattern in serial_ports)
    return "" if allowed else f"串口 {port} 不在允许的串口之内"


def port_settings_problem(baudrate: str, parity: str) -> str:
    """Return why a serial port cannot be set so, or an empty text."""
    if baudrate not in BAUDRATES:
        return f"串口波特率 {baudrate} 不可用：{'、'.join(BAUDRATES)} 之一"
    return "" if parity in PARITIES else f"串口校验 {parity} 不可用：N、E 或 O"


async def address_problem(line: Line, networks: Sequence[str], serial_ports: Sequence[str] = ()) -> str:
    """Return why a line may not be opened, or an empty text; a name is judged by all its addresses."""
    if line.serial:
        return _port_problem(line.host, serial_ports)
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
        return f"地址 {line.host} 不在允许的网段内，或是本机自己的地址"
    return ""
