import subprocess
import sys


def test_importing_the_executors_imports_neither_ray_nor_torch() -> None:
    code = "import sys, gtn_nas.executors; print({'ray', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
