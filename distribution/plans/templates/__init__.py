"""Plan templates that ship with the product: one TOML per published rule set, and a county default.

Owns finding them by name. Each names its source and carries its own cases.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent


def template_names() -> list[str]:
    """Return the names of the shipped templates, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def template_path(name: str) -> Path:
    """Return the file of a shipped template; raises FileNotFoundError for an unknown name."""
    path = _FOLDER / f"{name}.toml"
    if name not in template_names():
        raise FileNotFoundError(f"no plan template “{name}”; there are {', '.join(template_names())}")
    return path
