"""The command `hoptrace`: what it says when something is missing or wrong, and the exit code it ends with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hoptrace_local import cli
from hoptrace_local.cli.command import hoptrace
from hoptrace_local.stage import emulator, parts
from hoptrace_local.stage.emulator import Emulator, EmulatorFailed


def run(*arguments: str) -> Result:
    return CliRunner().invoke(hoptrace, arguments)


def test_without_the_local_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    """An interpreter without site-packages stands for an environment that has plain hoptrace."""
    shutil.copytree(Path(cli.__file__).parents[1], tmp_path / "hoptrace_local")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from hoptrace_local.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.endswith("run: pip install 'hoptrace[local]'")


def test_help_lists_the_demo() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "demo" in result.output


@pytest.mark.parametrize("arguments", [("demo", "--nonsense"), ("nonsense",), ("demo", "--keep", __file__)])
def test_wrong_use_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_step_that_fails_ends_with_1_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise parts.PartMissing("the layer's builder is missing: /nowhere/build.py")

    monkeypatch.setattr(parts, "layer_builder", missing)
    result = run("demo")
    assert result.exit_code == 1
    assert "✗ Build the layer: the layer's builder is missing: /nowhere/build.py" in result.output


def test_a_builder_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    builder = tmp_path / "build.py"
    builder.write_text("import sys; print('no compiler'); sys.exit(3)")
    monkeypatch.setattr(parts, "layer_builder", lambda: builder)
    with pytest.raises(RuntimeError, match=r"build.py ended with exit code 3\nno compiler"):
        parts.layer(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_layer_is_built_once_for_the_same_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    builder = tmp_path / "layer" / "build.py"
    builder.parent.mkdir()
    builder.write_text(
        "import sys, pathlib\n"
        "pathlib.Path(sys.argv[sys.argv.index('--output') + 1]).write_text('zip')\n"
        f"with open({str(tmp_path / 'runs')!r}, 'a') as runs: runs.write('x')\n"
    )
    monkeypatch.setattr(parts, "layer_builder", lambda: builder)
    first = parts.layer(tmp_path / "cache")
    assert first.read_text() == "zip"
    assert parts.layer(tmp_path / "cache") == first
    assert (tmp_path / "runs").read_text() == "x"
    (builder.parent / "extra").write_text("changed")
    assert parts.layer(tmp_path / "cache") != first


def test_an_emulator_that_ends_at_once_is_told_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(emulator, "START", "print('bad day'); raise SystemExit(7)")
    broken = Emulator(tmp_path)
    with pytest.raises(EmulatorFailed, match="exit code 7"):
        broken.start(10)
    assert broken.log.read_text() == "bad day\n"


def test_an_emulator_that_never_answers_is_given_up_and_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(emulator, "START", "import time; time.sleep(60)")
    with Emulator(tmp_path) as silent, pytest.raises(EmulatorFailed, match="did not answer"):
        silent.start(0.3)


def test_the_emulator_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also when that process is killed and can clean up nothing."""
    code = (
        "import pathlib, sys, time\n"
        "from hoptrace_local.stage.emulator import Emulator\n"
        f"running = Emulator(pathlib.Path({str(tmp_path)!r}))\n"
        "running.start()\n"
        "print(running._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
    limit = time.monotonic() + 5
    while time.monotonic() < limit and _runs(pid):
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether the process does anything still; one that nobody has reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def test_a_users_aws_credentials_never_reach_the_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the real one")
    monkeypatch.setenv("AWS_PROFILE", "production")
    with Emulator(tmp_path) as running:
        running.start()
        assert running._process is not None
        given = Path(f"/proc/{running._process.pid}/environ").read_bytes()
    assert b"the real one" not in given
    assert b"production" not in given
    assert os.environ["AWS_PROFILE"] == "production"
