"""Settings: environment variables `SUNLEDGER_…` and one TOML file, validated before anything starts.

Owns the list of settings, their defaults and their documentation (`docs/settings.md` is checked against
it). A setting that is wrong, unknown or missing is one clear line, never a half-started service.
"""

import os
import re
import tomllib
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from store.problem import Problem, ProblemsError

PREFIX = "SUNLEDGER_"
DATABASE_FILE = "sunledger.sqlite3"
SHORTEST_RAW_DAYS = 62
MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
NOT_SETTINGS = {"SUNLEDGER_CONFIG", "SUNLEDGER_SOAK"}
TEST_PREFIX = "SUNLEDGER_TEST_"


class ServiceRole(StrEnum):
    """A part of the service that can run as a process of its own on server stores."""

    WEB = "web"
    COLLECTOR = "collector"
    SCHEDULER = "scheduler"


ALL_ROLES = frozenset(ServiceRole)


def _listed(value: object) -> object:
    """Return a list written with commas as its parts."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _number(value: object) -> object:
    """Return a number that was written as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Networks = Annotated[tuple[IPv4Network, ...], NoDecode, BeforeValidator(_listed)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Everything that can be set; each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Field(Path("sunledger-data"), description="数据目录：内嵌数据库、附件、密钥、缓冲队列")
    database_url: str = Field("", description="关系数据库地址；空则用数据目录中的 SQLite")
    series_url: str = Field("", description="时序库地址；空则用数据目录中的 DuckDB")
    series_token: str = Field("", repr=False, description="时序库服务器的令牌（InfluxDB、VictoriaMetrics）")
    series_read_token: str = Field(
        "",
        repr=False,
        description="只读的令牌：不含采集角色的进程改用它，网页于是写不了时序库；空则都用上一个",
    )
    series_memory_mb: int = Field(256, ge=64, le=65536, description="内嵌时序库的内存上限 [MB]")
    raw_sample_days: int = Field(
        0, ge=0, le=36500, description="内嵌时序库保留原始数据的天数，更早的换成 15 分钟均值；0 为永久保留"
    )
    spool_cap_mb: int = Field(
        512, ge=16, description="采集缓冲队列的上限 [MB]，到上限丢弃最旧的原始数据并告警"
    )
    host: str = Field("127.0.0.1", description="网页监听地址")
    port: int = Field(8350, ge=1, le=65535, description="网页监听端口")
    roles: Annotated[frozenset[ServiceRole], NoDecode] = Field(
        ALL_ROLES, description="本进程承担的角色，逗号分隔：web,collector,scheduler"
    )
    site_name: str = Field("光伏帮扶电站收益账本", min_length=1, description="页面上的名称")
    organizer: str = Field("", description="页脚的主办单位")
    watermark: str = Field("", description="页面与文件的水印，例如“演示数据”")
    secure_cookies: bool = Field(False, description="只在 HTTPS 下使用时设为 true：Cookie 只经加密连接发送")
    session_idle_minutes: int = Field(15, ge=1, le=480, description="登录闲置多久后失效 [分钟]")
    session_hours: int = Field(8, ge=1, le=24, description="登录最长多久 [小时]")
    collector_name: str = Field(
        "collector",
        pattern="^[A-Za-z0-9._-]{1,16}$",
        description="采集程序的名称，连接情况按它分开报告；几个采集程序共用一个数据库时各取一个",
    )
    collector_areas: Texts = Field(
        (), description="只采集这些区划的电站（12 位代码，逗号分隔），几个采集程序分片用；空为全部"
    )
    mqtt_url: str = Field("", description="MQTT 服务器地址 mqtt://用户:口令@主机:端口；空则不用 MQTT")
    mqtt_certificate_authority: str = Field("", description="mqtts 用的证书颁发机构文件（PEM）")
    mqtt_client_id: str = Field(
        "sunledger-collector", min_length=1, description="MQTT 客户端标识：固定不变，每个采集进程各用一个"
    )
    mqtt_protocol: Annotated[Literal[3, 5], BeforeValidator(_number)] = Field(
        3, description="MQTT 版本：3（即 3.1.1）或 5"
    )
    mqtt_shared_group: str = Field(
        "", pattern="^[^/+#\\s]*$", description="共享订阅 $share 的组名，几个采集进程分担报文；要 MQTT 5"
    )
    dial_in_port: int = Field(0, ge=0, le=65535, description="DTU 拨入的监听端口；0 为不开")
    dial_in_host: str = Field("0.0.0.0", description="DTU 拨入的监听地址")  # noqa: S104, DTUs call from outside
    dial_in_networks: Networks = Field((), description="允许 DTU 从哪些网段拨入，逗号分隔；空为不限")
    dial_in_heartbeats: Texts = Field(
        (), description="DTU 夹在数据里的心跳包，逗号分隔：文字，或 hex:FE01 这样的十六进制"
    )
    dial_in_takeover_seconds: int = Field(
        90, ge=10, le=3600, description="一个注册包静默多久后，可由别的地址接替 [秒]"
    )
    line_daily_requests: int = Field(
        0, ge=0, description="每条线路（一张 SIM 卡）每天最多问多少次；0 为不限，到限后当天不再问"
    )
    line_daily_megabytes: int = Field(
        0, ge=0, description="每条线路（一张 SIM 卡）每天最多用多少流量 [MB]；0 为不限"
    )
    serial_ports: Texts = Field(
        ("/dev/ttyS*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/serial/*"),
        description="台账里可以用的串口，逗号分隔，可用 * 代替任意字符",
    )
    metrics_host: str = Field("127.0.0.1", description="单独的采集进程的指标监听地址")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="单独的采集进程的指标端口（Prometheus，不需登录）；0 为不开"
    )
    modbus_networks: Networks = Field(
        (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")),
        description="允许采集的设备网段，逗号分隔",
    )
    smtp_host: str = Field("", description="发通知的邮件服务器；空则不发邮件")
    smtp_port: int = Field(587, ge=1, le=65535, description="邮件服务器端口：starttls 常用 587，tls 常用 465")
    smtp_security: str = Field(
        "starttls", pattern="^(starttls|tls|none)$", description="邮件加密：starttls、tls 或 none（仅限内网）"
    )
    smtp_user: str = Field("", description="邮件服务器的登录名；空则不登录")
    smtp_password: str = Field("", repr=False, description="邮件服务器的口令或授权码")
    smtp_from: str = Field("", description="发件人邮箱")
    smtp_certificate_authority: str = Field(
        "", description="邮件服务器证书的颁发机构文件（PEM）；空则用系统的"
    )
    webhook_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        ("qyapi.weixin.qq.com", "oapi.dingtalk.com"),
        description="群机器人允许的主机名，逗号分隔；以点开头的连同其下级",
    )
    webhook_networks: Networks = Field(
        (), description="群机器人除公网外允许的网段，逗号分隔；只在其中可用 http"
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="日志级别")

    @field_validator("dial_in_heartbeats")
    @classmethod
    def _heartbeats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Imported only now: the commands read settings, and the collector takes a while to load.
        from collector.dialin import packet_bytes

        for text in value:
            packet_bytes(text)
        return value

    @field_validator("collector_areas")
    @classmethod
    def _division_codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for code in value:
            if not re.fullmatch(r"\d{12}", code, re.ASCII):
                raise ValueError(f"{code} 不是 12 位区划代码")
        return value

    @field_validator("roles", mode="before")
    @classmethod
    def _split_roles(cls, value: object) -> object:
        return _listed(value)

    @field_validator("mqtt_url")
    @classmethod
    def _mqtt_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in MQTT_PORTS or not parts.hostname):
            raise ValueError("不是 MQTT 地址：写成 mqtt://用户:口令@主机:端口（加密用 mqtts）")
        return value

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if self.smtp_host and "@" not in self.smtp_from:
            raise ValueError("发邮件要写发件人邮箱 smtp_from")
        if self.smtp_user and self.smtp_security == "none":
            raise ValueError("不加密的连接不能发口令：smtp_security 改为 starttls 或 tls，或去掉 smtp_user")
        return self

    @field_validator("raw_sample_days")
    @classmethod
    def _months_stay_open(cls, value: int) -> int:
        if 0 < value < SHORTEST_RAW_DAYS:
            raise ValueError(f"未结的月份要用原始数据：写 0（永久）或至少 {SHORTEST_RAW_DAYS}")
        return value

    @model_validator(mode="after")
    def _roles_fit_the_stores(self) -> Self:
        if not self.roles:
            raise ValueError("roles 不能为空：至少要有 web、collector、scheduler 中的一个")
        if self.mqtt_shared_group and self.mqtt_protocol != 5:  # noqa: PLR2004, the MQTT version
            raise ValueError("共享订阅 mqtt_shared_group 要 mqtt_protocol = 5")
        if self.embedded and self.roles != ALL_ROLES:
            raise ValueError(
                "内嵌库只能由一个进程打开，不能拆分角色；"
                "拆分前请把 database_url 设为 PostgreSQL、series_url 设为时序服务器"
            )
        return self

    @property
    def embedded_series(self) -> bool:
        """Whether the time-series store is the embedded engine, which one process owns."""
        return not self.series_url or self.series_url.startswith("duckdb:")

    @property
    def embedded_database(self) -> bool:
        """Whether the relational database is a file of this machine."""
        return not self.database_url or self.database_url.startswith("sqlite")

    @property
    def embedded(self) -> bool:
        """Whether a store is embedded, so that one process has to be all roles."""
        return self.embedded_series or self.embedded_database

    @property
    def effective_database_url(self) -> str:
        """The database address in force."""
        return self.database_url or f"sqlite:///{self.data_dir / DATABASE_FILE}"

    @property
    def effective_series_url(self) -> str:
        """The time-series address in force."""
        path = self.data_dir / "series.duckdb"
        if not self.series_url:
            return f"duckdb:///{path}?memory_limit={self.series_memory_mb}MB"
        if self.embedded_series:
            return self.series_url
        reads_only = bool(self.series_read_token) and ServiceRole.COLLECTOR not in self.roles
        token = self.series_read_token if reads_only else self.series_token
        scheme, mark, rest = self.series_url.partition("://")
        if reads_only:
            rest += f"{'&' if '?' in rest else '?'}access=read"
        return f"{scheme}{mark}:{quote(token, safe='')}@{rest}" if token else self.series_url


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProblemsError(
            [Problem(str(path), f"设置文件读不了：{error.strerror}", "检查路径和权限")]
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ProblemsError(
            [Problem(str(path), f"不是正确的 TOML：{error}", "改正这一行后再启动")]
        ) from error


_WORDS = {
    "extra_forbidden": "没有这个设置",
    "less_than_equal": "不能大于 {le}",
    "greater_than_equal": "不能小于 {ge}",
    "int_parsing": "“{input}” 不是整数",
    "bool_parsing": "“{input}” 不是 true 或 false",
    "enum": "“{input}” 不在可选值之中：{expected}",
    "ip_v4_network": "“{input}” 不是网段，例如 10.0.0.0/8",
    "string_too_short": "不能为空",
    "string_pattern_mismatch": "“{input}” 不在可选值之中：{pattern}",
    "literal_error": "“{input}” 不在可选值之中：{expected}",
}


def _in_words(item: ErrorDetails) -> str:
    context = {"input": item["input"], **item.get("ctx", {})}
    words = _WORDS.get(item["type"])
    return words.format_map(context) if words else item["msg"].removeprefix("Value error, ")


def _unknown_variables() -> list[Problem]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    return [
        Problem(name, "没有这个设置", "对照 docs/settings.md 改正名称，或删去它")
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known and not name.startswith(TEST_PREFIX)
    ]


def load_settings(config: Path | None = None, **overrides: object) -> Settings:
    """Return the settings in force: command line over environment over file over defaults.

    `config` is the TOML file (default: the one named by SUNLEDGER_CONFIG, if any); an override of None
    counts as not given. Raises ProblemsError with every wrong setting.
    """
    named = os.environ.get("SUNLEDGER_CONFIG")
    path = config or (Path(named) if named else None)
    given = _read_file(path) if path else {}
    problems = _unknown_variables()
    for name in Settings.model_fields:
        if f"{PREFIX}{name.upper()}" in os.environ:
            given.pop(name, None)
    given |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        where = str(path) if path else "设置"
        problems += [
            Problem(
                f"{where} {'.'.join(str(part) for part in item['loc'])}".strip(),
                _in_words(item),
                "对照 docs/settings.md 改正",
            )
            for item in error.errors()
        ]
        raise ProblemsError(problems) from error
    if problems:
        raise ProblemsError(problems)
    return settings
