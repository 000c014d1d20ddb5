"""PDF from a typst template and data.

Owns how a template is compiled: fonts that the set-up provides, data handed over as JSON values (never
pasted into markup, so no text can become a command), a fixed time stamp. Layout is in the `.typ` file of
the room that owns the document.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import typst

from documents.glyphs import covered_characters
from documents.refusal import FileRefusedError

_FONT_DIRECTORIES = (
    Path(__file__).resolve().parent.parent / "dashboards" / "assets" / "built" / "fonts",
    Path("/usr/share/fonts/opentype/noto"),
)
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)


def font_directory() -> Path:
    """Return the folder of the CJK fonts; raises FileRefusedError with what to do when there is none."""
    for directory in _FONT_DIRECTORIES:
        if any(directory.glob("*.[to]t[fc]")):
            return directory
    raise FileRefusedError(
        "打印字体", "找不到中文字体", "请运行 make setup，或安装 Debian 软件包 fonts-noto-cjk"
    )


def render_pdf(template: Path, data: Mapping[str, object], created: datetime | None = None) -> bytes:
    """Return the PDF of a typst template.

    The template reads `#let data = json(bytes(sys.inputs.data))`; values are texts, whole numbers,
    booleans, lists, mappings, dates (ISO text), Decimals (text) and frozen records. `created` is the time
    printed into the file's metadata. The same template and data give the same bytes.

    Raises FileRefusedError when no font is there, when a character has no glyph, or when the template
    does not compile.
    """
    plain = plain_values(data)
    text = json.dumps(plain, ensure_ascii=False)
    fonts = font_directory()
    _refuse_missing_glyphs(text, fonts)
    try:
        compiled = typst.compile(
            str(template),
            root=str(template.parent),
            font_paths=[str(fonts)],
            ignore_system_fonts=True,
            format="pdf",
            sys_inputs={"data": text},
            timestamp=created or _CREATED,
        )
    except (typst.TypstError, RuntimeError) as error:
        raise FileRefusedError(template.name, f"排版失败：{error}", "请把这条信息告诉技术支持") from error
    return bytes(compiled)


def plain_values(value: object) -> Any:
    """Return a value as JSON can hold it; raises TypeError for floats and unknown types."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain_values(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_values(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be handed to a PDF template")


@cache
def _glyphs(fonts: Path) -> frozenset[int]:
    return frozenset().union(*(covered_characters(font) for font in sorted(fonts.glob("*.[to]t[fc]"))))


def _refuse_missing_glyphs(text: str, fonts: Path) -> None:
    glyphs = _glyphs(fonts)
    missing = sorted(
        {character for character in text if ord(character) not in glyphs and character.isprintable()}
    )
    if missing:
        listed = "、".join(f"{character}（U+{ord(character):04X}）" for character in missing[:10])
        raise FileRefusedError("打印字体", f"没有这些字：{listed}", "请安装含有这些字的字体后再打印")
