"""What operators apply is of the right form, safe, and names commands and options that exist."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gtn_nas.cli.job import parsed
from gtn_nas.cli.main import app
from gtn_nas.config.base import parse

ROOT = Path(__file__).resolve().parents[2]
CLUSTER, DOCKER = ROOT / "cluster", ROOT / "docker"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RAY_VERSION = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
GUIDES = [CLUSTER / "README.md", DOCKER / "README.md"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


JOB, STAYING = (read(CLUSTER / name) for name in ("rayjob.yaml", "raycluster.yaml"))
NODES = JOB["spec"]["rayClusterSpec"]
GROUPS = {"head": NODES["headGroupSpec"]} | {g["groupName"]: g for g in NODES["workerGroupSpecs"]}
PODS = {name: group["template"]["spec"] for name, group in GROUPS.items()}
PODS["submitter"] = JOB["spec"]["submitterPodTemplate"]["spec"]
COMPOSE = read(DOCKER / "compose.yaml")
RAY_UP = read(CLUSTER / "ray-up.yaml")
STARTS = RAY_UP["head_start_ray_commands"] + RAY_UP["worker_start_ray_commands"]
SLURM = (CLUSTER / "slurm.sh").read_text()


# commands


def check_command(line: str) -> None:
    """Read a command line of ours as it would be read when it is run."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "gtn-nas"
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="gtn-nas")
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        if not hasattr(command, "resolve_command"):
            context = command.make_context(name, words, parent=context)
    submitted = context.params.get("words")
    asked = parsed(submitted or [name, *words]) if submitted or name == "search" else None
    if asked is not None:
        parse(asked.kind, asked.settings)


def check_ray(line: str) -> None:
    """Read a command line of Ray's as it would be read when it is run."""
    from ray.scripts.scripts import cli

    words = shlex.split(line)
    assert words.pop(0) == "ray"
    command = cli.get_command(None, words.pop(0))
    assert command is not None, line
    command.make_context(command.name, words)


def commands_of(guide: Path, program: str) -> list[str]:
    """Return the calls of a program in the shell blocks of a guide."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", guide.read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = (re.search(rf"(?:^|exec head )({program} [^#>]*)", line.strip()) for line in lines)
    return [match[1].strip(" &") for match in found if match]


@pytest.mark.parametrize(
    "line",
    [
        JOB["spec"]["entrypoint"],
        *(line for guide in GUIDES for line in commands_of(guide, "gtn-nas")),
        *re.findall(r"(gtn-nas search .*) \"\$@\"", SLURM),
        *(
            f"gtn-nas search {options}"
            for text in (SLURM, GUIDES[0].read_text())
            for options in re.findall(r"sbatch cluster/slurm\.sh (.*)", text)
        ),
    ],
)
def test_every_command_of_ours_exists_with_its_options(line):
    check_command(line)


def test_a_command_that_does_not_exist_would_be_found():
    for line in ("gtn-nas serch", "gtn-nas job submit -- search --candidats 1", "gtn-nas job ls"):
        with pytest.raises(typer.TyperException):
            check_command(line)
    assert len(commands_of(GUIDES[0], "gtn-nas")) >= 8


@pytest.mark.parametrize(
    "line",
    [
        *(" ".join(COMPOSE["services"][name]["command"]) for name in ("head", "worker")),
        " ".join(COMPOSE["services"]["head"]["healthcheck"]["test"][1:]),
        *(re.sub(r"^.*?(?=ray start)", "", line) for line in STARTS if "ray start" in line),
        *(line for guide in GUIDES for line in commands_of(guide, "ray")),
        "ray start --block --head --port=1 --ray-client-server-port=2 --include-dashboard=false "
        "--disable-usage-stats --num-cpus=8 --temp-dir=/tmp/x",
        *(
            f"ray start {' '.join(f'--{k}={v}' for k, v in group['rayStartParams'].items())}"
            for group in GROUPS.values()
        ),
    ],
)
def test_every_command_of_rays_exists_with_its_options(line):
    check_ray(line)


# Kubernetes


def test_both_kuberay_files_are_of_a_kind_and_have_the_same_nodes():
    assert [(f["apiVersion"], f["kind"]) for f in (JOB, STAYING)] == [
        ("ray.io/v1", "RayJob"),
        ("ray.io/v1", "RayCluster"),
    ]
    assert STAYING["spec"] == NODES


def test_a_lost_search_goes_on_by_the_same_command():
    assert JOB["spec"]["backoffLimit"] > 0
    assert JOB["spec"]["shutdownAfterJobFinishes"] is True
    asked = parsed(shlex.split(JOB["spec"]["entrypoint"])[1:])
    assert "--resume-or-start" in asked.flags
    assert "s3:/" in str(asked.settings["out"])


def test_the_cluster_asks_for_a_token_follows_the_load_and_is_of_the_tested_version():
    assert NODES["authOptions"] == {"mode": "token"}
    assert NODES["enableInTreeAutoscaling"] is True
    assert NODES["rayVersion"] == RAY_VERSION
    cpu, gpu = (GROUPS[name] for name in ("cpu", "gpu"))
    assert 1 <= cpu["minReplicas"] <= cpu["replicas"] <= cpu["maxReplicas"]
    assert 0 == gpu["minReplicas"] < gpu["maxReplicas"]
    assert PODS["gpu"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    search = parsed(shlex.split(JOB["spec"]["entrypoint"])[1:])
    cpus = int(PODS["cpu"]["containers"][0]["resources"]["limits"]["cpu"])
    assert search.settings["max_workers"] == cpu["maxReplicas"] * cpus


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_confined_and_limited(name):
    pod = PODS[name]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert not any("hostPort" in port for port in container.get("ports", []))
    assert container["image"] in (f"gtn-nas:{VERSION}-cpu", f"gtn-nas:{VERSION}-cuda")
    assert container["image"].endswith("-cuda") == (name == "gpu")


@pytest.mark.parametrize("name", GROUPS)
def test_shared_memory_has_room_for_the_object_store(name):
    pod, group = PODS[name], GROUPS[name]
    (mount,) = pod["containers"][0]["volumeMounts"]
    (volume,) = pod["volumes"]
    assert Path(mount["mountPath"]).parts == ("/", "dev", "shm")
    assert mount["name"] == volume["name"]
    assert volume["emptyDir"]["medium"] == "Memory"
    size = int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
    assert int(group["rayStartParams"]["object-store-memory"]) < size


def test_nothing_is_published_by_a_service():
    assert "serviceType" not in NODES["headGroupSpec"]
    assert "headService" not in NODES["headGroupSpec"]
    assert "enableIngress" not in NODES["headGroupSpec"]


# Docker


def test_the_compose_file_is_of_the_form_that_compose_specifies():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, DOCKER / "compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_is_confined_limited_and_asks_for_the_token(name):
    service = COMPOSE["services"][name]
    assert not {"privileged", "network_mode", "pid", "user"} & set(service)
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert {"mem_limit", "cpus"} <= set(service)
    assert service["shm_size"] == "2gb"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/run/secrets/ray_token"}
    assert (service["environment"], service["secrets"]) == (token, ["ray_token"])
    target = service["build"]["target"]
    assert (service["image"], target == "cuda") == (f"gtn-nas:{VERSION}-{target}", "gpu" in name)


def test_only_the_dashboard_is_published_and_only_on_loopback():
    published = {n: s["ports"] for n, s in COMPOSE["services"].items() if "ports" in s}
    assert published == {"head": ["127.0.0.1:8265:8265"]}


def test_the_token_is_never_committed():
    file = (DOCKER / COMPOSE["secrets"]["ray_token"]["file"]).resolve()
    assert subprocess.run(["git", "check-ignore", "-q", file], cwd=ROOT).returncode == 0


def stages() -> dict[str, tuple[str, list[str]]]:
    """Return of each stage of the Dockerfile what it begins with, and its instructions."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, tuple[str, list[str]]] = {}
    instructions: list[str] = []
    for line in text.splitlines():
        start = re.fullmatch(r"FROM (\S+) AS (\S+)", line)
        if start:
            instructions = []
            found[start[2]] = (start[1], instructions)
        elif line and not line.startswith("#"):
            instructions.append(line)
    return found


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_an_image_only_receives_files_and_belongs_to_a_plain_user(target):
    found = stages()
    parent, instructions = found[target]
    start, inherited = found[parent]
    assert start == "${PYTHON}"
    assert f"COPY --from=build-{target} /usr/local /usr/local" in instructions
    assert "USER 1000:1000" in inherited
    assert not any(line.startswith(("RUN", "USER")) for line in instructions)
    assert not any("pip" in line or "apt" in line for line in inherited)


def test_every_installation_is_pinned_and_none_needs_a_compiler():
    text = (DOCKER / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=docker\.io/library/python:3\.11-slim-", text, re.MULTILINE)
    installs = re.findall(r"pip install (\S+ \S+)", text)
    assert installs == ["-c constraints.txt"] * 3
    assert not re.search(r"apt|gcc|g\+\+|build-essential", text)
    _, copies = stages()["source"]
    names = [name for line in copies if line.startswith("COPY") for name in line.split()[1:-1]]
    assert all((ROOT / name).exists() for name in names)
    sent = (DOCKER / "Dockerfile.dockerignore").read_text()
    assert {f"!{name}" for name in names} <= set(sent.splitlines())


# machines with SSH, and Slurm


def test_the_ray_up_file_is_of_the_form_that_ray_checks():
    import jsonschema
    import ray.autoscaler

    schema = Path(ray.autoscaler.__file__).parent / "ray-schema.json"
    jsonschema.validate(RAY_UP, json.loads(schema.read_text()))


def test_its_nodes_ask_for_a_token_and_publish_no_dashboard():
    starts = [line for line in STARTS if "ray start" in line]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert "~/.ray/auth_token" in RAY_UP["file_mounts"]
    assert not any("dashboard-host" in line for line in starts)


def test_the_slurm_script_is_bash_and_keeps_to_itself():
    subprocess.run(["bash", "-n", CLUSTER / "slurm.sh"], check=True)
    assert "RAY_AUTH_MODE=token" in SLURM
    assert "--include-dashboard=false" in SLURM
    assert "ray stop" not in SLURM
