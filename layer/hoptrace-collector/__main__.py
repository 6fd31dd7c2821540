"""The collector's entry, run as `python3 -I -S /opt/hoptrace-collector`: its packages lie beside this file.

Their bytecode for this Python is one file, `bytecode-MAJOR.MINOR`, which is less to ship and less to look for than a
file for each module: Python's magic number, the length of an index (8 bytes), the index `{name: (is it a package, where
its code begins, how long it is)}`, and the modules' code, all by `marshal`. Where there is none for this Python, the
sources are imported as usual.
"""

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

HEAD = len(MAGIC_NUMBER) + 8


class Bundle:
    """Finds and loads the modules of a bytecode file; raises OSError or ValueError when it cannot be used."""

    def __init__(self, home, path):
        self.home = home
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        head = os.pread(self.descriptor, HEAD, 0)
        if head[:-8] != MAGIC_NUMBER:
            raise ValueError("for another Python")
        length = int.from_bytes(head[-8:], "little")
        self.modules = marshal.loads(os.pread(self.descriptor, length, HEAD))
        self.begin = HEAD + length

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        """As a finder of `sys.meta_path`."""
        found = self.modules.get(name)
        if found is None:
            return None
        folder = f"{self.home}/{name.replace('.', '/')}"
        spec = ModuleSpec(
            name, self, origin=folder + ("/__init__.py" if found[0] else ".py"), is_package=found[0], loader_state=found
        )
        spec.has_location = True
        if found[0]:
            spec.submodule_search_locations.append(folder)
        return spec

    def create_module(self, spec):
        """As usual."""

    def exec_module(self, module):
        """Run the module's code."""
        _, begin, length = module.__spec__.loader_state
        exec(marshal.loads(os.pread(self.descriptor, length, self.begin + begin)), module.__dict__)


try:
    sys.meta_path.insert(0, Bundle(sys.path[0], "{}/bytecode-{}.{}".format(sys.path[0], *sys.version_info)))
except (OSError, ValueError, EOFError, TypeError):
    pass

from hoptrace_collector.app import main  # noqa: E402  where its code is had to be known

sys.exit(main(sys.argv[1:]))
