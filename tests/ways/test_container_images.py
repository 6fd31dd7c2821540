"""Functions in container images: what the examples' Containerfiles say, run by the real runtime client under RIE."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pytest

from tests.collector.support import Backend, attributes_of, spans_of
from tests.support import rie
from tests.support.parts import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "container-image"

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(rie.can_run()), reason=rie.can_run() or "-")]


class Image:
    """The lines of a Containerfile that say what runs."""

    def __init__(self, name: str) -> None:
        self.copies: list[tuple[str, str]] = []
        self.environment: dict[str, str] = {}
        self.entry_point: list[str] = []
        self.command: list[str] = []
        for line in (EXAMPLE / name).read_text().splitlines():
            word, _, rest = line.partition(" ")
            if word == "COPY":
                source, target = rest.split()
                self.copies.append((source, target))
            elif word == "ENV":
                key, _, value = rest.partition("=")
                self.environment[key] = value
            elif word == "ENTRYPOINT":
                self.entry_point = json.loads(rest)
            elif word == "CMD":
                self.command = json.loads(rest)
            else:
                assert re.match(r"#|FROM |RUN pip install |WORKDIR /var/task|$", line), line

    def entry(self) -> list[str]:
        """The command, with this test's Python for the image's; empty where it is that of AWS's base image."""
        if not self.entry_point:
            return []
        assert self.entry_point[0] == "python"
        return [f"{sys.prefix}/bin/python", *self.entry_point[1:], *self.command]


FORMS = {
    "any image, by the handler's name": ("Containerfile", {}, ""),
    "AWS's base image": ("Containerfile.aws", {}, ""),
    "any image, by the decorator": (
        "Containerfile",
        {"CMD": "app.handler"},
        "import hoptrace\nhandler = hoptrace.trace(handler)\n",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_traced_with_its_collector(form: str, tmp_path: Path) -> None:
    name, changed, more = FORMS[form]
    image = Image(name)
    assert ("hoptrace-layer/", "/opt/") in image.copies
    assert ("app.py", "/var/task/") in image.copies
    if "CMD" in changed:
        image.command = [changed["CMD"]]
        del image.environment["HOPTRACE_HANDLER"]
    with Backend() as backend:
        environment = {
            **image.environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "HOPTRACE_OTLP_PORT": "0",
            "HOPTRACE_TELEMETRY_PORT": "0",
        }
        source = (EXAMPLE / "app.py").read_text() + more
        with rie.running(
            tmp_path,
            {"app.py": source},
            handler=image.command[0],
            environment=environment,
            entry_point=image.entry(),
        ) as emulator:
            status, body, _ = emulator.invoke(b'{"order": 7}')
            emulator.invoke(json.dumps({"url": f"{backend.url}/missing"}).encode())
            end = time.monotonic() + 10
            while time.monotonic() < end and sum(span.name == "function" for span in spans_of(backend)) < 2:
                time.sleep(0.05)
            log = emulator.log
        spans = spans_of(backend)
    assert (status, json.loads(body)) == (200, {"event": {"order": 7}}), log
    first, second = sorted(
        (span for span in spans if span.name == "function"), key=lambda span: span.start_time_unix_nano
    )
    assert [attributes_of(span)["faas.coldstart"] for span in (first, second)] == [True, False]
    assert attributes_of(second)["error.type"] == "urllib.error.HTTPError"
    (call,) = (span for span in spans if span.kind == 3)
    assert call.parent_span_id == second.span_id
    assert "not traced" not in log
