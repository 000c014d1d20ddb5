"""What is shipped to run the service is right: settings, flags, paths and commands are real ones."""

import configparser
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from api.cli import app
from api.settings import ALL_ROLES, NOT_SETTINGS, Settings, load_settings
from store.series import open_series
from tests.store.conftest import victoria_metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SERVICES = [path for path in UNITS if "backup" not in path.name]
MANUALS = [ROOT / "docs" / "operations.md", ROOT / "docs" / "运维手册.md"]
SETTINGS = {f"SUNLEDGER_{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
OPTIONS = {"SUNLEDGER_TEST_POSTGRES_URL"}


def compose() -> dict[str, Any]:
    return yaml.safe_load((COMPOSE / "compose.yml").read_text(encoding="utf-8"))


def roles() -> dict[str, dict[str, Any]]:
    found = compose()["services"]
    return {name: service for name, service in found.items() if service["image"].startswith("sunledger:")}


def variables(path: Path) -> dict[str, str]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def substituted(value: str) -> str:
    """Do what compose does with `${NAME:-default}` and `${NAME:?message}`."""
    filled = variables(COMPOSE / "env.example") | {"POSTGRES_PASSWORD": "one", "MQTT_PASSWORD": "two"}
    return re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda found: filled[found[1]], value)


def accepted(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], **overrides: object) -> Settings:
    for name in [name for name in os.environ if name.startswith("SUNLEDGER_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load_settings(**overrides)


def options_of(words: list[str]) -> dict[str, str]:
    """Read a command line as the program does; fails where a command or an option does not exist."""
    command = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
        words = words[1:]
    context = command.make_context("sunledger", list(words), resilient_parsing=False)
    return {name: value for name, value in context.params.items() if value is not None}


def test_every_role_runs_once_and_nothing_else_is_started() -> None:
    commands = {name: options_of(list(service["command"])) for name, service in roles().items()}
    assert {options["roles"] for options in commands.values() if "roles" in options} == set(ALL_ROLES)
    assert set(commands) == {*ALL_ROLES, "migrate"}


@pytest.mark.parametrize("name", ["collector", "scheduler", "web", "migrate"])
def test_the_settings_of_a_container_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {key: substituted(value) for key, value in roles()[name]["environment"].items()}
    assert set(given) <= SETTINGS
    settings = accepted(monkeypatch, given, roles=None if name == "migrate" else name)
    assert not settings.embedded
    assert settings.data_dir == Path("/var/lib/sunledger")


def test_what_a_container_names_exists() -> None:
    whole = compose()
    for name, service in whole["services"].items():
        assert set(service.get("depends_on", {})) <= set(whole["services"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(("./", "../")):
                # The broker's passwords are made by the operator and are the only file not shipped.
                assert (COMPOSE / source).resolve().is_file() or source == "./sunledger.passwd", volume
            else:
                assert source in whole["volumes"], volume
        build = service.get("build")
        if build:
            assert (COMPOSE / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).is_file()
    hosts = set(
        re.findall(r"@?([a-z-]+):\d{4}", " ".join(map(str, roles()["collector"]["environment"].values())))
    )
    assert hosts == {"postgres", "victoria-metrics", "mosquitto"} <= set(whole["services"])


def test_images_have_a_version_and_no_address_of_a_registry() -> None:
    images = {service["image"] for service in compose()["services"].values()}
    images |= set(re.findall(r"^FROM (\S+)", (COMPOSE / "Dockerfile").read_text(), re.MULTILINE))
    for image in images:
        name, _, tag = image.rpartition(":")
        assert tag, image
        assert tag != "latest", image
        assert "." not in name.split("/")[0], image


def test_the_secrets_that_compose_asks_for_are_in_the_example_and_empty() -> None:
    files = [path for path in sorted(COMPOSE.glob("*.yml")) if path.name != "vmauth.yml"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert asked == set(variables(COMPOSE / "env.example"))
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert {name for name, value in variables(COMPOSE / "env.example").items() if not value} == required


def test_the_time_series_server_gets_flags_that_the_program_accepts(tmp_path: Path) -> None:
    words = compose()["services"]["victoria-metrics"]["command"]
    flags = tuple(word for word in words if not word.startswith(("-storageDataPath", "-httpListenAddr")))
    with victoria_metrics(tmp_path, flags) as (port, _):
        open_series(f"victoriametrics://127.0.0.1:{port}").close()


def test_the_image_takes_what_the_program_needs_and_nothing_unlocked() -> None:
    text = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE)
        for word in line.split()
    }
    assert all((ROOT / word).exists() for word in copied)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert packages <= copied
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert "--require-hashes" in text
    assert "--no-deps" in text
    assert not re.search(r"https?://|--index-url|--registry", text)
    assert re.search(r"^USER sunledger$", text, re.MULTILINE)
    environment = dict(re.findall(r"(SUNLEDGER_\w+)=(\S+)", text))
    assert set(environment) <= SETTINGS


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_exists(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
    unit.optionxform = str
    unit.read(path, encoding="utf-8")
    service = unit["Service"]
    program, *words = shlex.split(service["ExecStart"].replace("%i", "web"))
    if program.endswith("/sunledger"):
        options_of(words)
    else:
        assert (ROOT / words[0].removeprefix("/opt/sunledger/")).is_file()
    example = DEPLOY / "systemd" / Path(service["EnvironmentFile"]).name
    assert example.is_file()
    assert service["User"] == "sunledger"
    assert service["ProtectSystem"] == "strict"
    document = unit["Unit"]["Documentation"].removeprefix("file:/opt/sunledger/")
    assert (ROOT / document).is_file()


def test_the_service_has_time_to_stop_and_its_data_is_its_own() -> None:
    for path in SERVICES:
        text = path.read_text(encoding="utf-8")
        assert int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1]) >= 120
        assert re.search(r"^StateDirectoryMode=0700$", text, re.MULTILINE)
        assert re.search(r"^UMask=0077$", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["sunledger.env", "split.env"])
def test_the_settings_of_a_unit_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables(DEPLOY / "systemd" / name)
    assert set(given) <= SETTINGS
    for role in ALL_ROLES if name == "split.env" else [None]:
        settings = accepted(monkeypatch, given, roles=role)
        assert settings.embedded == (name == "sunledger.env")
    commented = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
    assert set(re.findall(r"SUNLEDGER_\w+", commented)) <= SETTINGS


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_a_script(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)
    assert "set -eu" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MANUALS, ids=lambda path: path.name)
def test_a_manual_names_only_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"SUNLEDGER_[A-Z_]+[A-Z]", text):
        assert name in SETTINGS | OPTIONS, name
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target
    for target in re.findall(r"deploy/[\w./@-]+\w(?![\w*@/-])", text):
        assert (ROOT / target).exists(), target
    commands = set(typer.main.get_command(app).commands)
    told = re.findall(r"^\s*(?:\S*/)?sunledger ([a-z]+)", text, re.MULTILINE)
    assert told
    assert set(told) <= commands


@pytest.mark.parametrize("path", MANUALS, ids=lambda path: path.name)
def test_a_manual_names_only_figures_that_are_shown(path: Path) -> None:
    shown = (ROOT / "collector" / "metrics.py").read_text(encoding="utf-8")
    for name in re.findall(r"`(sunledger_\w+?)(?:_total)?[`{]", path.read_text(encoding="utf-8")):
        assert f'"{name}"' in shown, name
