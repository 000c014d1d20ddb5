"""The front end is built from locked packages, once, and every file's name holds its hash."""

import hashlib
import json
from pathlib import Path

from dashboards.assets import BUILT, FONTS, asset_file, asset_url, built_files
from dashboards.assets.build import ROOT, build, fingerprint, is_current


def test_the_lock_file_names_every_package_with_its_hash_and_no_address():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in one and "resolved" not in one for one in packages.values())


def test_the_packages_are_pinned_exactly():
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    versions = [*wanted["dependencies"].values(), *wanted["devDependencies"].values()]
    assert all(version[0].isdigit() for version in versions)


def test_building_again_does_nothing():
    assert is_current(fingerprint())
    assert build() is False


def test_every_built_name_holds_the_hash_of_its_content():
    files = built_files()
    assert {"charts.js", "page.js", "style.css", "icon.svg"} == set(files)
    for name in files.values():
        digest = hashlib.sha256((BUILT / name).read_bytes()).hexdigest()
        assert digest[:10] in name
        assert asset_file(name) == (BUILT / name, True)


def test_the_print_fonts_are_there_with_their_licence():
    assert len(list(FONTS.glob("*.ttf"))) == 4
    assert len(list(FONTS.glob("LICENSE-*.txt"))) == 2


def test_pages_work_before_anything_is_built(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("dashboards.assets.BUILT", tmp_path)
    assert asset_url("style.css") == "/static/style.css"
    assert asset_url("charts.js") == ""
    assert asset_file("style.css")[1] is False
    assert asset_file("base.css")[0].is_file()
    assert asset_file("../web.py") is None
