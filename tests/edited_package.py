"""A copy of the package whose modules are edited one after the other, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import gtn_nas

SCRIPT = """
import json, re, sys
from pathlib import Path

{setup}

def changed():
    now = {expression}
    return {{
        name: sorted(m for m in old | now[name] if old.get(m) != now[name].get(m))
        for name, old in before.items()
    }}

before = {expression}
found, files = {{}}, {{m: Path(*m.split(".")).with_suffix(".py") for m in json.loads(sys.argv[1])}}
for file in files.values():
    text = re.sub('"{{3}}(?=[A-Za-z0-9])', lambda quotes: quotes[0] + "Mended. ", file.read_text())
    file.write_text("# a comment\\n\\n" + text + "\\n\\n# the end\\n")
assert not any(changed().values()), changed()
for module, file in files.items():
    text = file.read_text()
    file.write_text(text + "EDITED = 1\\n")
    found[module] = changed()
    file.write_text(text)
print(json.dumps(found))
"""


def copy_package(folder: Path) -> dict[str, str]:
    """Copy this package into a folder; return the environment in which the copy is imported."""
    ignored = shutil.ignore_patterns("__pycache__", "teachers")
    shutil.copytree(Path(gtn_nas.__file__).parent, folder / "gtn_nas", ignore=ignored)
    return os.environ | {"PYTHONPATH": str(folder)}


def changed_by_edits(
    folder: Path, modules: Iterable[str], setup: str, expression: str
) -> dict[str, dict[str, list[str]]]:
    """Mend the prose of copied modules, which must change nothing, then edit the code of each.

    Args:
        folder: an empty folder for the copies.
        modules: full names.
        setup: statements that import what the expression needs.
        expression: gives fingerprints by any names.

    Returns:
        For each edited module the names of those whose hashes changed, in each fingerprint.
    """
    script = SCRIPT.format(setup=setup, expression=expression)
    command = [sys.executable, "-c", script, json.dumps(list(modules))]
    done = subprocess.run(
        command, cwd=folder, env=copy_package(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return found
