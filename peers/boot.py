"""Runs a worker whose modules are handed over as text: BACKEND MODULE, then each module's name and source.

So nothing has to be found or written at run time. A traceback names the module, as if it were a file.
"""

import importlib
import importlib.abc
import importlib.util
import sys

BACKEND, MODULE, *PAIRS = sys.argv[1:]
SOURCES = dict(zip(PAIRS[::2], PAIRS[1::2]))


class Arguments(importlib.abc.InspectLoader):
    """Imports modules from this program's arguments."""

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in SOURCES else None

    def get_source(self, fullname):
        return SOURCES[fullname]

    def is_package(self, fullname):
        return any(name.startswith(fullname + ".") for name in SOURCES)


sys.meta_path.insert(0, Arguments())
importlib.import_module("worker.session").main(BACKEND, MODULE)
