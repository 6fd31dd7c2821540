"""Every library that is patched: how it is called, its place, the error of an address where nobody is.

Some are not installed beside the others, or in another version too: `test_clients_versions.py` runs these tests with
each of them, in a process of its own that has their packages in front.
"""

import asyncio
import functools
import http.client
import importlib
import importlib.util
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PACKAGES = [folder for folder in os.environ.get("HOPTRACE_TEST_PACKAGES", "").split(os.pathsep) if folder]
"""Where the library under test is; empty in an ordinary run."""

ONLY = os.environ.get("HOPTRACE_TEST_LIBRARY", "")
"""The only library that is under test; empty for all that are installed."""


@dataclass(frozen=True)
class Row:
    """One way to call.

    `below` is what to break underneath; `entry` what to break in our patch; `above`: another patch is below this one;
    `lazy`: ours imports what it needs at the first request.
    """

    module: str
    owner: str
    method: str
    call: Callable[[str], int]
    error: Callable[[], Any]
    below: str
    entry: str = "begin"
    above: bool = False
    lazy: bool = False


def call_botocore(url):
    from botocore.config import Config

    from tests.clients.conftest import session

    config = Config(retries={"max_attempts": 0}, connect_timeout=2)
    answer = session().client("sts", endpoint_url=url, config=config).get_caller_identity()
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def call_requests(url):
    import requests

    return requests.get(f"{url}/?a=b", timeout=5).status_code


def call_pool(url):
    import urllib3.connectionpool

    with urllib3.connectionpool.connection_from_url(url, retries=False) as pool:
        return pool.urlopen("GET", "/?a=b").status


def call_manager(url):
    import urllib3

    with urllib3.PoolManager(retries=False) as manager:
        return manager.request("GET", f"{url}/?a=b").status


def call_urllib(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/?a=b", timeout=5) as answer:
        return answer.status


def call_http_client(url):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/?a=b")
        return connection.getresponse().status
    finally:
        connection.close()


def call_httpx(url, name="httpx"):
    with importlib.import_module(name).Client(trust_env=False) as client:
        return client.get(f"{url}/?a=b").status_code


def call_httpx_async(url, name="httpx"):
    async def call():
        async with importlib.import_module(name).AsyncClient(trust_env=False) as client:
            return (await client.get(f"{url}/?a=b")).status_code

    return asyncio.run(call())


def call_aiohttp(url):
    import aiohttp

    async def call():
        async with aiohttp.ClientSession() as session, session.get(f"{url}/?a=b") as answer:
            return answer.status

    return asyncio.run(call())


def call_aiobotocore(url):
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    async def call():
        config = AioConfig(retries={"max_attempts": 0}, connect_timeout=2)
        made = get_session().create_client(
            "sts",
            endpoint_url=url,
            config=config,
            region_name="eu-west-1",
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="secret",
        )
        async with made as client:
            return (await client.get_caller_identity())["ResponseMetadata"]["HTTPStatusCode"]

    return asyncio.run(call())


def of(path):
    """An error by its name, looked up when it is needed."""

    def find():
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    return find


CONNECT = "urllib3.connection.HTTPConnection.connect"
PLAIN = "http.client.HTTPConnection.connect"
NOBODY = of("botocore.exceptions.EndpointConnectionError")
REFUSED = of("urllib3.exceptions.NewConnectionError")

ROWS = {
    "botocore": Row("botocore.client", "BaseClient", "_make_api_call", call_botocore, NOBODY, CONNECT, entry="begun"),
    "requests": Row(
        "requests.sessions", "Session", "send", call_requests, of("requests.ConnectionError"), CONNECT, above=True
    ),
    "urllib3 pool": Row("urllib3.connectionpool", "HTTPConnectionPool", "urlopen", call_pool, REFUSED, CONNECT),
    "urllib3 manager": Row("urllib3.poolmanager", "PoolManager", "urlopen", call_manager, REFUSED, CONNECT),
    "urllib.request": Row(
        "urllib.request", "OpenerDirector", "open", call_urllib, of("urllib.error.URLError"), PLAIN, above=True
    ),
    "http.client": Row(
        "http.client", "HTTPConnection", "putrequest", call_http_client, lambda: ConnectionError, PLAIN, lazy=True
    ),
    "aiohttp": Row(
        "aiohttp.client",
        "ClientSession",
        "_request",
        call_aiohttp,
        of("aiohttp.ClientConnectorError"),
        "aiohttp.connector.TCPConnector.connect",
    ),
    "aiobotocore": Row(
        "aiobotocore.client",
        "AioBaseClient",
        "_make_api_call",
        call_aiobotocore,
        NOBODY,
        "aiohttp.connector.TCPConnector.connect",
        entry="begun",
    ),
}

for _name, _core in (("httpx", "httpcore"), ("httpx2", "httpcore2")):
    _refused = of(f"{_name}.ConnectError")
    _pool = f"{_core}.ConnectionPool.handle_request"
    ROWS[_name] = Row(_name, "Client", "send", functools.partial(call_httpx, name=_name), _refused, _pool)
    _pool = f"{_core}.AsyncConnectionPool.handle_async_request"
    _call = functools.partial(call_httpx_async, name=_name)
    ROWS[f"{_name} async"] = Row(_name, "AsyncClient", "send", _call, _refused, _pool)


def there(library):
    """Whether it is installed, and under test here."""
    return importlib.util.find_spec(library) is not None and ONLY in ("", library)


HERE = [name for name, row in ROWS.items() if there(row.module.partition(".")[0])]
