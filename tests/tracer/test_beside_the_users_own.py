"""Attached beside modules and packages of the user's own that share names, or are other versions, of what we know."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.support.functions import function

OWN = {
    "tracer.py": "NAME = 'my tracer'\ndef trace(f):\n    return f\n",
    "collector.py": "NAME = 'my collector'\n",
    "local/__init__.py": "NAME = 'my local'\n",
    "layer.py": "NAME = 'my layer'\n",
    "context.py": "NAME = 'my context'\n",
    "handler.py": "NAME = 'my handler'\n",
    "settings.py": "NAME = 'my settings'\n",
    "entry.py": "NAME = 'my entry'\n",
    "spans.py": "NAME = 'my spans'\n",
    "guard.py": "NAME = 'my guard'\n",
    "bootstrap.py": "def fail():\n    raise ValueError('from my own bootstrap')\n",
}
APP = """
import collector, context, entry, guard, handler as own, layer, local, settings, spans, tracer
import bootstrap

@tracer.trace
def handler(event, context_):
    names = [m.NAME for m in (collector, context, entry, guard, own, layer, local, settings, spans, tracer)]
    if event.get("fail"):
        bootstrap.fail()
    return names
"""


def test_a_users_own_tracer_and_collector_modules_stay_theirs(tmp_path: Path) -> None:
    answers = []
    with OtlpSink() as sink:
        for layer in (False, True):
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
            with function(tmp_path / str(layer), {**OWN, "app.py": APP}, layer=layer, environment=variables) as desk:
                answers.append([desk.invoke({}), desk.invoke({"fail": 1}, request_id="0" * 36)])
        assert [span.name for span in sink.spans].count("f") == 2
    assert len(answers[1][0]) == 10
    bare, attached = (
        str(answer).replace(f"/{layer}/", "/") for answer, layer in zip(answers, (False, True), strict=True)
    )
    assert attached == bare


VERSIONS = """
import importlib.metadata, wrapt
from opentelemetry import trace

tracer = trace.get_tracer("mine")

@wrapt.decorator
def shout(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs).upper()

@shout
def word():
    return "word"

def handler(event, context):
    with tracer.start_as_current_span("mine") as span:
        span.set_attribute("a", 1)
        context_ = trace.get_current_span().get_span_context()
    return {
        "api": importlib.metadata.version("opentelemetry-api"),
        "wrapt": wrapt.__version__,
        "where": [wrapt.__file__.rsplit("/task/", 1)[1], trace.__file__.rsplit("/task/", 1)[1]],
        "word": word(),
        "valid": context_.is_valid,
    }
"""


@pytest.mark.parametrize("api", ["1.20.0", "1.30.0"])
def test_an_older_opentelemetry_api_and_another_wrapt_of_the_users_own_work_on(api: str, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(packages),
    ]
    subprocess.run([*command, f"opentelemetry-api=={api}", "wrapt<2"], check=True, stdin=subprocess.DEVNULL)
    answers = []
    with OtlpSink() as sink:
        for layer in (False, True):
            folder = tmp_path / str(layer)
            folder.mkdir()
            shutil.copytree(packages, folder / "task")
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
            with function(folder, VERSIONS, layer=layer, environment=variables) as desk:
                answers.append(desk.invoke({}))
        assert [span.name for span in sink.spans].count("f") == 1
        assert [span.name for span in sink.spans].count("mine") == 1
    # The one difference is what attaching is for: what the user's code records has somewhere to go.
    assert [answer.pop("valid") for answer in answers] == [False, True]
    assert answers[0] == answers[1]
    assert answers[1]["api"] == api
    assert answers[1]["word"] == "WORD"
