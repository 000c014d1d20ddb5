"""The table of supported devices, made from the profiles.

Owns one Markdown text. It is kept as `docs/devices.md`, and a test holds the two together.
"""

from collections.abc import Iterable

from collector.profile.library import list_profiles, load_profile
from collector.profile.types import Profile

_KINDS = {"inverter": "逆变器", "meter": "电能表", "logger": "数据采集器", "sensor": "传感器"}
_PROTOCOLS = {"modbus": "Modbus", "sunspec": "SunSpec（Modbus）", "dlt645": "DL/T 645-2007"}
_LEVELS = {"vendor": "厂家文档", "dump": "真实报文验证", "community": "社区资料", "guess": "未证实"}


def _row(profile: Profile) -> str:
    quantities = {field.quantity for field in profile.fields if field.quantity}
    quantities |= {item.quantity for item in profile.items if item.quantity}
    quantities |= {field.quantity for model in profile.models for field in model.fields if field.quantity}
    energy = "有" if {"generated_energy_wh", "exported_energy_wh"} & quantities else "无"
    sure = "、".join(dict.fromkeys(_LEVELS[item.level] for item in profile.confidence))
    cells = (
        profile.vendor_chinese,
        profile.products,
        _KINDS[profile.device_kind],
        _PROTOCOLS[profile.protocol],
        f"`{profile.name}`",
        energy,
        sure,
    )
    return "| " + " | ".join(cells) + " |"


def _details(profile: Profile) -> Iterable[str]:
    yield f"### {profile.vendor_chinese}：`{profile.name}`"
    yield ""
    for item in profile.confidence:
        note = f": {item.note}" if item.note else ""
        yield f"- {_LEVELS[item.level]} — {item.group}{note}"
    for gap in profile.gaps:
        yield f"- 缺口 — {gap}"
    for note in profile.notes:
        yield f"- 注意 — {note}"
    yield ""


def catalogue_markdown() -> str:
    """Return the table of supported devices and what is known of each, as Markdown."""
    profiles = [load_profile(name) for name in list_profiles()]
    lines = [
        "# 支持的设备",
        "",
        "本页由设备档案生成。没有列出的设备，可以照 [profile-format.md](profile-format.md) 按说明书添加。",
        "",
        "| 厂家 | 型号 | 类别 | 协议 | 档案 | 累计电量 | 依据 |",
        "|---|---|---|---|---|---|---|",
        *(_row(profile) for profile in profiles),
        "",
        "## 每份档案的依据和缺口",
        "",
    ]
    for profile in profiles:
        lines.extend(_details(profile))
    return "\n".join(lines).rstrip() + "\n"
