"""How commands print and how they end.

Tables for people, JSON for machines (`--json`), problems on standard error, and one meaning of the exit
code: 0 done, 1 done and something was found, 2 not done.
"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from api.door import ask_running_service
from api.outcome import Exit, Outcome
from api.settings import Settings, load_settings
from store.problem import Problem, ProblemsError

PIPE_COLUMNS = 200
WRITES_SAMPLES = {"import-telemetry"}
"""On server stores these run here: the running service may be one whose token only reads."""
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON，供程序读取")]
DataOption = Annotated[Path | None, typer.Option("--data", help="数据目录（默认取设置 data_dir）")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="设置文件（TOML）")]


def print_problems(problems: tuple[Problem, ...]) -> None:
    """Print each problem on standard error: where, what, how to mend."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        console.print(f"✕ {problem}", style="red", markup=False)


def _cell(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Print an outcome and end with its exit code."""
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), ensure_ascii=False, indent=2))
    else:
        # A file or a pipe has no width of its own; a narrow guess would break every cell.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
        if outcome.rows:
            table = Table(show_edge=False, header_style="bold")
            for key, label in outcome.columns.items():
                right = all(isinstance(row.get(key), int | float | None) for row in outcome.rows)
                table.add_column(label, justify="right" if right else "left", overflow="fold")
            for row in outcome.rows:
                table.add_row(*(_cell(row.get(key)) for key in outcome.columns))
            console.print(table)
        console.print(outcome.summary, markup=False, soft_wrap=True)
        print_problems(outcome.problems)
    raise typer.Exit(int(outcome.exit_code))


@contextmanager
def refusing(*, as_json: bool = False) -> Iterator[None]:
    """Turn problems, and a database that went away, into clear lines (or JSON) and exit code 2."""
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except ProblemsError as error:
        _refuse(error.problems, as_json=as_json)
    except OperationalError as error:
        away = Problem("数据库", f"没有回应：{error.orig}", "检查数据库服务和磁盘后再试")
        _refuse((away,), as_json=as_json)


def _refuse(problems: tuple[Problem, ...], *, as_json: bool) -> NoReturn:
    print_problems(problems)
    if as_json:
        typer.echo(json.dumps(Outcome.refused(problems).as_json(), ensure_ascii=False, indent=2))
    raise typer.Exit(int(Exit.REFUSED))


def settings_of(config: Path | None, data: Path | None) -> Settings:
    """Return the settings in force for a command."""
    return load_settings(config, data_dir=data)


def run_operation(
    name: str, arguments: Mapping[str, Any], *, data: Path | None, config: Path | None, as_json: bool
) -> None:
    """Run an operation in the running service, or here where none runs; print it and end."""
    with refusing(as_json=as_json):
        show(outcome_of(name, arguments, data=data, config=config), as_json=as_json)


def outcome_of(name: str, arguments: Mapping[str, Any], *, data: Path | None, config: Path | None) -> Outcome:
    """Run an operation in the running service, or here where none runs."""
    settings = settings_of(config, data)
    if name in WRITES_SAMPLES and not settings.embedded:
        return _run_here(settings, name, arguments)
    outcome = ask_running_service(settings.data_dir, name, arguments)
    return _run_here(settings, name, arguments) if outcome is None else outcome


def show_csv(outcome: Outcome) -> NoReturn:
    """Print the rows of an outcome as CSV with the keys as heading, and end with its exit code."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(outcome.columns)
    writer.writerows([[row.get(key) for key in outcome.columns] for row in outcome.rows])
    print_problems(outcome.problems)
    raise typer.Exit(int(outcome.exit_code))


def _run_here(settings: Settings, name: str, arguments: Mapping[str, Any]) -> Outcome:
    # Imported only now: the stores and all that stands on them take a second to load.
    from api.operations import perform
    from api.service import open_services, system_clock

    with open_services(settings, system_clock) as services:
        return perform(services, name, arguments)
