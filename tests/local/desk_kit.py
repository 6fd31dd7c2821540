"""What the tests of the desk share: write a function's source, get a host that runs it."""

from __future__ import annotations

import json
import shutil
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import AwsEndpoint, EnvironmentInfo, FunctionConfig, InvokeResult, LambdaHost

RECORDER = Path(__file__).with_name("recorder.py")


class DeskForTests:
    """One host, with functions made from source text."""

    def __init__(self, folder: Path, aws: AwsEndpoint | None = None) -> None:
        self.folder = folder
        self.lines: list[tuple[str, str]] = []
        self.host = LambdaHost(
            state_dir=folder / "state", on_log=lambda name, line: self.lines.append((name, line)), aws=aws
        )

    def add(
        self,
        source: str,
        *,
        name: str = "f",
        handler: str = "app.handler",
        recorders: dict[str, dict[str, Any]] | None = None,
        environment: dict[str, str] | None = None,
        **config: Any,
    ) -> str:
        """Add a function; `recorders` are the extension's name and plan (one plan for all of a function)."""
        code = self.folder / name
        code.mkdir()
        (code / "app.py").write_text(textwrap.dedent(source))
        variables = dict(environment or {})
        layers = list(config.pop("layers", ()))
        if recorders is not None:
            layer = self.folder / f"{name}-layer"
            (layer / "extensions").mkdir(parents=True)
            for recorder, plan in recorders.items():
                shutil.copy(RECORDER, layer / "extensions" / recorder)
                (layer / "extensions" / recorder).chmod(0o755)
                variables["RECORDER"] = json.dumps(plan)
            layers.append(layer)
        self.host.add(FunctionConfig(name, code, handler, layers=tuple(layers), environment=variables, **config))
        return name

    def invoke(self, event: object = None, *, name: str = "f", **options: Any) -> InvokeResult:
        return self.host.invoke(name, json.dumps(event).encode(), **options)

    def environment(self, name: str = "f") -> EnvironmentInfo:
        (only,) = self.host.environments(name)
        return only

    def kinds(self, name: str = "f") -> list[str]:
        """The types of the platform events so far, without their prefix."""
        return [
            e["type"].removeprefix("platform.") for e in self.host.telemetry(name) if e["type"].startswith("platform")
        ]


def notes(tmp_dir: Path, recorder: str = "recorder") -> list[dict[str, Any]]:
    """What a recorder wrote down so far."""
    path = tmp_dir / f"{recorder}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid: int) -> bool:
    """Whether a process runs or is stopped; a zombie is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def eventually(true: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
