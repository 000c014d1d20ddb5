"""Commands about logins."""

from typing import Annotated

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation

app = CommandLine("登录账号：列出、新建、重置口令、停用。")
Login = Annotated[str, typer.Argument(help="登录名")]


def register(parent: CommandLine) -> None:
    """Add the commands of this module."""
    parent.add_typer(app, name="user")


@app.command("list")
def list_all(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """列出全部登录账号。"""
    run_operation("user-list", {}, data=data, config=config, as_json=as_json)


@app.command()
def add(
    login: Login,
    name: Annotated[str, typer.Option("--name", help="姓名")],
    role: Annotated[
        str, typer.Option("--role", help="county、township、village、finance、maintenance 或 auditor")
    ],
    area: Annotated[str, typer.Option("--area", help="辖区的 12 位区划代码；空为全部")] = "",
    company: Annotated[str, typer.Option("--company", help="运维单位：只看台账里归它运维的电站")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """新建登录账号，给出一次性口令（首次登录必须修改）。"""
    arguments = {"login": login, "name": name, "role": role, "area": area, "company": company}
    run_operation("user-add", arguments, data=data, config=config, as_json=as_json)


@app.command()
def reset(
    login: Login, data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """给出新的一次性口令，并解除锁定；已登录的会话立即失效。"""
    run_operation("user-reset", {"login": login}, data=data, config=config, as_json=as_json)


@app.command()
def close(
    login: Login,
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    again: Annotated[bool, typer.Option("--reopen", help="恢复使用")] = False,
    as_json: JsonOption = False,
) -> None:
    """停用登录账号（立即生效），或用 --reopen 恢复。"""
    run_operation("user-close", {"login": login, "again": again}, data=data, config=config, as_json=as_json)
