"""A function answers the same with the layer and without: results, errors, their types, messages and stacks."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hoptrace_local.lambda_host import FunctionConfig, InvokeResult, LambdaHost
from tests.support import corpus, parts

ECHO = """
def handler(event, context):
    kind = type(event).__name__
    if isinstance(event, dict) and "x" in event:
        return event
    if isinstance(event, dict):
        # What a function sees of its event, to the type of each part.
        return {"kind": kind, "parts": {k: type(v).__name__ for k, v in event.items()}, "event": event}
    return {"kind": kind, "event": event}
"""

RESULTS = """
import collections, contextvars, datetime, decimal, os, random, signal, sys, threading

seen = contextvars.ContextVar("seen", default=0)


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Subclass(dict):
    pass


def generator():
    yield 1


def raising(error):
    raise error


def chained():
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error


def context_of_error():
    try:
        raise ValueError("once")
    except ValueError as error:
        return [repr(error.__context__), repr(error.__cause__), repr(sys.exc_info()[0])]


def deep(n):
    return deep(n - 1) if n else 1


def counted():
    seen.set(seen.get() + 1)
    return seen.get()


def state():
    return {
        "argv": len(sys.argv),
        "alarm": str(signal.getsignal(signal.SIGALRM)),
        "terminate": str(signal.getsignal(signal.SIGTERM)),
        "pipe": str(signal.getsignal(signal.SIGPIPE)),
        "threads": threading.active_count(),
        "streams": [type(sys.stdout).__name__, type(sys.stderr).__name__],
        "excepthook": sys.excepthook is sys.__excepthook__,
        "trace": [str(sys.gettrace()), str(sys.getprofile())],
        "handler": os.environ["_HANDLER"],
        "recursion": sys.getrecursionlimit(),
        "cwd": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "path": [p for p in sys.path if "opt" not in p][:1] == sys.path[:1],
        "module": handler.__module__ + "." + handler.__qualname__,
    }


def huge_text():
    return "x" * 5_000_000


CASES = [
    lambda: None, lambda: 0, lambda: 1.5, lambda: True, lambda: "", lambda: "text", lambda: "\\ud800", lambda: [],
    lambda: {}, lambda: {"statusCode": "200"}, lambda: {"statusCode": 500}, lambda: {"statusCode": None},
    lambda: {"statusCode": [200]}, lambda: {"statusCode": 10**30}, lambda: {"statusCode": True},
    lambda: {"statusCode": 200, "headers": None}, lambda: {"batchItemFailures": None},
    lambda: {"batchItemFailures": [None]}, lambda: {"batchItemFailures": [{"itemIdentifier": []}]},
    lambda: {"batchItemFailures": [{"itemIdentifier": "unknown"}]}, lambda: {"batchItemFailures": "text"},
    lambda: {1: 2}, lambda: {None: 1}, lambda: (1, 2), lambda: {1, 2}, lambda: b"bytes", lambda: object(),
    lambda: float("nan"), lambda: float("inf"), lambda: decimal.Decimal("1.10"), lambda: datetime.datetime(2026, 1, 1),
    lambda: generator(), lambda: Subclass(a=1), lambda: collections.OrderedDict(b=1), lambda: 10**400,
    lambda: huge_text(), lambda: state(), lambda: counted(), lambda: counted(), lambda: context_of_error(),
    lambda: chained(), lambda: raising(ValueError("text")), lambda: raising(ValueError("")), lambda: raising(Odd()),
    lambda: raising(KeyError(1)), lambda: raising(StopIteration(3)), lambda: raising(RecursionError("r")),
    lambda: raising(UnicodeDecodeError("utf-8", b"\\xff", 0, 1, "bad")), lambda: raising(MemoryError()),
    lambda: raising(ExceptionGroup("g", [ValueError(1), TypeError(2)])), lambda: raising(OSError(2, "none", "file")),
    lambda: 1 / 0, lambda: deep(500), lambda: deep(10**6), lambda: int("x"), lambda: {}["k"], lambda: undefined,
]


def handler(event, context):
    if event == "count":
        return len(CASES)
    return CASES[event]()
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaHost]:
    folder = tmp_path_factory.mktemp("same")
    configs = []
    for name, source in (("echo", ECHO), ("results", RESULTS)):
        code = folder / name
        code.mkdir()
        (code / "app.py").write_text(source)
        for variant, layers in (("bare", ()), ("attached", (parts.layer(),))):
            configs.append(
                FunctionConfig(f"{name}-{variant}", code, "app.handler", layers=layers, timeout=20, memory=1769)
            )
    with LambdaHost(configs) as found:
        yield found


def _both(host: LambdaHost, name: str, body: bytes, request_id: str) -> tuple[InvokeResult, InvokeResult]:
    return (
        host.invoke(f"{name}-bare", body, request_id=request_id),
        host.invoke(f"{name}-attached", body, request_id=request_id),
    )


def test_over_two_hundred_events_are_answered_the_same(host: LambdaHost) -> None:
    bodies = corpus.bodies()
    assert len(bodies) >= 200
    for number, body in enumerate(bodies):
        bare, attached = _both(host, "echo", body, f"00000000-0000-4000-8000-{number:012}")
        assert (attached.payload, attached.function_error) == (bare.payload, bare.function_error), body[:300]


def test_every_kind_of_result_and_error_passes_untouched(host: LambdaHost) -> None:
    count = int(host.invoke("results-bare", b'"count"').payload)
    host.invoke("results-attached", b'"count"')
    for number in range(count):
        bare, attached = _both(host, "results", str(number).encode(), f"00000000-0000-4000-8000-{number:012}")
        assert (attached.payload, attached.function_error) == (bare.payload, bare.function_error), number


def test_the_stack_of_a_failing_handler_has_no_frame_of_ours(host: LambdaHost) -> None:
    count = int(host.invoke("results-attached", b'"count"').payload)
    stacks = 0
    for number in range(count):
        result = host.invoke("results-attached", str(number).encode())
        if result.function_error:
            stack = json.loads(result.payload).get("stackTrace")
            stacks += bool(stack)
            assert "hoptrace/" not in json.dumps(stack), stack
    assert stacks > 5


LOADING = {
    "missing_module.handler": {},
    "app.missing": {"app.py": "x = 1\n"},
    "nodot": {"nodot.py": "x = 1\n"},
    "app.handler": {"app.py": "def handler(:\n"},
    "app.handler_raises_import_error": {"app.py": "import does_not_exist\n"},
    "app.handler_raises": {"app.py": "1/0\n"},
    "sys.exit": {"app.py": ""},
    "time.sleep": {"app.py": ""},
    "nested/package/app.handler": {"nested/package/app.py": "def handler(e, c):\n    return __name__\n"},
    "nested.package.app.handler": {"nested/package/app.py": "def handler(e, c):\n    return __name__\n"},
    "pkg.handler": {"pkg/__init__.py": "def handler(e, c):\n    return __name__\n"},
    "app.not_callable": {"app.py": "not_callable = 3\n"},
    "app.one_argument": {"app.py": "def one_argument(event):\n    return 1\n"},
    "app.keyword_only": {"app.py": "def keyword_only(*, event, context):\n    return 1\n"},
    "app.Callable": {"app.py": "class _C:\n    def __call__(self, e, c):\n        return 'called'\nCallable = _C()\n"},
    "app.partial": {"app.py": "import functools\ndef f(a, e, c):\n    return a\npartial = functools.partial(f, 5)\n"},
    "app.klass": {"app.py": "class klass(dict):\n    def __init__(self, e, c):\n        super().__init__(a=1)\n"},
    "app.decorated": {
        "app.py": "import functools\ndef d(f):\n    @functools.wraps(f)\n    def w(e, c):\n"
        "        return f(e, c)\n    return w\n@d\ndef decorated(e, c):\n    raise ValueError('inside')\n"
    },
    "app.exits": {"app.py": "import sys\nsys.exit(4)\n"},
    "app.exit_in_handler": {"app.py": "import sys\ndef exit_in_handler(e, c):\n    sys.exit(5)\n"},
    "app.keyboard": {"app.py": "def keyboard(e, c):\n    raise KeyboardInterrupt\n"},
    "app.generator_exit": {"app.py": "def generator_exit(e, c):\n    raise GeneratorExit('x')\n"},
}


@pytest.mark.parametrize("handler", LOADING)
def test_a_handler_is_loaded_and_fails_to_load_exactly_as_without_us(handler: str, tmp_path: Path) -> None:
    for name, text in LOADING[handler].items():
        path = tmp_path / "task" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "task").mkdir(exist_ok=True)
    answers = []
    for layers in ((), (parts.layer(),)):
        config = FunctionConfig(
            "f", tmp_path / "task", handler, layers=layers, timeout=5, memory=1769, check_handler=False
        )
        with LambdaHost([config]) as host:
            result = host.invoke("f", b"{}", request_id="00000000-0000-4000-8000-000000000001")
            answers.append((result.payload, result.function_error))
    assert answers[0] == answers[1]
