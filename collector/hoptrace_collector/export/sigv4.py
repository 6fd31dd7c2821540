"""Signs what is exported to an AWS service, unless the user has set an Authorization header of his own."""

import time
from collections.abc import Callable

from hoptrace_collector.aws.credentials import CredentialsError, CredentialsSource
from hoptrace_collector.aws.sign import amz_date, sign
from hoptrace_collector.export.headers import Unknown
from hoptrace_collector.settings import Url

__all__ = ["SigV4"]


class SigV4:
    """Signs for `service` in `region`; `now` gives seconds since the epoch."""

    def __init__(
        self, service: str, region: str, credentials: CredentialsSource, *, now: Callable[[], float] = time.time
    ) -> None:
        self.service = service
        self._region = region
        self._credentials = credentials
        self._now = now

    def __call__(self, url: Url, headers: list[tuple[str, str]], body: bytes, deadline: float) -> list[tuple[str, str]]:
        """Return the headers with a signature; raises Unknown when there is nothing to sign with.

        Only what AWS looks at is signed: what stands between may change the rest.
        """
        try:
            credentials = self._credentials.get(deadline)
        except CredentialsError as error:
            raise Unknown(str(error)) from None
        seen = [pair for pair in headers if pair[0].startswith(("x-amz-", "x-aws-")) or pair[0] == "content-type"]
        return [pair for pair in headers if pair not in seen] + sign(
            credentials,
            service=self.service,
            region=self._region,
            url=url,
            headers=seen,
            body=body,
            date=amz_date(self._now()),
        )

    def expired(self) -> None:
        """Have new credentials fetched for the next request."""
        self._credentials.forget()
