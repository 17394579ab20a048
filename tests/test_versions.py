import platform
from importlib.metadata import version

from gtn_nas.versions import PACKAGES, versions


def test_versions_are_those_that_are_installed(monkeypatch):
    monkeypatch.setattr("gtn_nas.versions.PACKAGES", (*PACKAGES, "there-is-no-such-package"))
    found = versions()
    assert found.keys() == {"python", *PACKAGES}
    assert (found["python"], found["torch"]) == (platform.python_version(), version("torch"))
