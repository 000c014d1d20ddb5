from pathlib import Path

from api.demo.marker import WATERMARK, marker_file, watermark_of


def test_a_demo_says_that_it_is_one_whoever_opens_it(tmp_path: Path) -> None:
    assert watermark_of(tmp_path, "") == ""
    marker_file(tmp_path).parent.mkdir()
    marker_file(tmp_path).write_text("{}", encoding="utf-8")
    assert watermark_of(tmp_path, "") == WATERMARK
    assert watermark_of(tmp_path, "试运行") == "试运行"
