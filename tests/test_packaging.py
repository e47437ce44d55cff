"""What an installation of quotapilot contains."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
PACKAGES = ["backends", "config", "controller", "models"]


def test_the_installed_version_is_the_projects() -> None:
    assert importlib.metadata.version("quotapilot") == PROJECT["version"]


def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    # From a copy: setuptools leaves a build folder beside the sources, and takes what is stale in it.
    source = tmp_path / "source"
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", source)
    shutil.copy(CHECKOUT / PROJECT["readme"], source)
    pip_wheel = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, "-m", *pip_wheel, "-w", tmp_path, source], check=True)

    [wheel] = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        file.relative_to(CHECKOUT).as_posix()
        for package in PACKAGES
        for file in (CHECKOUT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".md"
    }
    assert wanted, "the packages are empty"
    assert wanted <= shipped, "setuptools leaves out what [tool.setuptools.package-data] does not name"
