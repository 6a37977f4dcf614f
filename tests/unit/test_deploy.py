"""The files of deployment: valid, and of one mind with the code."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.cli.run import SETTINGS
from deploy.cli.settings import PASSWORD_VARIABLES, Local, password_variable
from deploy.health import PORTS
from deploy.local.embedded import USERS
from shared.service.settings import load, variables

ROOT = Path(__file__).parents[2]
SERVICES = ("proxy", "workflow", "operator", "analytics")
#: What is promised to those who link to them.
ADDRESSES = {"proxy": 9998, "operator": 9997, "analytics": 9996, "workflow": 9995}
KNOWN = {name for kind in SETTINGS for name in variables(kind).values()} | PASSWORD_VARIABLES
MANIFESTS = sorted(
    path for path in (ROOT / "deploy/kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"
)


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def workloads() -> dict[str, dict[str, Any]]:
    """The pod specification of each workload by its name."""
    found = {}
    for path in MANIFESTS:
        for document in documents(path):
            if document["kind"] in ("Deployment", "StatefulSet", "Job"):
                found[document["metadata"]["name"]] = document["spec"]["template"]["spec"]
    return found


def names(text: str) -> set[str]:
    return set(re.findall(r"SWITCHBOARD_[A-Z_]+[A-Z]", text))


def test_ports() -> None:
    settings = load(Local, {})
    assert {name: getattr(settings, f"{name}_port") for name in SERVICES} == ADDRESSES == PORTS


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#([A-Z]\w+)=", text, re.MULTILINE)) == KNOWN


@pytest.mark.parametrize(
    "path",
    ["docker-compose.yml", "deploy/Dockerfile", *(f"deploy/kubernetes/{path.name}" for path in MANIFESTS)],
)
def test_only_settings_that_exist(path: str) -> None:
    assert names((ROOT / path).read_text()) <= KNOWN


def test_the_server_asks_for_nothing_that_it_is_not_given() -> None:
    asked = {
        name
        for file in ("server.conf", "permissions.conf")
        for name in re.findall(r"\$(SWITCHBOARD_\w+)", (ROOT / "deploy/nats" / file).read_text())
    }
    assert {password_variable(user) for user in USERS} <= asked <= KNOWN
    assert set(compose()["services"]["nats"]["environment"]) == asked
    assert {item["name"] for item in workloads()["nats"]["containers"][0]["env"]} == asked


def test_dockerfile() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, ROOT / "deploy/Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_group_of_packages_for_each_image() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert {*SERVICES, "setup"} <= set(groups)
    for name in (*SERVICES, "setup"):
        assert compose()["services"][name]["build"]["args"] == {"SERVICE": name}


def test_the_lock_names_no_place_to_download_from() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|--index|--extra-index|--find-links|--trusted-host| @ ", lock)
    packages = re.findall(r"^[a-z0-9].*$", lock, re.MULTILINE)
    assert packages
    assert all(re.match(r"[\w.-]+==\S+ .*\\$", line) for line in packages)
    assert all(f"{line}\n    --hash=sha256:" in lock for line in packages)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests(path: Path) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_kustomization_names_every_manifest() -> None:
    (kustomization,) = documents(ROOT / "deploy/kubernetes/kustomization.yaml")
    listed = {item for item in kustomization["resources"] if item != "../nats"}
    assert listed == {path.name for path in MANIFESTS} - {"secret.example.yaml"}
    (configuration,) = documents(ROOT / "deploy/nats/kustomization.yaml")[0]["configMapGenerator"]
    volumes = {volume["name"]: volume for volume in workloads()["nats"]["volumes"]}
    assert volumes["configuration"]["configMap"]["name"] == configuration["name"]
    assert set(configuration["files"]) == {path.name for path in (ROOT / "deploy/nats").glob("*.conf")}


@pytest.mark.parametrize("name", ["nats", "setup", *SERVICES])
def test_pods_are_kept_small(name: str) -> None:
    pod = workloads()[name]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False, "Kubernetes would set variables that look like our settings"
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_in_kubernetes(name: str) -> None:
    pod = workloads()[name]
    (container,) = pod["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": ADDRESSES[name]}]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    environment = {item["name"]: item for item in container["env"]}
    assert environment["SWITCHBOARD_NATS_USER"]["value"] == name
    secret = environment["SWITCHBOARD_NATS_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "nats-passwords", "key": name}
    assert pod["terminationGracePeriodSeconds"] > float(environment["SWITCHBOARD_DRAIN_SECONDS"]["value"]) + 5
    (service,) = [
        item for item in documents(ROOT / f"deploy/kubernetes/{name}.yaml") if item["kind"] == "Service"
    ]
    assert [port["port"] for port in service["spec"]["ports"]] == [ADDRESSES[name]]


def test_the_secrets_have_every_user_and_the_master_key() -> None:
    found = documents(ROOT / "deploy/kubernetes/secret.example.yaml")
    secrets = {secret["metadata"]["name"]: secret["stringData"] for secret in found}
    assert secrets.keys() == {"nats-passwords", "master-key"}
    assert set(secrets["nats-passwords"]) == set(USERS)
    assert set(secrets["master-key"]) == {"SWITCHBOARD_MASTER_KEY"}
    assert not any(value for secret in secrets.values() for value in secret.values())


@pytest.mark.parametrize("name", ["proxy", "workflow", "operator"])
def test_whoever_reads_words_is_given_the_master_key(name: str) -> None:
    (container,) = workloads()[name]["containers"]
    given = {each["name"]: each for each in container["env"]}["SWITCHBOARD_MASTER_KEY"]
    key = {"name": "master-key", "key": "SWITCHBOARD_MASTER_KEY"}
    assert given["valueFrom"]["secretKeyRef"] == key
    assert "SWITCHBOARD_MASTER_KEY" in compose()["services"][name]["environment"]


def test_analytics_has_no_master_key() -> None:
    (container,) = workloads()["analytics"]["containers"]
    assert "SWITCHBOARD_MASTER_KEY" not in {each["name"] for each in container["env"]}
    assert "SWITCHBOARD_MASTER_KEY" not in compose()["services"]["analytics"]["environment"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_in_compose(name: str) -> None:
    service = compose()["services"][name]
    environment = service["environment"]
    assert environment["SWITCHBOARD_NATS_USER"] == name
    assert environment["SWITCHBOARD_NATS_PASSWORD"].startswith(f"${{{password_variable(name)}:?")
    port = ADDRESSES[name]
    assert service.get("ports", []) == ([] if name == "workflow" else [f"127.0.0.1:{port}:{port}"])
    assert service["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}
    assert service["read_only"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) > load(Local, {}).drain_seconds + 5


def test_compose_keeps_the_broker_to_itself() -> None:
    services = compose()["services"]
    assert set(services) == {"nats", "setup", *SERVICES}
    assert "ports" not in services["nats"]
    assert services["setup"]["environment"]["SWITCHBOARD_NATS_USER"] == "admin"
    assert services["setup"]["depends_on"] == {"nats": {"condition": "service_healthy"}}
    for volume in services["nats"]["volumes"]:
        source = volume.split(":")[0]
        assert source in compose()["volumes"] or (ROOT / source).is_dir()
