"""Tenant isolation: each tenant has environments of its own, and each span says whose it is."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from tests.collector.support import Backend, attributes_of, spans_of
from tests.support.functions import function

APP = """
import os
seen = set()

def handler(event, context):
    seen.add(context.tenant_id)
    if event == "exit":
        os._exit(1)
    return [context.tenant_id, sorted(seen)]
"""


def test_every_span_has_its_own_tenant_and_no_environment_has_two(tmp_path: Path) -> None:
    tenants = ["blue", "green", "red"]
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        with function(tmp_path, APP, environment=environment) as desk:
            results = []

            def call(tenant: str) -> None:
                results.extend((tenant, desk.host.invoke("f", b"{}", tenant_id=tenant)) for _ in range(3))

            threads = [threading.Thread(target=call, args=(tenant,)) for tenant in tenants]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            telemetry = desk.host.telemetry("f")
        spans = [attributes_of(span) for span in spans_of(backend) if span.name == "f"]
    for tenant, result in results:
        assert json.loads(result.payload) == [tenant, [tenant]]
    ids = {result.request_id: tenant for tenant, result in results}
    assert {span["faas.invocation_id"]: span["aws.lambda.tenant_id"] for span in spans} == ids
    assert len(spans) == 9
    environments = {(result.environment_id, tenant) for tenant, result in results}
    assert len(environments) == len({environment for environment, _ in environments}) == 3
    started = [event["record"] for event in telemetry if event["type"] == "platform.start"]
    assert {record["requestId"]: record["tenantId"] for record in started} == ids


def test_the_span_of_an_invocation_that_never_came_back_has_its_tenant_too(tmp_path: Path) -> None:
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        with function(tmp_path, APP, environment=environment) as desk:
            desk.host.invoke("f", b'"exit"', tenant_id="blue")
            desk.host.invoke("f", b"{}")
        spans = [attributes_of(span) for span in spans_of(backend) if span.name == "f"]
    assert [span.get("aws.lambda.tenant_id") for span in spans] == ["blue", None]
