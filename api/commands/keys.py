"""Commands about the key of personal data."""

import typer

from api.commands.chinese import CommandLine
from api.commands.output import ConfigOption, DataOption, JsonOption, run_operation

app = CommandLine("个人信息的密钥：查看状态、更换。")


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    parent.add_typer(app, name="key")


@app.command()
def status(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """列出每把密钥加密了多少个值。"""
    run_operation("key-status", {}, data=data, config=config, as_json=as_json)


@app.command()
def rotate(data: DataOption = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """换一把新密钥，并把身份证号、账号、电话逐批重新加密；中断后再运行会接着做。"""
    run_operation("key-rotate", {}, data=data, config=config, as_json=as_json)
