"""Commands about alarms, notifications, and the dated figures of their rules."""

from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import (
    ConfigOption,
    DataOption,
    JsonOption,
    refusing,
    run_operation,
    settings_of,
    show,
)
from api.outcome import Outcome
from store.problem import Problem, ProblemsError

notify = CommandLine("告警通知：试发、订阅、发送情况。")
parameters = CommandLine("有日期和依据的参数：查看，录入本县的数值。")
LoginName = Annotated[str, typer.Argument(help="登录名")]


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(alarms)
    app.add_typer(notify, name="notify")
    app.add_typer(parameters, name="parameters")


def alarms(
    station: Annotated[str, typer.Option("--station", help="只看这个电站（编号）")] = "",
    area: Annotated[str, typer.Option("--area", help="只看这个区划（12 位代码）")] = "",
    kind: Annotated[list[str] | None, typer.Option("--kind", help="只看这一类，可写多次")] = None,
    severity: Annotated[
        list[str] | None, typer.Option("--severity", help="紧急、重要或一般，可写多次")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    unacknowledged: Annotated[bool, typer.Option("--unacknowledged", help="只列未确认的")] = False,
    closed: Annotated[bool, typer.Option("--all", help="连已恢复的一起列")] = False,
    grouped: Annotated[bool, typer.Option("--grouped", help="连已并入更大范围告警的一起列")] = False,
    as_json: JsonOption = False,
) -> None:
    """列出告警，最紧急的在前；有未恢复的告警时退出码为 1。"""
    arguments = {
        "station_id": station,
        "area": area,
        "kind": kind or [],
        "severity": severity or [],
        "unacknowledged": unacknowledged,
        "closed": closed,
        "grouped": grouped,
    }
    run_operation("alarms", arguments, data=data, config=config, as_json=as_json)


@notify.command("test")
def try_out(
    to: Annotated[str, typer.Argument(help="邮箱地址，或 webhooks.toml 中的机器人名称")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """马上试发一条通知，看邮件服务器或机器人是否收下。"""
    from api.notifications.channels import channels_of
    from api.notifications.errors import SendError
    from monitoring.notifications.outbox import Message
    from monitoring.notifications.subscriptions import Channel
    from store.db import new_id

    with refusing(as_json=as_json):
        settings = settings_of(config, data)
        channel = Channel.EMAIL if "@" in to else Channel.WEBHOOK
        subject = f"【{settings.site_name}】告警通知测试"
        message = Message(new_id("message"), channel, to, subject, "这是一条测试，收到说明设置正确。", 0, 1)
        try:
            channels_of(settings).send(message)
        except SendError as error:
            raise ProblemsError([Problem("试发", str(error), "见 docs/通知设置.md")]) from error
        show(Outcome(f"对方已收下，编号 {message.id}", {}), as_json=as_json)


@notify.command()
def status(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """通知发送情况：待发、已发、放弃；有放弃的时退出码为 1。"""
    run_operation("notify-status", {}, data=data, config=config, as_json=as_json)


@notify.command()
def retry(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """把已放弃的通知重新发送。"""
    run_operation("notify-retry", {}, data=data, config=config, as_json=as_json)


@notify.command("list")
def list_all(
    login: LoginName, data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """列出一个登录的订阅。"""
    run_operation("notify-list", {"login": login}, data=data, config=config, as_json=as_json)


@notify.command("subscribe")
def subscribe_one(
    login: LoginName,
    to: Annotated[str, typer.Argument(help="邮箱地址，或 webhooks.toml 中的机器人名称")],
    area: Annotated[str, typer.Option("--area", help="12 位区划代码；空为本人辖区")] = "",
    severity: Annotated[
        str, typer.Option("--severity", help="最轻到哪一级还要通知：紧急、重要、一般")
    ] = "重要",
    level: Annotated[int, typer.Option("--level", help="从第几级升级起才通知（0、1、2）")] = 0,
    digest: Annotated[int, typer.Option("--digest", help="多少分钟汇总一次；0 立即，1440 每天 8 点")] = 15,
    quiet: Annotated[str, typer.Option("--quiet", help="免打扰，如 22:00-07:00")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    urgent: Annotated[bool, typer.Option("--urgent/--no-urgent", help="紧急的不受免打扰限制")] = True,
    closings: Annotated[bool, typer.Option("--closings/--no-closings", help="恢复时也通知")] = True,
    as_json: JsonOption = False,
) -> None:
    """给一个登录加一条订阅。"""
    arguments = {
        "login": login,
        "target": to,
        "area": area,
        "severity": severity,
        "level": level,
        "digest_minutes": digest,
        "quiet": quiet,
        "urgent_always": urgent,
        "closings": closings,
    }
    run_operation("notify-subscribe", arguments, data=data, config=config, as_json=as_json)


@notify.command("unsubscribe")
def unsubscribe_one(
    subscription: Annotated[str, typer.Argument(help="订阅的编号")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """停用一条订阅。"""
    arguments = {"subscription_id": subscription}
    run_operation("notify-unsubscribe", arguments, data=data, config=config, as_json=as_json)


@parameters.command("list")
def list_parameters(
    prefix: Annotated[str, typer.Argument(help="参数名的开头，如 alarm_；空为全部")] = "",
    area: Annotated[str, typer.Option("--area", help="12 位区划代码；空为全国")] = "",
    on: Annotated[str, typer.Option("--on", help="哪一天的数值，默认今天")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """列出某地某天有效的参数值和依据。"""
    arguments = {"prefix": prefix, "area": area, "on": on}
    run_operation("parameters-list", arguments, data=data, config=config, as_json=as_json)


@parameters.command("set")
def set_parameter(
    name: Annotated[str, typer.Argument(help="参数名")],
    value: Annotated[str, typer.Argument(help="数值")],
    since: Annotated[str, typer.Option("--from", help="从哪一天起，如 2026-01-01")],
    source: Annotated[str, typer.Option("--source", help="依据的文件名称和文号")],
    scope: Annotated[str, typer.Option("--area", help="哪个区划（12 位代码）；空为全部")] = "",
    key: Annotated[str, typer.Option("--key", help="参数分类的，写类别，如 outage")] = "",
    until: Annotated[str, typer.Option("--to", help="到哪一天为止（不含）；空为一直有效")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """录入本县的参数值；必须写明依据，写错范围的会被拒绝。"""
    arguments = {
        "name": name,
        "value": value,
        "since": since,
        "source": source,
        "scope": scope,
        "key": key,
        "until": until,
    }
    run_operation("parameters-set", arguments, data=data, config=config, as_json=as_json)
