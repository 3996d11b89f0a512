"""The scripts of the folder of benchmarks, which find each other as they do when they are run."""
import importlib
import sys

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def scripts():
    """Imports a script by its name."""
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)
