"""How the peers of the collector are run on the rig: thingsboard-gateway, modpoll, and collectd's plugin.

Owns their configuration, and counting their CPU. All of them read the same registers of the same devices.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from collector.profile import load_profile
from tests.bench.modbus_rig import PROFILE, address_of, blocks
from tests.bench.peers import debian_peer, peer_python

LIMITS = {"maxPayloadSize": 65_536, "maxInflightMessages": 100, "rateLimits": {}, "gatewayRateLimits": {}}
ASKED = re.compile(r"v1/devices/me/rpc/request/(\d+)")


def spent(process: psutil.Process) -> float:
    """CPU seconds of a process and its children so far."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        times = one.cpu_times()
        total += times.user + times.system
    return total


@contextmanager
def running(command: list[str], folder: Path, variables: Mapping[str, str]) -> Iterator[psutil.Process]:
    """Run a peer for the time of a block, its output in a file of the folder."""
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def tags() -> list[tuple[str, int, int]]:
    """Return function code, address and words of every field that is polled in a cycle."""
    ranges = [(code, range(address, address + count)) for code, address, count in blocks()]
    fields = [field for field in load_profile(PROFILE).fields if field.quantity]
    return [
        (field.function_code, field.address, field.count)
        for field in fields
        if field.count <= 2 and any(code == field.function_code and field.address in r for code, r in ranges)
    ]


class Answerer:
    """Answers thingsboard-gateway's question for limits, without which it waits for a minute."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._answer
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("v1/devices/me/rpc/request/+")
        self._client.loop_start()

    @staticmethod
    def _answer(client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        asked = ASKED.fullmatch(message.topic)
        if asked:
            client.publish(f"v1/devices/me/rpc/response/{asked[1]}", json.dumps(LIMITS))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def thingsboard_gateway(
    folder: Path, port: int, devices: int, period: float, broker: int
) -> Iterator[psutil.Process]:
    """Run thingsboard-gateway 3.8.5 with one request a tag, as its configuration has it by default."""
    python = peer_python("thingsboard-gateway", "pymodbus==3.9.2", "thingsboard-gateway==3.8.5")
    shipped = next(python.parents[1].glob("lib/python*/site-packages/thingsboard_gateway/config"))
    settings = json.loads((shipped / "tb_gateway.json").read_text())
    settings["thingsboard"] |= {
        "host": "127.0.0.1",
        "port": broker,
        "remoteConfiguration": False,
        "security": {"type": "accessToken", "accessToken": "bench"},
    }
    settings["thingsboard"]["statistics"]["enable"] = False
    settings["storage"] = {"type": "sqlite", "data_file_path": str(folder / "data.db")}
    settings["connectors"] = [{"type": "modbus", "name": "rig", "configuration": "modbus.json"}]
    series = [
        {
            "tag": f"t{number}",
            "type": "16uint" if words == 1 else "32uint",
            "functionCode": code,
            "objectsCount": words,
            "address": address,
        }
        for number, (code, address, words) in enumerate(tags())
    ]
    slaves = [
        {
            "host": address_of(number),
            "port": port,
            "type": "tcp",
            "method": "socket",
            "unitId": 1,
            "deviceName": f"d{number}",
            "timeout": 3,
            "byteOrder": "BIG",
            "wordOrder": "BIG",
            "pollPeriod": round(period * 1000),
            "timeseries": series,
        }
        for number in range(1, devices + 1)
    ]
    (folder / "modbus.json").write_text(json.dumps({"master": {"slaves": slaves}}))
    (folder / "tb_gateway.json").write_text(json.dumps(settings))
    (folder / "logs.json").write_text((shipped / "logs.json").read_text())
    (folder / "logs").mkdir()
    answerer = Answerer(broker)
    main = "from thingsboard_gateway.tb_gateway import main; main()"
    try:
        with running([str(python), "-c", main], folder, {"TB_GW_CONFIG_DIR": f"{folder}/"}) as process:
            yield process
    finally:
        answerer.close()


@contextmanager
def modpoll(folder: Path, port: int, devices: int, period: float) -> Iterator[psutil.Process]:
    """Run modpoll 1.6, which polls every device of one gateway address by its unit id, one after another."""
    python = peer_python("modpoll", "modpoll==1.6.0")
    lines = []
    for number in range(1, devices + 1):
        lines.append(f"device,d{number},{number},BE_BE")
        for code, address, count in blocks():
            kind = "input_register" if code == 4 else "holding_register"
            lines.append(f"poll,{kind},{address},{count},BE_BE")
            lines.append(f"ref,r{address},{address},uint16,r")
    (folder / "modpoll.csv").write_text("\n".join(lines) + "\n")
    command = [
        str(python.parent / "modpoll"),
        *("--tcp", address_of(0), "--tcp-port", str(port), "-d"),
        *("--rate", str(period), "--timeout", "1", "-f", str(folder / "modpoll.csv")),
    ]
    with running(command, folder, {}) as process:
        yield process


@contextmanager
def collectd(folder: Path, port: int, devices: int, period: float) -> Iterator[psutil.Process]:
    """Run collectd 5.12 with its modbus plugin, one host block a device, values to csv."""
    root = debian_peer("collectd", "collectd-core", "libmodbus5")
    data = []
    for number, (code, address, words) in enumerate(tags()):
        kind = "Uint16" if words == 1 else "Uint32"
        place = "ReadInput" if code == 4 else "ReadHolding"
        data.append(
            f'<Data "t{number}">\n RegisterBase {address}\n RegisterType {kind}\n RegisterCmd {place}\n'
            f' Type gauge\n Instance "t{number}"\n</Data>'
        )
    collect = "".join(f'Collect "t{number}"\n' for number in range(len(data)))
    hosts = [
        f'<Host "d{number}">\n Address "{address_of(number)}"\n Port "{port}"\n Interval {period}\n'
        f' <Slave 1>\n Instance "d"\n {collect} </Slave>\n</Host>'
        for number in range(1, devices + 1)
    ]
    text = "\n".join(
        [
            f'PluginDir "{root}/usr/lib/collectd"',
            f'TypesDB "{root}/usr/share/collectd/types.db"',
            f'BaseDir "{folder}"',
            f'PIDFile "{folder}/pid"',
            f"Interval {period}",
            "ReadThreads 5",
            "LoadPlugin csv",
            f'<Plugin csv>\n DataDir "{folder}/csv"\n</Plugin>',
            "LoadPlugin modbus",
            "<Plugin modbus>",
            *data,
            *hosts,
            "</Plugin>",
        ]
    )
    (folder / "collectd.conf").write_text(text + "\n")
    libraries = ":".join(str(path) for path in root.glob("usr/lib/*-linux-gnu"))
    command = [str(root / "usr/sbin/collectd"), "-f", "-C", str(folder / "collectd.conf")]
    with running(command, folder, {"LD_LIBRARY_PATH": libraries}) as process:
        yield process


def settle(seconds: float) -> None:
    """Let a peer come up to its pace."""
    time.sleep(seconds)
