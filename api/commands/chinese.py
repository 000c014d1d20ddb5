"""The command line in Chinese: the frame of its help, and what is said when a command is written wrongly.

Owns the words around our own: headings, marks, complaints. What commands and options do is said where
they are defined.
"""

import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from api.outcome import Exit

_FRAME = (
    (r"^Usage: ", "用法："),
    (r"^Arguments:", "参数："),
    (r"^Options:", "选项："),
    (r"^Commands:", "命令："),
    (r"\[OPTIONS\]", "[选项]"),
    (r"\bCOMMAND \[ARGS\]\.\.\.", "命令 [参数]..."),
    (r"Show this message and exit\.", "显示这份说明"),
    (r"\[required\]", "[必填]"),
    (r"\[default:\s+", "[默认 "),
)
_COMPLAINTS = (
    (r"No such command '(.*?)'.*", r"没有命令 \1"),
    (r"Missing command.*", "缺少命令"),
    (r"No such option: (\S+) \(Possible options: (.+)\)", r"没有选项 \1（相近的有 \2）"),
    (r"No such option: (\S+)", r"没有选项 \1"),
    (r"Missing argument '(.+?)'.*", r"缺少参数 \1"),
    (r"Missing option '(.+?)'.*", r"缺少选项 \1"),
    (r"Option '(.+?)' requires .*", r"选项 \1 要给一个值"),
    (r"Option '(.+?)' does not take a value\.", r"选项 \1 不带值"),
    (r"Got unexpected extra argument\(s\) \((.+)\)", r"多了 \1"),
    (r"Invalid value for '(.+?)'(?: / '.+?')?: (.*)", r"\1：\2"),
    (r"(?:file|File|path|Path) '(.+?)' does not exist\.", r"没有文件 \1"),
    (r"(?:file|File|path|Path) '(.+?)' is a directory\.", r"\1 是目录，要的是文件"),
    (r"(?:file|File|path|Path) '(.+?)' is not readable\.", r"\1 不能读，检查权限"),
    (r"Input should be a valid integer.*", "应是整数"),
    (r"Input should be a valid number.*", "应是数"),
    (r"Input should be greater than or equal to (\S+)", r"不能小于 \1"),
    (r"Input should be less than or equal to (\S+)", r"不能大于 \1"),
)


def _frame(text: str) -> str:
    for pattern, word in _FRAME:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


def complaint(message: str) -> str:
    """Return what was written wrongly, in Chinese; a message that is not known stays as it is."""
    for pattern, words in _COMPLAINTS:
        message = re.sub(pattern, words, message, flags=re.DOTALL)
    return message


class _Command(TyperCommand):
    def get_help(self, ctx: Any) -> str:
        """Return the help with a Chinese frame."""
        return _frame(super().get_help(ctx))

    def get_usage(self, ctx: Any) -> str:
        """Return the usage with a Chinese frame."""
        return _frame(super().get_usage(ctx))


class _Group(TyperGroup):
    def get_help(self, ctx: Any) -> str:
        """Return the help with a Chinese frame."""
        return _frame(super().get_help(ctx))

    def get_usage(self, ctx: Any) -> str:
        """Return the usage with a Chinese frame."""
        return _frame(super().get_usage(ctx))


class CommandLine(typer.Typer):
    """A command line, or a group of commands, that speaks Chinese."""

    def __init__(self, about: str, *, no_args_is_help: bool = True) -> None:
        super().__init__(
            cls=_Group,
            help=about,
            no_args_is_help=no_args_is_help,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[..., Any]:
        """Add a command; its docstring is its help."""
        return super().command(name, **{"cls": _Command, **options})


def run(app: CommandLine) -> int:
    """Run a command line and return its exit code; what was written wrongly is said on standard error."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        message = error.format_message()
        if not message.startswith("用法："):
            usage = f"{context.get_usage()}\n" if context else ""
            command = context.command_path if context else "sunledger"
            message = f"{usage}✕ {complaint(message)}。说明见 {command} --help"
        typer.echo(message, err=True)
        return int(Exit.REFUSED)
    return code if isinstance(code, int) else int(Exit.DONE)
