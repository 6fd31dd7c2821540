"""Bedrock, by the "GenAI" conventions and their page for it: which model, and what it took.

A file because the tokens of `InvokeModel` are in headers of its answer, and those of `Converse` in parts that the
conventions want as one sum. Prompts, completions, tools and streams are never looked at: a stream tells its tokens at
its end, and only to whoever reads it.
"""

from .fields import Field, decimal, digits, number, text, values
from .row import Params, Row, Service

_OPERATIONS = {"Converse": "chat", "ConverseStream": "chat"}
_HEADERS = ("ResponseMetadata", "HTTPHeaders")


def model(operation: str, params: Params, _region: str) -> dict[str, object]:
    """`gen_ai.operation.name`, which for a call that takes any body is known of models for embeddings only."""
    named = params.get("modelId")
    if not isinstance(named, str):
        named = ""
    done = _OPERATIONS.get(operation) or ("embeddings" if "embed" in named else "generate_content")
    attributes: dict[str, object] = {"gen_ai.provider.name": "aws.bedrock", "gen_ai.operation.name": done}
    if named:
        attributes["gen_ai.request.model"] = named
    return attributes


def taken(found: list[object]) -> object:
    """The input's tokens, those that a cache had or got included ("`gen_ai.usage.input_tokens` SHOULD include …")."""
    parts = [number(values(found[0], (key,))) for key in _INPUT] if found else []
    known = [part for part in parts if isinstance(part, int)]
    return sum(known) if known else None


def reasons(found: list[object]) -> object:
    """Why the model stopped, as the list that the conventions have."""
    return [found[0]] if found and isinstance(found[0], str) else None


_INPUT = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
_GUARDRAIL = "aws.bedrock.guardrail.id"
_CONVERSE = Row(
    extra=model,
    request=(
        Field("gen_ai.request.max_tokens", number, "inferenceConfig", "maxTokens"),
        Field("gen_ai.request.temperature", decimal, "inferenceConfig", "temperature"),
        Field("gen_ai.request.top_p", decimal, "inferenceConfig", "topP"),
        Field(_GUARDRAIL, text, "guardrailConfig", "guardrailIdentifier"),
    ),
    response=(
        Field("gen_ai.usage.input_tokens", taken, "usage"),
        Field("gen_ai.usage.output_tokens", number, "usage", "outputTokens"),
        Field("gen_ai.usage.cache_read.input_tokens", number, "usage", "cacheReadInputTokens"),
        Field("gen_ai.response.finish_reasons", reasons, "stopReason"),
    ),
)
_INVOKE = Row(
    extra=model,
    request=(Field(_GUARDRAIL, text, "guardrailIdentifier"),),
    response=(
        Field("gen_ai.usage.input_tokens", digits, *_HEADERS, "x-amzn-bedrock-input-token-count"),
        Field("gen_ai.usage.output_tokens", digits, *_HEADERS, "x-amzn-bedrock-output-token-count"),
    ),
)

BEDROCK_RUNTIME = Service(
    other=Row(request=(Field(_GUARDRAIL, text, "guardrailIdentifier"),)),
    rows={
        "Converse": _CONVERSE,
        "ConverseStream": _CONVERSE,
        "InvokeModel": _INVOKE,
        "InvokeModelWithResponseStream": _INVOKE,
    },
)

_KNOWLEDGE_BASE = "aws.bedrock.knowledge_base.id"
BEDROCK_AGENT_RUNTIME = Service(
    other=Row(
        request=(
            Field(_KNOWLEDGE_BASE, text, "knowledgeBaseId"),
            Field(
                _KNOWLEDGE_BASE,
                text,
                "retrieveAndGenerateConfiguration",
                "knowledgeBaseConfiguration",
                "knowledgeBaseId",
            ),
            Field("gen_ai.agent.id", text, "agentId"),
        )
    )
)
