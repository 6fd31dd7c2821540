"""Threads, pools, tasks, processes and generators of the user's: context follows, or ends, and nothing is lost."""

from pathlib import Path

from tests.otel.support import Trace, shipping

POOL = """
import threading
from concurrent.futures import ThreadPoolExecutor
from opentelemetry import context, trace

pool = ThreadPoolExecutor(2)
tracer = trace.get_tracer("t")

def work(name):
    with tracer.start_as_current_span(name):
        return threading.current_thread().name

def handler(event, _):
    with tracer.start_as_current_span("outer" + event["n"]):
        pool.submit(work, "submitted" + event["n"]).result()
        list(pool.map(work, ["mapped" + event["n"]]))
        thread = threading.Thread(target=work, args=("thread" + event["n"],))
        thread.start()
        thread.join()
        now = context.get_current()
        def carrying():
            token = context.attach(now)
            try:
                work("carried" + event["n"])
            finally:
                context.detach(token)
        thread = threading.Thread(target=carrying)
        thread.start()
        thread.join()
"""


def test_work_given_to_a_pool_belongs_to_who_gave_it_and_a_bare_thread_to_the_invocation(tmp_path: Path) -> None:
    with shipping(tmp_path, POOL, "opentelemetry-api") as desk:
        desk.invoke({"n": "1"})
        first = Trace(desk).tree()
        desk.invoke({"n": "2"})
        records = [r["span"] for r in desk.records() if r["type"] in ("span", "end")]
    assert first == {
        "f": None,
        "outer1": "f",
        "submitted1": "outer1",
        "mapped1": "outer1",
        "thread1": "f",
        "carried1": "outer1",
    }
    by_name = {span["name"]: span for span in records}
    second = by_name["outer2"]
    for name in ("submitted2", "mapped2", "carried2"):
        assert by_name[name]["parent_id"] == second["span_id"]
    assert by_name["thread2"]["parent_id"] == second["parent_id"]
    assert not any("hoptrace.late" in span.get("attributes", {}) for span in records)


ASYNC = """
import asyncio
from opentelemetry import trace

tracer = trace.get_tracer("t")

@tracer.start_as_current_span("decorated")
async def decorated():
    await asyncio.sleep(0.01)
    return trace.get_current_span().is_recording()

async def step(name, seconds):
    with tracer.start_as_current_span(name):
        await asyncio.sleep(seconds)
        with tracer.start_as_current_span(name + ".inner"):
            await asyncio.to_thread(in_thread, name + ".thread")

def in_thread(name):
    with tracer.start_as_current_span(name):
        pass

async def numbers():
    with tracer.start_as_current_span("generator"):
        yield 1
        yield 2

async def main():
    with tracer.start_as_current_span("main"):
        await asyncio.gather(step("a", 0.02), step("b", 0.01))
        await asyncio.get_running_loop().run_in_executor(None, in_thread, "executor")
        await decorated()
        async for _ in numbers():
            break
        with tracer.start_as_current_span("after the generator"):
            pass

def handler(event, _):
    asyncio.run(main())
    return trace.get_current_span().is_recording()
"""


def test_tasks_have_the_context_that_they_were_made_in(tmp_path: Path) -> None:
    with shipping(tmp_path, ASYNC, "opentelemetry-api") as desk:
        assert desk.invoke({}) is True
        tree = Trace(desk).tree()
    # A generator that is left in its midst keeps its span current, as Python's generators share their caller's context.
    assert tree.pop("after the generator") in ("generator", "main")
    assert tree == {
        "f": None,
        "main": "f",
        "a": "main",
        "a.inner": "a",
        "a.thread": "a.inner",
        "b": "main",
        "b.inner": "b",
        "b.thread": "b.inner",
        "executor": "main",
        "decorated": "main",
        "generator": "main",
    }


LATE = """
import threading, time
from opentelemetry import context, trace

tracer = trace.get_tracer("t")
go = threading.Event()

def handler(event, _):
    if event["n"] == 1:
        span = tracer.start_span("late")
        now = context.get_current()
        def later():
            go.wait(5)
            span.end()
            context.attach(now)
            tracer.start_span("begun late").end()
        handler.thread = threading.Thread(target=later)
        handler.thread.start()
        tracer.start_span("in time").end()
    else:
        go.set()
        handler.thread.join()
        tracer.start_span("of the second").end()
"""


def test_a_span_that_ends_after_its_invocation_is_delivered_and_marked(tmp_path: Path) -> None:
    with shipping(tmp_path, LATE, "opentelemetry-api") as desk:
        desk.invoke({"n": 1})
        before = [span["name"] for span in desk.spans()]
        desk.invoke({"n": 2})
        spans = {span["name"]: span for span in desk.spans()}
        ends = [r["span"] for r in desk.records() if r["type"] == "end"]
    assert "late" not in before
    assert spans["late"]["attributes"] == {"hoptrace.late": True}
    assert spans["late"]["parent_id"] == ends[0]["span_id"]
    assert spans["begun late"]["attributes"] == {"hoptrace.late": True}
    assert spans["begun late"]["trace_id"] == ends[0]["trace_id"]
    assert "attributes" not in spans["in time"]
    assert "attributes" not in spans["of the second"]
    assert spans["of the second"]["parent_id"] == ends[1]["span_id"]


LATE_SDK = LATE.replace(
    "tracer = ",
    "from opentelemetry.sdk.trace import TracerProvider\ntrace.set_tracer_provider(TracerProvider())\ntracer = ",
)


def test_a_span_of_the_users_own_provider_that_ends_late_is_marked_too(tmp_path: Path) -> None:
    with shipping(tmp_path, LATE_SDK, "opentelemetry-sdk") as desk:
        desk.invoke({"n": 1})
        desk.invoke({"n": 2})
        spans = {span["name"]: span for span in desk.spans()}
    assert spans["late"]["attributes"] == {"hoptrace.late": True}
    assert "attributes" not in spans["in time"]


FORK = """
import multiprocessing
from opentelemetry import trace

tracer = trace.get_tracer("t")

def child(pipe):
    with tracer.start_as_current_span("in the child"):
        pass
    pipe.send("done")
    pipe.close()

def handler(event, _):
    with tracer.start_as_current_span("parent"):
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=child, args=(theirs,))
        process.start()
        answer = ours.recv()
        process.join()
    return answer
"""


def test_a_forked_child_goes_on_in_the_same_trace(tmp_path: Path) -> None:
    with shipping(tmp_path, FORK, "opentelemetry-api") as desk:
        assert desk.invoke({}) == "done"
        assert Trace(desk).tree() == {"f": None, "parent": "f", "in the child": "parent"}
        assert desk.invoke({}) == "done"


WRONG = """
from opentelemetry import baggage, context, trace

tracer = trace.get_tracer("t")

def handler(event, _):
    invocation = trace.get_current_span()
    first, second = tracer.start_span("first"), tracer.start_span("second")
    outer = context.attach(trace.set_span_in_context(first))
    inner = context.attach(trace.set_span_in_context(second))
    context.detach(outer)
    told = [trace.get_current_span() is invocation]
    context.detach(inner)
    told.append(trace.get_current_span() is first)
    context.attach(baggage.set_baggage("leaks", "yes"))  # never detached
    first.end()
    second.end()
    told.append(dict(baggage.get_all(context.get_current())))
    return told

def other(event, _):
    return None
"""

LEAK = WRONG.replace(
    "    invocation = trace.get_current_span()\n",
    "    invocation = trace.get_current_span()\n    found = [invocation.is_recording(), dict(baggage.get_all())]\n",
).replace("return told", "return [*told, *found]")


def test_what_is_detached_in_the_wrong_order_or_never_ends_with_the_invocation(tmp_path: Path) -> None:
    with shipping(tmp_path, LEAK, "opentelemetry-api") as desk:
        answers = [desk.invoke({}), desk.invoke({})]
        ends = [r["span"] for r in desk.records() if r["type"] == "end"]
        firsts = desk.spans("first")
    assert answers == [[True, True, {"leaks": "yes"}, True, {}]] * 2
    assert [span["parent_id"] for span in firsts] == [span["span_id"] for span in ends]
