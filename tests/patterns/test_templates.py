"""The templates: what would be deployed is what is built here, and nothing in them is passed over."""

import subprocess
import sys
from pathlib import Path

import pytest

from hoptrace_local.patterns import load_all
from hoptrace_local.patterns.catalog import PatternBroken, load, shown, with_shown
from hoptrace_local.patterns.resources import Resources
from hoptrace_local.patterns.template import Template, UnknownInTemplate, physical, resolved
from hoptrace_local.stage.emulator import Emulator

PATTERNS = load_all()


def template(tmp_path: Path, resources: str) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text(f"Resources:\n{resources}")
    return Template(path)


def test_cloudformations_own_linter_has_nothing_to_say() -> None:
    paths = [str(pattern.folder / "template.yaml") for pattern in PATTERNS.values()]
    code = "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())"
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", PATTERNS)
def test_every_function_has_its_code_and_the_layer(name: str) -> None:
    pattern = PATTERNS[name]
    for function in pattern.template.functions:
        properties = pattern.template.function(function)
        assert (pattern.folder / properties["CodeUri"] / "app.py").is_file()
        assert properties["Layers"] == [{"Ref": "HoptraceLayerArn"}]
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in properties["Environment"]["Variables"]


@pytest.mark.parametrize(("logical", "name"), [("Orders", "orders"), ("OrdersQueue", "orders-queue"), ("A1B", "a1-b")])
def test_a_resource_is_called_after_its_logical_id(logical: str, name: str) -> None:
    assert physical(logical) == name


def test_references_mean_what_cloudformation_means_by_them(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
  Queue: { Type: AWS::SQS::Queue }
  Topic: { Type: AWS::SNS::Topic }
  Table: { Type: AWS::DynamoDB::Table }
""",
    )
    resources = Resources(found, Emulator(tmp_path))
    asked = {
        "topic": {"Ref": "Topic"},
        "table": [{"Ref": "Table"}],
        "arn": {"Fn::GetAtt": ["Queue", "Arn"]},
        "text": {"Fn::Sub": "${Table}=id in ${AWS::Region} by ${Topic.TopicName}"},
    }
    assert resources.resolve(asked) == {
        "topic": "arn:aws:sns:eu-central-1:000000000000:topic",
        "table": ["table"],
        "arn": "arn:aws:sqs:eu-central-1:000000000000:queue",
        "text": "table=id in eu-central-1 by topic",
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"Ref": "Nobody"}, "speaks of Nobody"),
        ({"Fn::GetAtt": ["Queue", "Colour"]}, r"speaks of Queue\.Colour"),
        ({"Fn::Sub": "a ${Nothing} b"}, "speaks of Nothing"),
        ({"Fn::Join": ["", []]}, "Fn::Join is not worked out"),
    ],
)
def test_what_is_not_known_is_an_error(value: object, told: str) -> None:
    with pytest.raises(UnknownInTemplate, match=told):
        resolved(value, {"Queue": "url"})


def test_a_resource_that_is_not_built_here_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    found = template(tmp_path, "  Bucket: { Type: AWS::S3::Bucket }\n")
    with pytest.raises(UnknownInTemplate, match="Bucket is of the type AWS::S3::Bucket"):
        Resources(found, Emulator(tmp_path))


def test_a_folder_without_a_start_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "pattern.py").write_text('"""A pattern that nobody can start."""\n')
    with pytest.raises(PatternBroken, match="needs a docstring and a function start"):
        load(tmp_path)


def test_the_trace_of_a_readme_is_read_and_written_in_its_place() -> None:
    readme = "# P\n\n```\nrun\n```\n\n## The trace\n\nSo:\n\n```text\na\nb\n```\n\nAfter.\n"
    assert shown(readme) == ("a", "b")
    assert with_shown(readme, ["c"]) == readme.replace("a\nb", "c")
    assert shown(with_shown(readme, [])) == ()
    with pytest.raises(PatternBroken):
        with_shown("# P\n", ["c"])
