"""Who the function is, as far as it can be known without the tracer."""

from typing import Any

from hoptrace_collector.fit import Attributes
from hoptrace_collector.settings import Settings

__all__ = ["known_of"]


def known_of(settings: Settings, registration: dict[str, Any]) -> Attributes:
    """Say who the function is, for spans made before the tracer has said so itself."""
    name = settings.function_name or str(registration.get("functionName", ""))
    known: Attributes = {
        "service.name": name or "unknown_service",
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": settings.region,
        "cloud.account.id": str(registration.get("accountId", "")),
        "faas.name": name,
        "faas.version": settings.function_version or str(registration.get("functionVersion", "")),
        "faas.max_memory": settings.memory,
        **dict(settings.resource),
    }
    return {key: value for key, value in known.items() if value}
