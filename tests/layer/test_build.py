"""What is in the layer, and that the same inputs give the same bytes."""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import parts

BUILD = parts.REPOSITORY / "layer" / "build.py"


def _build(output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BUILD), "--output", str(output), *more]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("layer") / "layer.zip"
    done = _build(output, "--python", sys.executable)
    assert done.returncode == 0, done.stderr
    assert f"{output.stat().st_size:,} bytes" in done.stdout
    return output


def test_the_same_inputs_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    assert _build(again, "--python", sys.executable).returncode == 0
    assert again.read_bytes() == built.read_bytes()


def test_it_is_smaller_than_three_megabytes_with_three_pythons() -> None:
    layer = parts.layer()
    with zipfile.ZipFile(layer) as archive:
        pythons = len(json.loads(archive.read("manifest.json"))["bytecode"])
    assert layer.stat().st_size <= 1_050_000 + 650_000 * pythons


def test_on_the_functions_path_there_is_nothing_but_hoptrace(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        (pth,) = [name for name in names if name.endswith(".pth")]
        assert archive.read(pth).decode().startswith("import hoptrace.attach;")
    assert {name.split("/")[1] for name in names if name.startswith("python/")} == {"hoptrace", "hoptrace.pth"}
    assert [name for name in names if name.startswith("extensions/")] == ["extensions/hoptrace-collector"]
    roots = {name.split("/")[0] for name in names}
    assert roots == {"python", "extensions", "hoptrace-collector", "hoptrace", "manifest.json"}


def test_the_extension_can_be_executed_and_brings_its_dependencies_and_their_licences(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        for name in ("extensions/hoptrace-collector", "hoptrace"):
            assert archive.getinfo(name).external_attr >> 16 & 0o777 == 0o755
    for name in ("google/protobuf/message.py", "opentelemetry/proto/trace/v1/trace_pb2.py", "doorman.bash"):
        assert f"hoptrace-collector/{name}" in names
    assert [name for name in names if name.startswith("hoptrace-collector/licenses/")]


def test_every_module_on_the_functions_path_has_bytecode_that_is_never_checked_against_its_source(built: Path) -> None:
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(built) as archive:
        sources = [name for name in archive.namelist() if name.startswith("python/") and name.endswith(".py")]
        for source in sources:
            folder, _, name = source.rpartition("/")
            compiled = archive.read(f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc")
            # PEP 552: the flags word; bit 0: hash-based, bit 1: check the source.
            assert int.from_bytes(compiled[4:8], "little") == 0b01, source
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["bytecode"] == ["{}.{}".format(*sys.version_info)]
    assert manifest["bytecode_missing"] == []


@pytest.fixture
def unpacked(built: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def _started(opt: Path) -> subprocess.CompletedProcess[str]:
    """The collector's entry, in a surrounding that is no Lambda; it says so and ends."""
    command = [sys.executable, "-I", "-S", "-v", str(opt / "hoptrace-collector")]
    return subprocess.run(command, env={}, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_collector_is_loaded_from_one_file_and_no_source_of_it_is_even_opened(unpacked: Path) -> None:
    home = unpacked / "hoptrace-collector"
    sources = [path for path in home.rglob("*.py") if path.name != "__main__.py"]
    assert len(sources) > 100
    for source in sources:
        source.unlink()
    done = _started(unpacked)
    assert done.returncode == 0
    assert "this is no Lambda" in done.stderr


@pytest.mark.parametrize("content", [None, b"", b"\0" * 40])
def test_where_the_bytecode_is_for_another_python_or_broken_the_sources_are_used(
    unpacked: Path, content: bytes | None
) -> None:
    (bundle,) = (unpacked / "hoptrace-collector").glob("bytecode-*")
    if content is None:
        bundle.unlink()
    else:
        bundle.write_bytes(content)
    done = _started(unpacked)
    assert done.returncode == 0
    assert "this is no Lambda" in done.stderr
    assert f"code object from {unpacked}/hoptrace-collector/hoptrace_collector/app.py" in done.stderr


def test_the_sources_have_their_statements_on_the_lines_of_the_repository(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        for name, path in (
            ("python/hoptrace/handler.py", "tracer/hoptrace/handler.py"),
            ("hoptrace-collector/hoptrace_collector/app.py", "collector/hoptrace_collector/app.py"),
        ):
            shipped, source = archive.read(name).decode(), (parts.REPOSITORY / path).read_text("utf-8")
            assert "# " not in shipped
            assert ast.dump(_without_docstrings(shipped), include_attributes=True) == ast.dump(
                _without_docstrings(source), include_attributes=True
            )


def _without_docstrings(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body[0:1] = []
            elif isinstance(first, ast.Pass) and len(node.body) == 1:
                node.body.clear()
    return tree


def test_for_arm64_only_what_is_compiled_differs(built: Path, tmp_path: Path) -> None:
    output = tmp_path / "arm64.zip"
    assert _build(output, "--arch", "arm64", "--python", sys.executable).returncode == 0
    with zipfile.ZipFile(output) as arm, zipfile.ZipFile(built) as intel:
        assert sorted(arm.namelist()) == sorted(intel.namelist())
        differing = {name for name in arm.namelist() if arm.read(name) != intel.read(name)}
        compiled = {name for name in differing if name.endswith(".so")}
        assert differing == {"manifest.json", *compiled}
        # ELF's e_machine: 183 is AArch64, 62 is x86-64.
        assert {int.from_bytes(arm.read(name)[18:20], "little") for name in compiled} == {183}
        assert {int.from_bytes(intel.read(name)[18:20], "little") for name in compiled} == {62}


def test_a_python_that_is_missing_fails_the_build_unless_allowed(tmp_path: Path) -> None:
    wanted = ["--python", sys.executable, "--python", "python3.99"]
    refused = _build(tmp_path / "layer.zip", *wanted)
    assert refused.returncode == 1
    assert "python3.99" in refused.stderr
    assert "--allow-missing" in refused.stderr
    assert not (tmp_path / "layer.zip").exists()
    allowed = _build(tmp_path / "layer.zip", *wanted, "--allow-missing")
    assert allowed.returncode == 0, allowed.stderr
    with zipfile.ZipFile(tmp_path / "layer.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["bytecode_missing"] == ["3.99"]
