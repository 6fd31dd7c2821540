"""What an API's authorizer and the function behind it have in common: the request, which both know by its id."""

from hoptrace.carriers.authorizer import extract_authorizer, was_authorized
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Record

GATEWAY = "aws.apigateway"


def behind_authorizer(record: Record, request: Shape, asked_now: bool = True) -> None:
    """Relate a function to the authorizer that let its request (`requestContext`) pass, if one did.

    By a link to the authorizer's span where its answer carried that: it is no parent, since API Gateway keeps answers
    for later requests. Else both point at the request, unless it is a later one than the authorizer was asked about
    (`asked_now`).
    """
    if not request.has("authorizer") or not was_authorized(request):
        return
    authorizer = extract_authorizer(request)
    if authorizer is not None:
        record.links.append((authorizer, {"hoptrace.link": "authorizer"}))
    if asked_now:
        point_at(record, request.text("requestId"))


def point_at(record: Record, identifier: str) -> None:
    """Have the record meet whatever else knows the request, or the connection, by this id."""
    if identifier:
        record.pointers.append((GATEWAY, identifier))
