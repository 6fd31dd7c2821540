"""The contract and each library's own tests with its oldest and its newest version, really installed.

Each runs in a pytest of its own, with the library's packages in front of those of this environment.
"""

import os
import subprocess
import sys

import pytest

from tests.clash import packages
from tests.clients import libraries

pytestmark = pytest.mark.skipif(bool(libraries.ONLY), reason="this is the run with one library")

OLD_AIOHTTP = "aiohttp==3.10.11" if sys.version_info >= (3, 13) else "aiohttp==3.9.0"

# (library, requirements, whether it is heavy)
VERSIONS = {
    "httpx oldest": ("httpx", ["httpx==0.24.1"], False),
    "httpx newest": ("httpx", ["httpx"], False),
    "httpx2 newest": ("httpx2", ["httpx2"], False),
    "aiohttp oldest": ("aiohttp", [OLD_AIOHTTP], False),
    "aiobotocore oldest, with aioboto3": ("aiobotocore", ["aioboto3==12.4.0"], True),
    "aiobotocore newest, with httpx": ("aiobotocore", ["aiobotocore[boto3]", "httpx"], True),
}

FILES = {"httpx2": "httpx"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.soak) if row[2] else name for name, row in VERSIONS.items()]
)
@pytest.mark.timeout(600)
def test_a_version_passes_the_contract_and_its_own_tests(name):
    library, requirements, _ = VERSIONS[name]
    folder = packages.installed(name.replace(",", "").replace(" ", "-"), requirements, packages.THIS, sys.executable)
    folder = str(folder)
    own = [f"tests/clients/test_clients_{one}.py" for one in ("contract", FILES.get(library, library))]
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "filterwarnings=", "-x", *own]
    code = f"import sys; sys.path.insert(0, {folder!r}); import pytest; sys.exit(pytest.main({arguments!r}))"
    environ = {**os.environ, "HOPTRACE_TEST_PACKAGES": folder, "HOPTRACE_TEST_LIBRARY": library}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout
