"""A PDF says what the data says: no text becomes a command, no character becomes a box."""

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pypdf
import pytest

from documents.glyphs import covered_characters
from documents.pdf import font_directory, plain_values, render_pdf
from documents.qr import qr_svg
from documents.refusal import FileRefusedError

TEMPLATE = """#let data = json(bytes(sys.inputs.data))
#set text(font: ("Noto Sans SC", "Noto Sans CJK SC"))
#set page(paper: "a4", footer: context [第 #counter(page).display() 页])
= #data.title
#for row in data.rows [#row \\ ]
#image(bytes(data.qr), format: "svg", width: 2cm)
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "notice.typ"
    path.write_text(TEMPLATE, encoding="utf-8")
    return path


def text_of(content: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def document(template: Path, title: str = "公示", rows: tuple[str, ...] = ("甲",)) -> bytes:
    return render_pdf(template, {"title": title, "rows": rows, "qr": qr_svg("https://example.org/n/1")})


def test_text_that_looks_like_markup_is_printed_as_it_stands(template):
    hostile = "#panic($x$) *b* ]#read(../x) \\ @a <b> // c"
    assert hostile.replace(" ", "") in text_of(document(template, rows=(hostile,))).replace(" ", "").replace(
        "\n", ""
    )


def test_the_same_data_gives_the_same_bytes(template):
    assert document(template) == document(template)


def test_rare_names_are_printed_with_their_own_glyphs(template):
    assert "㐱𫖯𬀩䶮㼆" in text_of(document(template, rows=("㐱𫖯𬀩䶮㼆",)))


def test_a_character_without_a_glyph_is_named_instead_of_printed_as_a_box(template):
    with pytest.raises(FileRefusedError) as refused:
        document(template, rows=("张\U0001f600",))
    assert "U+1F600" in refused.value.what


def test_a_template_cannot_read_outside_its_folder(tmp_path):
    path = tmp_path / "bad.typ"
    path.write_text('#read("/etc/passwd")', encoding="utf-8")
    with pytest.raises(FileRefusedError, match="排版失败"):
        render_pdf(path, {})


def test_five_hundred_rows_take_several_numbered_pages(template):
    content = document(template, rows=tuple(f"第{number}户" for number in range(500)))
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    assert len(pages) > 5
    assert f"第 {len(pages)} 页".replace(" ", "") in pages[-1].extract_text().replace(" ", "")


def test_values_are_exact_and_floats_are_refused():
    assert plain_values({"a": [Decimal("1.50"), date(2026, 10, 5), 3, None, True]}) == {
        "a": ["1.50", "2026-10-05", 3, None, True]
    }
    with pytest.raises(TypeError, match="float"):
        plain_values({"a": 1.5})


def test_the_print_fonts_cover_the_common_characters():
    covered = set().union(*(covered_characters(font) for font in font_directory().glob("*.[to]t[fc]")))
    assert {
        ord(character)
        for character in "光伏帮扶电站收益分配公示表壹贰叁肆伍陆柒捌玖拾佰仟万亿元角分整0123,.%"
    } <= covered
