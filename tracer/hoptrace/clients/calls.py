"""One AWS call as one span: what it is named, what is copied into it, how it ends.

By OpenTelemetry's "AWS SDK client spans": CLIENT, `Service.Operation`, `rpc.system.name` `aws-api` (`rpc.system` and
`rpc.service` are deprecated). Its pages for SQS and SNS add the "Messaging" conventions, and there the name is
`send orders`: both rules cannot hold in one span, and the messaging name is the one that the consumer's span has too,
so that both ends of a hop read alike. The operation stays in `rpc.method`.
"""

from typing import Any
from urllib.parse import urlsplit

from ..guard import guard
from ..pointers import POINTER, derive
from ..propagation import without_room
from ..services import row_of
from ..services.fields import Field, values
from ..services.row import Params, Row, Service
from ..settings import settings
from ..spans import CLIENT, ERROR, Span, activate, restore, start_span
from ..spans.exceptions import exception_type
from . import retries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..capture.policy import Denied

_NO_PARAMS: Params = {}
# OpenTelemetry's own limit of links.
_MOST_LINKS = 128
_FAILED = {
    "FunctionError": "the function that was invoked failed",
    "error": "the execution that was started failed",
}
_SECURE = 443
_PLAIN = 80


class Call:
    """A call on its way: its span is current until `done` or `failed`."""

    __slots__ = ("_carried", "_model", "_operation", "_params", "_row", "_service", "_token", "span")

    def __init__(self, client: Any, operation: str, params: object) -> None:
        model = client.meta.service_model
        self._model, self._operation = model, operation
        self._service: str = model.service_name
        entry, self._row = row_of(self._service, operation)
        given: Params = params if isinstance(params, dict) else _NO_PARAMS
        self._params = given
        self._carried = False
        attributes = _target(client.meta, operation)
        _copy(self._row.request, given, attributes)
        more = self._row.extra
        if more is not None:
            attributes.update(more(operation, given, str(attributes.get("cloud.region", ""))))
        name, kind = _messaging(entry, self._row, given, attributes) or (
            _model_name(attributes) or _sdk_name(model, operation),
            CLIENT,
        )
        self.span: Span = start_span(name, kind, attributes)
        self._token = activate(self.span)
        if "aws" in settings().capture:
            with guard("clients.capture"):
                from ..capture import record_call

                record_call(self.span, model, operation, given)

    def denied(self, denied: "Denied") -> None:
        """The policy does not allow it: note that, and where it blocks, end with the error and raise it."""
        from ..capture.policy import blocks
        from .denials import tell

        try:
            tell(self.span, denied)
        finally:
            if blocks():
                self.failed(denied)
                raise denied

    def injected(self, params: Params) -> Params:
        """The parameters to send: a copy with this span's context where one can go along, or the same object."""
        if self._row.inject is None or not isinstance(params, dict):
            return params
        knobs = settings()
        if self._service in knobs.inject_disabled or (self._row.opt_in and self._service not in knobs.inject_enabled):
            return params
        before = without_room()
        written = self._row.inject(params, self.span.context)
        if without_room() > before:
            self.span.set_attribute("hoptrace.context.without_room", without_room() - before)
        self._carried = written is not params and _complete(params, written)
        return written

    def done(self, response: object) -> None:
        """End with botocore's answer."""
        restore(self._token)
        try:
            _answer(self.span, response)
            attributes: dict[str, object] = {}
            _copy(self._row.response, response, attributes)
            self.span.set_attributes(attributes)
            if self._row.failed:
                self._partly(response)
            self._relate(response)
            if "aws" in settings().capture:
                from ..capture import record_answer

                record_answer(self.span, self._model, self._operation, response)
        finally:
            self.span.end()

    def failed(self, error: BaseException) -> None:
        """End with the exception on its way to the user."""
        restore(self._token)
        try:
            response = getattr(error, "response", None)
            _answer(self.span, response)
            code = values(response, ("Error", "Code"))
            self.span.set_attribute("error.type", code[0] if code and code[0] else exception_type(error))
            shown = _without_values(error)
            self.span.record_exception(shown)
            self.span.set_status(ERROR, str(shown))
        finally:
            self.span.end()

    def _relate(self, response: object) -> None:
        """Link to who wrote what was read, and to where the consumers of what was written can be met."""
        row = self._row
        writer = row.brings(response) if row.brings is not None else None
        if writer is not None:
            self.span.add_link(writer)
        if row.pointers is not None and (row.always_points or not self._carried):
            for words in row.pointers(self._params, response)[:_MOST_LINKS]:
                self.span.add_link(derive(words), {POINTER: words[0]})

    def _partly(self, response: object) -> None:
        """Entries that were refused in a call that succeeded (botocore neither raises nor retries for them)."""
        codes = [one for one in values(response, self._row.failed) if one]
        if not codes:
            return
        self.span.set_attribute("error.type", codes[0])
        if len(self._row.failed) == 1:
            self.span.set_status(ERROR, _FAILED.get(self._row.failed[0], "what was called failed"))
            return
        if any(isinstance(code, str) and retries.is_throttle(code) for code in codes):
            retries.count_throttle(self.span)  # of an answer of 200: no attempt was refused as a whole
        self.span.set_attribute("hoptrace.messaging.failed_count", len(codes))
        self.span.set_status(ERROR, f"{len(codes)} of the entries were refused")


def _target(meta: Any, operation: str) -> dict[str, object]:
    attributes: dict[str, object] = {"rpc.system.name": "aws-api", "rpc.method": operation}
    if meta.region_name:
        attributes["cloud.region"] = meta.region_name
    endpoint = urlsplit(meta.endpoint_url)
    if endpoint.hostname:
        attributes["server.address"] = endpoint.hostname
        attributes["server.port"] = endpoint.port or (_PLAIN if endpoint.scheme == "http" else _SECURE)
    return attributes


def _sdk_name(model: Any, operation: str) -> str:
    service = model.metadata.get("serviceId") or model.service_name
    return f"{service.replace(' ', '')}.{operation}"


def _model_name(attributes: dict[str, object]) -> str:
    """`chat anthropic.claude-3`, as the GenAI conventions name a call of a model; of a profile's ARN its last part."""
    model = attributes.get("gen_ai.request.model")
    return f"{attributes['gen_ai.operation.name']} {model.rpartition('/')[2]}" if isinstance(model, str) else ""


def _messaging(entry: Service, row: Row, params: Params, attributes: dict[str, object]) -> tuple[str, int] | None:
    verb = row.verb
    if verb is None:
        return None
    attributes["messaging.system"] = entry.system
    attributes["messaging.operation.name"] = verb.name
    attributes["messaging.operation.type"] = verb.type
    destination = row.destination(params) if row.destination is not None else ""
    if not destination:
        return verb.name, verb.kind
    attributes["messaging.destination.name"] = destination
    return f"{verb.name} {destination}", verb.kind


def _complete(params: Params, written: Params) -> bool:
    """Whether the context went into every entry of a batch, and not only into those that had room."""
    for key, new in written.items():
        old = params.get(key)
        if new is not old and isinstance(new, list) and isinstance(old, list | tuple):
            return all(_reaches(one, other) for one, other in zip(old, new, strict=False))
    return not _by_protocol(written)


def _reaches(old: object, new: object) -> bool:
    """Whether an entry's context gets to its consumer: the functions behind a bus never see its TraceHeader."""
    if old is new or not isinstance(old, dict) or not isinstance(new, dict):
        return old is not new
    return not _by_protocol(new) and any(key != "TraceHeader" and new[key] is not old.get(key) for key in new)


def _by_protocol(message: Params) -> bool:
    """Whether SNS sends each protocol a text of its own, for which it documents that attributes are left out."""
    return message.get("MessageStructure") == "json"


def _copy(fields: tuple[Field, ...], source: object, attributes: dict[str, object]) -> None:
    for field in fields:
        value = field.shape(values(source, field.path))
        if value is not None:
            attributes[field.attribute] = value


def _answer(span: Span, response: object) -> None:
    """What botocore tells about every answer, an error's too."""
    metadata = values(response, ("ResponseMetadata",))
    told = metadata[0] if metadata and isinstance(metadata[0], dict) else {}
    span.set_attribute("aws.request_id", told.get("RequestId") or None)
    span.set_attribute("aws.extended_request_id", told.get("HostId") or None)
    span.set_attribute("http.response.status_code", told.get("HTTPStatusCode"))
    span.set_attribute("http.request.resend_count", told.get("RetryAttempts") or None)


def _without_values(error: BaseException) -> BaseException:
    """The error, or for refused parameters one of its type and stack: botocore's message quotes what was passed."""
    kind: Any = type(error)
    if kind.__name__ != "ParamValidationError" or not kind.__module__.startswith("botocore."):
        return error
    stand_in: BaseException = kind(report="(its text, which quotes the parameters, is left out)")
    return stand_in.with_traceback(error.__traceback__)
