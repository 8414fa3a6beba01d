"""Makes support.py importable from every test, and shares the tests among processes.

PICKSTREAM_CLAIMS  an empty directory: the processes of one check that have it run each test once
"""

import os
import pathlib
import sys
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

CLAIMS = os.environ.get("PICKSTREAM_CLAIMS")
claimed = {}


def claim(group):
    """Whether this process is the first that comes to a group of tests, which it then runs."""
    if group not in claimed:
        try:
            pathlib.Path(CLAIMS, urllib.parse.quote(group, safe="")).mkdir()
            claimed[group] = True
        except FileExistsError:
            claimed[group] = False
    return claimed[group]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """A file is a group, for its tests share fixtures; each test program is one."""
    if not CLAIMS:
        return None
    programs = item.path.name == "test_programs.py"
    return None if claim(item.nodeid if programs else item.path.name) else True
