"""Makes the picture of the README: `python -m tests.screenshot` (or `make screenshot`).

Seeds a full demo county in a temporary directory, lets it live at noon, and photographs the overview.
"""

import tempfile
import time
from pathlib import Path

from tests.living import browser, living_demo, log_in

TARGET = Path(__file__).parents[1] / "docs" / "images" / "overview.jpg"
LIVE_SECONDS = 70


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as folder, living_demo(Path(folder) / "data") as demo:
        time.sleep(LIVE_SECONDS)
        with browser() as opened:
            page = opened.new_page(viewport={"width": 1366, "height": 940}, locale="zh-CN")
            log_in(page, demo, "county")
            page.wait_for_selector("text=需要处理")
            TARGET.parent.mkdir(exist_ok=True)
            page.screenshot(path=TARGET, type="jpeg", quality=82)


if __name__ == "__main__":
    main()
