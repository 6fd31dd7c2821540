"""The wheel holds all that `hoptrace demo` needs outside a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.parts import REPOSITORY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked, as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("hoptrace-*.whl")
    target = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def _run(site: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), **variables}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=site.parent, timeout=300
    )


def test_the_three_packages_the_layers_builder_and_the_example_are_in_it(site: Path) -> None:
    for name in ("hoptrace/attach.py", "hoptrace_collector/app.py", "hoptrace_local/_layer/build.py"):
        assert (site / name).is_file()
    assert (site / "hoptrace_local" / "_examples" / "orders" / "checkout" / "app.py").is_file()
    (metadata,) = site.glob("hoptrace-*.dist-info")
    assert "hoptrace_local.cli:main" in (metadata / "entry_points.txt").read_text()
    requires = [line for line in (metadata / "METADATA").read_text().splitlines() if line.startswith("Requires-Dist")]
    base = sorted(line.split()[1].split(">")[0] for line in requires if "extra" not in line)
    assert base == ["opentelemetry-api", "opentelemetry-sdk", "wrapt"]


def test_it_builds_the_same_layer_as_the_checkout(site: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.zip", tmp_path / "theirs.zip"
    arguments = ["--python", sys.executable, "--output"]
    installed = _run(site, str(site / "hoptrace_local" / "_layer" / "build.py"), *arguments, str(theirs))
    assert installed.returncode == 0, installed.stderr
    subprocess.run(
        [sys.executable, str(REPOSITORY / "layer" / "build.py"), *arguments, str(ours)], check=True, capture_output=True
    )
    assert theirs.read_bytes() == ours.read_bytes()


def test_the_command_runs_from_it(site: Path) -> None:
    done = _run(site, "-m", "hoptrace_local.cli", "demo", "--help")
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_whole_demo_runs_from_it(site: Path, tmp_path: Path) -> None:
    done = _run(site, "-m", "hoptrace_local.cli", "demo", HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
