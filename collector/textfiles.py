"""Files that people write: read, or refused in Chinese with the place where reading stopped.

Owns what is said of a file that is no text or no TOML; what stands in it is the reader's.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from store.problem import Problem, ProblemsError


def read_utf8(path: Path) -> str:
    """Return the text of a file; raises ProblemsError when there is none or it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ProblemsError([Problem(str(path), "没有这个文件", "检查路径")]) from error
    except OSError as error:
        raise ProblemsError([Problem(str(path), "文件读不出来", "检查路径和权限")]) from error
    except UnicodeDecodeError as error:
        what = f"不是 UTF-8 文本：第 {error.start + 1} 个字节读不下去"
        raise ProblemsError([Problem(str(path), what, "用 UTF-8 编码保存")]) from error


def read_toml(text: str, where: str, parse_float: Callable[[str], object] = float) -> dict[str, Any]:
    """Return the content of a TOML text; raises ProblemsError with the place where reading stopped."""
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        place = f"读到第 {found[1]} 行第 {found[2]} 列读不下去" if found else "文件不完整，括号或引号没有闭合"
        raise ProblemsError([Problem(where, f"不是有效的 TOML：{place}", "改正这一行后再检查")]) from error
    except RecursionError as error:
        raise ProblemsError([Problem(where, "不是有效的 TOML：嵌套太深", "减少括号的层数")]) from error
