"""Builds the Lambda layer: the same bytes from the same inputs.

    python layer/build.py --output dist/hoptrace-layer-x86_64.zip --python python3.12 --python python3.13

The inputs are the sources, `requirements.txt` (hashes included) and the list of Pythons that bytecode is compiled
for (`bytecode.py`), with `unchecked-hash`: a layer is unpacked with changed times onto a read-only disk, where bytecode
checked by time is compiled anew at each cold start. What nobody reads there is left out (`smaller.py`). A Python that
is missing fails the build unless `--allow-missing` is given; the manifest says which are in.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import smaller

HERE = Path(__file__).resolve().parent
PLATFORMS = {"x86_64": "manylinux2014_x86_64", "arm64": "manylinux2014_aarch64"}
DEFAULT_PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
# What the layer may weigh, zipped: 3 MB with three Pythons.
LIMIT = 1_050_000
LIMIT_EACH = 650_000
EPOCH = (1980, 1, 1, 0, 0, 0)

# Of the collector's dependencies, what it never imports.
UNUSED = (
    r"google/protobuf/(compiler|testdata|util)/",
    r"google/protobuf/internal/(testing_refleaks|.*_test|.*_benchmark)\.py$",
    r"google/protobuf/(any|api|descriptor|duration|empty|field_mask|source_context|struct|timestamp)_pb2\.py$",
    r"google/protobuf/(type|wrappers)_pb2\.py$",
    r"google/protobuf/(any|duration|timestamp|proto|proto_.*|json_.*options_pb2|service_reflection)\.py$",
    r"opentelemetry/proto/(collector/)?profiles/",
    r".*\.pyi$",
    r".*\.typed$",
    *smaller.LEFT_OUT,
)


class BuildError(Exception):
    """Something that whoever builds has to mend; the message says what."""


def package(name: str) -> Path:
    """The folder of one of our packages: in this checkout, or installed."""
    for checkout in (HERE.parent / "tracer" / name, HERE.parent / "collector" / name):
        if checkout.is_dir():
            return checkout
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BuildError(f"the package {name} is not installed; run: pip install 'hoptrace[local]'")
    return Path(spec.origin).parent


# What runs on other hosts only: the gateway, and what is for tests.
ELSEWHERE = ("gateway", "testing.py")


def copy_sources(source: Path, target: Path) -> None:
    """A package's own files, without what Python or an editor left there."""
    for path in sorted(source.rglob("*")):
        if path.relative_to(source).parts[0] in ELSEWHERE:
            continue
        if path.is_file() and "__pycache__" not in path.parts and path.suffix == ".py":
            destination = target / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_text(smaller.bare(path.read_text("utf-8")), "utf-8")


def fetch(target: Path, arch: str) -> dict[str, str]:
    """Unpack the locked dependencies of the collector into `target`; their versions by name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--platform", PLATFORMS[arch], "--platform", "any"]
        command += ["--implementation", "cp", "--abi", "abi3", "--abi", "none", "--python-version", "3.11"]
        command += ["--requirement", str(HERE / "requirements.txt"), "--dest", folder]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"pip could not fetch the collector's dependencies:\n{done.stderr.strip()}")
        versions = {}
        for wheel in sorted(Path(folder).glob("*.whl")):
            name, version = wheel.name.split("-")[:2]
            versions[name] = version
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    _unpack(archive, member, name, target)
        return versions


def _unpack(archive: zipfile.ZipFile, member: str, name: str, target: Path) -> None:
    licence = re.fullmatch(r"[^/]+\.dist-info/(?:licenses/)?(LICEN[CS]E[^/]*|NOTICE[^/]*)", member)
    if licence:
        path = target / "licenses" / f"{name}-{licence.group(1)}"
    elif member.endswith("/") or ".dist-info/" in member or any(re.match(unused, member) for unused in UNUSED):
        return
    else:
        path = target / member
    path.parent.mkdir(parents=True, exist_ok=True)
    content = archive.read(member)
    path.write_bytes(smaller.bare(content.decode()).encode() if path.suffix == ".py" else content)


def locate(python: str) -> str | None:
    """A command or path of a Python that really runs (a version manager's shim may not)."""
    home = Path.home()
    candidates = [python]
    version = re.fullmatch(r"python(3\.\d+)", python)
    if version:
        candidates += [f"/usr/local/bin/{python}", f"/usr/bin/{python}", f"/var/lang/bin/{python}"]
        for pattern in (f".pyenv/versions/{version.group(1)}.*/bin/{python}", f".local/bin/{python}",
                        f".local/share/uv/python/*-{version.group(1)}.*/bin/{python}"):  # fmt: skip
            candidates += [str(path) for path in sorted(home.glob(pattern))]
    for candidate in candidates:
        found = shutil.which(candidate)
        if found is None:
            continue
        done = subprocess.run([found, "-I", "-S", "-c", "pass"], stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode == 0:
            return found
    return None


def compile_for(python: str, stage: Path) -> str:
    """Compile everything in `stage` for one Python; its full version."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        # Without the columns of every instruction, which only underline source lines that nobody asks ours for, the
        # bytecode is a fifth smaller, to ship and to load.
        [python, "-S", "-X", "no_debug_ranges", str(HERE / "bytecode.py"), str(stage)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise BuildError(f"{python} could not compile the layer:\n{done.stderr.strip()}")
    return done.stdout.strip()


def write_zip(stage: Path, output: Path) -> None:
    """Zip `stage` with sorted names, fixed times and fixed modes."""
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f"{output.name}.{os.getpid()}.part")  # another build may be under way
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in stage.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(path.relative_to(stage).as_posix(), EPOCH)
            executable = info.filename.startswith("extensions/") or info.filename == "hoptrace" or path.suffix == ".so"
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    part.replace(output)


def build(output: Path, pythons: list[str], arch: str, allow_missing: bool) -> dict[str, Any]:
    """Write the layer; the manifest that is in it.

    Raises:
        BuildError: a Python, a package or a dependency is missing.
    """
    located = {python: locate(python) for python in pythons}
    missing = [python for python, found in located.items() if found is None]
    if missing and not allow_missing:
        raise BuildError(f"not found: {', '.join(missing)}; install them, name others with --python, or allow it with "
                         "--allow-missing (their functions compile the layer at each cold start)")  # fmt: skip
    present = [found for found in located.values() if found is not None]
    if not present:
        raise BuildError("none of the Pythons to compile for is there; name one with --python")
    with tempfile.TemporaryDirectory(prefix="hoptrace-layer-") as folder:
        stage = Path(folder)
        copy_sources(package("hoptrace"), stage / "python" / "hoptrace")
        (stage / "python" / "hoptrace.pth").write_text("import hoptrace.attach; hoptrace.attach.attach()\n")
        home = stage / "hoptrace-collector"
        copy_sources(package("hoptrace_collector"), home / "hoptrace_collector")
        shutil.copyfile(HERE / "hoptrace-collector" / "doorman.bash", home / "doorman.bash")
        shutil.copyfile(HERE / "hoptrace-collector" / "__main__.py", home / "__main__.py")
        (stage / "extensions").mkdir()
        shutil.copyfile(HERE / "extensions" / "hoptrace-collector", stage / "extensions" / "hoptrace-collector")
        shutil.copyfile(HERE / "hoptrace", stage / "hoptrace")
        versions = fetch(home, arch)
        smaller.empty(home)
        compiled = sorted({compile_for(python, stage).rpartition(".")[0] for python in present})
        manifest = {
            "name": "hoptrace",
            "version": _version(),
            "arch": arch,
            "collector_dependencies": versions,
            "bytecode": compiled,
            "bytecode_missing": sorted(python.removeprefix("python") for python in missing),
        }
        (stage / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        write_zip(stage, output)
    return manifest


def _version() -> str:
    text = (package("hoptrace") / "version.py").read_text()
    found = re.search(r'__version__ = "([^"]+)"', text)
    if found is None:
        raise BuildError("hoptrace/version.py names no version")
    return found.group(1)


def main(argv: list[str] | None = None) -> int:
    """The command; 0, or 1 with one message."""
    parser = argparse.ArgumentParser(description="Build the hoptrace Lambda layer.")
    parser.add_argument("--output", type=Path, help="the zip to write (default: dist/hoptrace-layer-<arch>.zip)")
    parser.add_argument("--python", action="append", help=f"compile for it (default: {', '.join(DEFAULT_PYTHONS)})")
    parser.add_argument("--arch", choices=sorted(PLATFORMS), default="x86_64")
    parser.add_argument("--allow-missing", action="store_true", help="leave out Pythons that are not there")
    parser.add_argument("--locate", nargs="+", metavar="PYTHON", help="only say which of these are there, and where")
    options = parser.parse_args(argv)
    if options.locate:
        for python in options.locate:
            if found := locate(python):
                print(python, found)
        return 0
    output = options.output or Path("dist") / f"hoptrace-layer-{options.arch}.zip"
    try:
        manifest = build(output, options.python or list(DEFAULT_PYTHONS), options.arch, options.allow_missing)
    except BuildError as error:
        print(f"layer: {error}", file=sys.stderr)
        return 1
    size = output.stat().st_size
    with zipfile.ZipFile(output) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"{output}: {size:,} bytes ({unpacked:,} unpacked), sha256 {digest[:16]}…")
    missing = ", ".join(manifest["bytecode_missing"])
    print(f"bytecode for {', '.join(manifest['bytecode'])}" + (f"; missing: {missing}" if missing else ""))
    limit = LIMIT + LIMIT_EACH * len(manifest["bytecode"])
    if size > limit:
        print(f"layer: larger than {limit:,} bytes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
