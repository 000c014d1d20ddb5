"""A large CSV is read in pieces that together are what the whole is."""

import pytest

from documents.reading import FileRefusedError, read_sheets
from documents.streaming import stream_csv

TEXT = '户号,电量\n0001,１２\n0002,"两\n行"\n0003,5.2E+17\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_pieces_are_the_whole(tmp_path, encoding):
    path = tmp_path / "大表.csv"
    path.write_bytes(TEXT.encode(encoding))
    pieces = list(stream_csv(path, rows_at_once=3))
    assert [before for before, _ in pieces] == [0, 3]
    (whole,) = read_sheets(path)
    assert tuple(row for _, sheet in pieces for row in sheet.rows) == whole.rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bytes(range(128, 256)) * 40, "编码"),
        (b"a,b\x00c\n", "不是文本"),
        (b'a,b\n"1,2', "引号"),
        (b"," * 300, "200 列"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, said):
    path = tmp_path / "坏.csv"
    path.write_bytes(content)
    with pytest.raises(FileRefusedError) as caught:
        list(stream_csv(path))
    assert said in caught.value.what
