"""One function on the desk, for tests: its sources, the layer, and the records that the tracer left."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost

from . import parts


class Desk:
    """A local Lambda with one function, `f`."""

    def __init__(self, host: LambdaHost, lines: list[str]) -> None:
        self.host = host
        self.lines = lines

    def invoke(self, event: Any = None, **more: Any) -> Any:
        """The answer, as parsed JSON; errors too."""
        return json.loads(self.host.invoke("f", json.dumps(event).encode(), **more).payload)

    def records(self) -> list[dict[str, Any]]:
        """What the tracers of all environments have written, in the order of each file."""
        found = []
        for environment in self.host.environments("f"):
            with contextlib.suppress(FileNotFoundError):
                text = (Path(environment.run_dir) / "records.jsonl").read_text("ascii")
                found += [json.loads(line) for line in text.splitlines() if line]
        return found

    def spans(self, name: str | None = None) -> list[dict[str, Any]]:
        """Ended spans, invocations included."""
        found = [record["span"] for record in self.records() if record["type"] in ("span", "end")]
        return [span for span in found if name is None or span["name"] == name]


@contextlib.contextmanager
def function(
    folder: Path,
    sources: Mapping[str, str] | str,
    *,
    handler: str = "app.handler",
    layer: bool = True,
    environment: Mapping[str, str] | None = None,
    **more: Any,
) -> Iterator[Desk]:
    """Run `sources` (file name → text, or the text of `app.py`) as the function `f`."""
    task = folder / "task"
    for name, text in ({"app.py": sources} if isinstance(sources, str) else sources).items():
        path = task / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines: list[str] = []
    config = FunctionConfig(
        "f",
        task,
        handler,
        layers=(parts.layer(),) if layer else (),
        environment=dict(environment or {}),
        **{"timeout": 5.0, "memory": 1769, **more},
    )
    with LambdaHost([config], on_log=lambda _, text: lines.append(text)) as host:
        yield Desk(host, lines)
