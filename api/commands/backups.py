"""Commands that make a backup and put one back."""

from pathlib import Path
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


def register(app: CommandLine) -> None:
    """Add the commands of this module."""
    app.command()(backup)
    app.command()(restore)


def backup(
    target: Annotated[Path, typer.Argument(help="备份写到这个新目录")],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """备份数据目录：数据库、时序库、采集队列、附件、密钥；服务照常运行。"""
    run_operation("backup", {"target": str(target.absolute())}, data=data, config=config, as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="备份目录", exists=True, file_okay=False)],
    data: DataOption = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """把备份恢复到空的数据目录，逐个文件核对；随后请运行 migrate 和 verify。"""
    from api.backup import restore_backup
    from api.operations.backup import outcome_of
    from api.service import exclusive

    with refusing():
        settings = settings_of(config, data)
        with exclusive(settings.data_dir):
            manifest = restore_backup(source, settings.data_dir)
        done = f"已把 {manifest.made_at:%Y-%m-%d %H:%M} UTC 的备份恢复到 {settings.data_dir}"
        show(outcome_of(manifest, done), as_json=as_json)
