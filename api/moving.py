"""Moving history from one time-series store into another, for the operator: addresses, progress, memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.outcome import Outcome
from store.copying import CopyOrder, CopyProgress, copy_series
from store.problem import Problem, ProblemsError
from store.series import SeriesUnavailableError, open_series


def move(addresses: tuple[str, str], order: tuple[tuple[str, ...], str, str], data_dir: Path) -> Outcome:
    """Copy from the first address to the second; `order` is devices, first day and end day as written.

    What is done is remembered in the data directory, so that the same command goes on where it stopped.
    Raises ProblemsError when a store cannot be opened, differs or goes away.
    """
    source, target = addresses
    if source == target:
        raise ProblemsError([Problem("FROM TO", "来源和目标是同一个库", "写两个不同的地址")])
    _require_file(source)
    wanted = CopyOrder(order[0], _day("--from", order[1]), _day("--to", order[2]))
    first = open_series(source)
    try:
        second = open_series(target)
        try:
            with _bar() as on_day:
                memory = _memory(data_dir, f"{source}\0{target}\0{wanted}")
                state = copy_series(first, second, wanted, memory=memory, on_day=on_day)
        except SeriesUnavailableError as error:
            raise ProblemsError([Problem("store copy", str(error), "恢复后再运行一次，会接着搬")]) from error
        finally:
            second.close()
    finally:
        first.close()
    row = {"rows": state.rows, "stored": state.stored, "checksum": state.checksum[:16]}
    columns = {"rows": "核对一致的行", "stored": "其中新写入", "checksum": "校验和"}
    return Outcome("搬完，两边一致", columns, (row,))


def _require_file(source: str) -> None:
    """Raise ProblemsError where the source is a file that is not there, which opening would make."""
    parts = urlsplit(source)
    if parts.scheme == "duckdb" and not Path(unquote(parts.path.removeprefix("/"))).is_file():
        raise ProblemsError(
            [Problem("FROM", f"没有这个文件：{parts.path.removeprefix('/')}", "核对来源库的路径")]
        )


def _memory(data_dir: Path, what: str) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        wrong = Problem(str(data_dir), f"数据目录不能写：{error.strerror}", "换一个目录，或改正它的权限")
        raise ProblemsError([wrong]) from error
    return data_dir / f"store-copy-{sha256(what.encode()).hexdigest()[:16]}.json"


def _day(where: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ProblemsError([Problem(where, f"“{text}” 不是日期", "写成 2026-01-01")]) from error


@contextmanager
def _bar() -> Iterator[Callable[[CopyProgress], None]]:
    """Show the days of a copy as a bar on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]:,} 行"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("搬迁", total=None, rows=0)

        def on_day(progress: CopyProgress) -> None:
            bar.update(
                task,
                total=progress.days,
                completed=progress.done,
                description=f"{progress.day}",
                rows=progress.rows,
            )

        yield on_day
