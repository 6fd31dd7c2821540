"""The import hook: botocore is patched in every order of imports, and no import notices."""

import importlib
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile

import pytest

from hoptrace import guard
from hoptrace.clients.imports import Loader, Watch

ORDERS = {
    "we first": "import hoptrace.clients as c; c.install(); import botocore.client",
    "botocore first": "import botocore.client; import hoptrace.clients as c; c.install()",
    "the class first": "from botocore.client import BaseClient; import hoptrace.clients as c; c.install()",
    "the class after": "import hoptrace.clients as c; c.install(); from botocore.client import BaseClient",
    "boto3 after": "import hoptrace.clients as c; c.install(); import boto3",
    "a client before": "import boto3; boto3.client('sqs', region_name='r'); import hoptrace.clients as c; c.install()",
    "half of botocore first": "import botocore; import hoptrace.clients as c; c.install(); import boto3",
    "installed twice": "import hoptrace.clients as c; c.install(); c.install(); import boto3; c.install()",
    "by name": "import hoptrace.clients as c; c.install(); import importlib;"
    " importlib.import_module('botocore.client')",
    "found before": "import hoptrace.clients as c; c.install(); import importlib.util as u;"
    " u.find_spec('botocore.client'); import boto3",
    "reloaded": "import hoptrace.clients as c; c.install(); import boto3, botocore.client, importlib;"
    " importlib.reload(botocore.client)",
    "deleted and imported again": "import hoptrace.clients as c; c.install(); import botocore.client, sys;"
    " del sys.modules['botocore.client']; import botocore.client",
    "wrapt's hook before": "import wrapt;"
    " wrapt.register_post_import_hook(lambda m: print('theirs'), 'botocore.client');"
    " import hoptrace.clients as c; c.install(); import boto3",
    "wrapt's hook after": "import hoptrace.clients as c; c.install(); import wrapt;"
    " wrapt.register_post_import_hook(lambda m: print('theirs'), 'botocore.client'); import boto3",
    "loaded lazily": """
import hoptrace.clients as c; c.install()
import botocore, importlib.util, sys
spec = importlib.util.find_spec('botocore.client')
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules['botocore.client'] = module
spec.loader.exec_module(module)
botocore.client = module
module.BaseClient
""",
    "from eight threads": """
import hoptrace.clients as c, threading
def load(): import boto3
threads = [threading.Thread(target=load) for _ in range(8)]
[t.start() for t in threads]; c.install(); [t.join() for t in threads]
""",
}

CHECK = """
import botocore.client, inspect
method = botocore.client.BaseClient._make_api_call
layers = 0
while method is not None:
    layers += bool(method.__code__.co_filename.endswith('hoptrace/clients/botocore.py'))
    method = getattr(method, '__wrapped__', None)
print('layers', layers)
print('loader', type(botocore.client.__spec__.loader).__name__, type(botocore.client.__loader__).__name__)
print('signature', inspect.signature(botocore.client.BaseClient._make_api_call))
print('errors', c.imports.guard.__init__.__globals__['errors'])
"""


def python(code, **environ):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_is_imported_first_botocore_is_patched_once(order):
    out = python(ORDERS[order] + "\n" + CHECK)
    assert "layers 1\n" in out
    assert "loader SourceFileLoader SourceFileLoader\n" in out
    assert "signature (self, operation_name, api_params)\n" in out
    assert "errors {}\n" in out
    assert ("theirs" in out) == ("wrapt" in order)
    assert out.count("theirs") <= 1


def test_importing_us_imports_nothing_that_the_runtime_client_has_not():
    out = python(
        "import awslambdaric.bootstrap, sys; before = set(sys.modules)\n"
        "import hoptrace.clients as c; c.install()\n"
        "print({m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    assert out == "{'hoptrace'}\n"


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """`watched("name", "source")`: a module that is watched; patches so far are in `.patched`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(guard, "LOUD", False)
    patched = []
    watches = []
    names = []

    def make(name, source=None, patch=patched.append):
        if source is not None:
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        watch = Watch({name: patch})
        watches.append(watch)
        names.append(name)
        watch.start()
        return watch

    make.patched = patched
    make.folder = tmp_path
    yield make
    for watch in watches:
        watch.stop()
    for name in names:
        sys.modules.pop(name, None)


def test_a_patch_runs_after_the_modules_last_line(watched):
    watched("mod_a", "first = 1\nimport sys\nloader = __spec__.loader\nlast = 2")
    import mod_a

    assert [module.last for module in watched.patched] == [2]
    assert type(mod_a.loader) is type(mod_a.__loader__) is importlib.machinery.SourceFileLoader


def test_a_patch_that_fails_costs_the_import_nothing(watched, capfd):
    def broken(_module):
        raise ImportError("ours")

    watched("mod_b", "x = 1", broken)
    import mod_b

    importlib.reload(mod_b)
    assert mod_b.x == 1
    assert guard.errors["clients.mod_b: ImportError"] == 2
    assert capfd.readouterr().err.count("hoptrace: internal error in clients.mod_b") == 1


@pytest.mark.parametrize("source", ["import no_such_module_here", "raise KeyError('theirs')", "this is no python"])
def test_an_import_that_fails_fails_as_it_would_without_us(source, watched):
    def outcome():
        sys.modules.pop("mod_c", None)
        with pytest.raises((ImportError, KeyError, SyntaxError)) as caught:
            importlib.import_module("mod_c")
        assert "mod_c" not in sys.modules
        error = caught.value
        return type(error), str(error), error.__context__, error.__cause__

    watch = watched("mod_c", source)
    with_us = outcome()
    assert watched.patched == []
    watch.stop()
    assert outcome() == with_us


def test_a_module_that_does_not_exist_is_still_not_found(watched):
    watched("mod_none")
    assert importlib.util.find_spec("mod_none") is None
    with pytest.raises(ModuleNotFoundError) as caught:
        import mod_none  # noqa: F401
    assert caught.value.name == "mod_none"


def test_a_module_in_a_zip_file_is_patched_and_keeps_its_loader(watched, monkeypatch):
    path = watched.folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mod_zip.py", "x = 1")
    monkeypatch.syspath_prepend(str(path))
    watched("mod_zip")
    import mod_zip

    assert [module.x for module in watched.patched] == [1]
    assert type(mod_zip.__loader__).__name__ == "zipimporter"


def test_a_namespace_package_stays_one(watched):
    (watched.folder / "mod_space").mkdir()
    (watched.folder / "mod_space" / "inner.py").write_text("x = 1")
    watched("mod_space")
    import mod_space.inner

    assert mod_space.__file__ is None
    assert mod_space.inner.x == 1
    assert list(mod_space.__path__) == [str(watched.folder / "mod_space")]


@pytest.mark.parametrize("name", ["__hello__", "_testimportmultiple", "xxsubtype"])
def test_modules_without_a_source_file_are_patched_too(name, watched, capsys):
    pytest.importorskip(name)
    sys.modules.pop(name, None)
    watched(name)
    module = importlib.import_module(name)
    assert watched.patched == [module]
    assert not isinstance(module.__spec__.loader, Loader) or type(module.__spec__.loader) is not Loader


def test_a_spec_that_was_only_looked_up_reads_compares_and_pickles_like_the_original(watched):
    watch = watched("mod_d", "x = 1")
    found = importlib.util.find_spec("mod_d")
    watch.stop()
    plain = importlib.util.find_spec("mod_d")
    assert type(found.loader) is Loader
    assert type(plain.loader) is importlib.machinery.SourceFileLoader
    assert found == plain
    assert plain == found
    assert isinstance(found.loader, importlib.machinery.SourceFileLoader)
    assert repr(found.loader).startswith("<_frozen_importlib_external.SourceFileLoader object")
    assert found.loader.get_source("mod_d") == "x = 1"
    assert hash(found.loader) == hash(plain.loader)
    thawed = pickle.loads(pickle.dumps(found))
    assert type(thawed.loader) is importlib.machinery.SourceFileLoader
    assert thawed == plain


@pytest.mark.parametrize("place", [0, 1])
def test_another_hook_that_asks_all_finders_again_makes_no_second_patch(place, watched, monkeypatch):
    class Asking:
        """As other hooks find their modules: by asking everybody, once more, from inside a finder."""

        asking = False

        def find_spec(self, fullname, path=None, target=None):
            if fullname != "mod_f" or self.asking:
                return None
            self.asking = True
            try:
                return importlib.util.find_spec(fullname)
            finally:
                self.asking = False

    watched("mod_f", "x = 1")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path[:place], Asking(), *sys.meta_path[place:]])
    import mod_f

    assert watched.patched == [mod_f]
    assert type(mod_f.__spec__.loader) is importlib.machinery.SourceFileLoader


def test_a_watch_that_was_stopped_patches_nothing_any_more(watched):
    watch = watched("mod_e", "x = 1")
    spec = importlib.util.find_spec("mod_e")
    watch.stop()
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    import mod_e  # noqa: F401

    assert watched.patched == []
    assert watch not in sys.meta_path


def test_uninstalling_puts_botocores_own_method_back_and_installing_again_patches_it():
    out = python(
        """
import botocore.client
own = botocore.client.BaseClient._make_api_call
import hoptrace.clients as c
before = list(__import__('sys').meta_path)
for _ in range(2):
    c.install()
    assert botocore.client.BaseClient._make_api_call is not own
    c.uninstall()
    assert botocore.client.BaseClient._make_api_call is own
assert __import__('sys').meta_path == before
print('clean')
"""
    )
    assert out == "clean\n"


def test_uninstalling_under_somebody_elses_wrapper_leaves_theirs_and_silences_ours():
    out = python(
        """
import boto3, botocore.client, functools
import hoptrace.clients as c
from hoptrace import spans
ended = []
spans.on_end(ended.append)
c.install()
ours = botocore.client.BaseClient._make_api_call
@functools.wraps(ours)
def theirs(self, *args):
    print('theirs')
    return ours(self, *args)
botocore.client.BaseClient._make_api_call = theirs
sqs = boto3.client('sqs', region_name='r', aws_access_key_id='a', aws_secret_access_key='s')
from botocore.stub import Stubber
stub = Stubber(sqs); stub.activate()
for number in range(4):
    stub.add_response('list_queues', {})
    sqs.list_queues()
    print(len(ended))
    c.uninstall() if number == 0 else c.install()
    if number == 0:
        assert botocore.client.BaseClient._make_api_call is theirs
"""
    )
    assert out.split() == ["theirs", "1", "theirs", "1", "theirs", "2", "theirs", "3"]
