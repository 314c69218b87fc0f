"""Docker files, CI script, Makefile and docs/deployment.md say what the programs really take. No Docker engine is needed."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from ioc.cli import app
from ioc.config import Config
from ioc.embedded import kafka, timescaledb
from ioc.rights import PERSON_ROLES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("ioc:")}
# Known to the programs without being part of the configuration, and of the compose file itself.
OTHER_VARIABLES = {"IOC_CONFIG", "IOC_SIMULATOR_URL", "IOC_DB_PASSWORD", "IOC_SAMPLES", "IOC_REQUIRE_SERVICES"}


def verbs() -> dict[str, Any]:
    """Return verb -> click command of `ioc`, groups as "dlq list"."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found[name] = command
        for below, inner in getattr(command, "commands", {}).items():
            found[f"{name} {below}"] = inner
    return found


def variables(model: type[BaseModel] = Config, prefix: str = "IOC_") -> set[str]:
    """Return the environment variables the configuration reads."""
    names = set()
    for name, field in model.model_fields.items():
        names.add(f"{prefix}{name.upper()}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= variables(field.annotation, f"{prefix}{name.upper()}__")
    return names


# -- docker-compose.yml ------------------------------------------------------------------------------------------------


def test_one_server_has_every_part() -> None:
    default = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert default == {"kafka", "database", "migrate", "connect", "ingest", "jobs", "web"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_program_is_a_command_of_ioc(name: str) -> None:
    (verb,) = SERVICES[name]["command"]
    assert verb in verbs()


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_is_one_the_configuration_reads(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert {"IOC_DATABASE__DSN", "IOC_BROKER__BOOTSTRAP"} <= set(environment)
    assert {variable for variable in environment if variable.startswith("IOC_")} <= variables() | OTHER_VARIABLES


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_variables_make_a_valid_configuration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ioc.config import load

    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{(\w+):[-?]([^}]*)\}", r"\2", value))
    config = load(ROOT / "config.yaml")
    assert config.broker.bootstrap == "kafka:9092"
    assert config.database.dsn.endswith("@database:5432/ioc")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_everything_that_stays_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_signs_of_life_are_asked_under_the_names_the_programs_use() -> None:
    for name, service in OURS.items():
        test = service.get("healthcheck", {}).get("test", [])
        if "ioc.alive" in test:
            assert test == ["CMD", "python", "-m", "ioc.alive", service["command"][0]], name


def test_programs_start_after_the_schema_is_there_and_the_broker_answers() -> None:
    for name in ("connect", "ingest", "jobs", "web", "ingest-more", "web-more"):
        wanted = SERVICES[name]["depends_on"]
        assert wanted["migrate"]["condition"] == "service_completed_successfully"
        assert wanted["kafka"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_scale_runs_several_ingest_and_web_behind_a_balancer() -> None:
    scale = {name for name, service in SERVICES.items() if service.get("profiles") == ["scale"]}
    assert scale == {"ingest-more", "web-more", "balancer"}
    assert SERVICES["ingest-more"]["deploy"]["replicas"] + 1 == Config().broker.partitions
    assert SERVICES["web-more"]["deploy"]["replicas"] >= 2
    nginx = COMPOSE["configs"]["balancer"]["content"]
    assert set(re.findall(r"server ([\w-]+):8050", nginx)) == {"web", "web-more"}
    assert "$$http_upgrade" in nginx
    assert not re.search(r"(?<!\$)\$[a-z]", nginx), "a single $ would be taken by Compose"


def test_nothing_is_published_beyond_the_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_the_versions_tested_here() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka.version()}"
    assert SERVICES["database"]["image"].startswith("timescale/timescaledb:")
    assert SERVICES["database"]["image"].endswith(f"-pg{timescaledb.MAJOR}")
    for service in SERVICES.values():
        assert re.search(r":\d", service["image"]), f"{service['image']} is not pinned"


def test_data_is_in_named_volumes() -> None:
    for name, inside in (("kafka", "/var/lib/kafka/data"), ("database", "/var/lib/postgresql/data")):
        assert f"{name}:{inside}" in SERVICES[name]["volumes"]
        assert name in COMPOSE["volumes"]
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"


def test_no_password_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert all("${IOC_DB_PASSWORD" in line for line in text.splitlines() if "PASSWORD:" in line or "postgresql://" in line)


def test_programs_may_do_little_in_their_containers() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


# -- Dockerfile --------------------------------------------------------------------------------------------------------


def test_the_image_is_small_and_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "FROM python:3.11-slim" in lines
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]


def test_what_the_image_copies_is_there_and_let_in() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    sources = [source for line in re.findall(r"^COPY (.+)$", text, re.M) for source in line.split()[:-1]]
    let_in = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.M))
    assert set(sources) == let_in
    assert [source for source in sources if not (ROOT / source).exists()] == []


# -- .ci/run and Makefile ----------------------------------------------------------------------------------------------


def test_ci_is_strict_and_requires_all_services() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert script.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in text
    assert "export IOC_REQUIRE_SERVICES=1" in text
    assert text.rstrip().endswith("make test"), "the last lines must be those of pytest"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def ci(folder: Path, **programs: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run .ci/run on a machine that has only `programs` (name -> shell text); return it and what it asked of them."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "grep", "sed"):
        (tools / name).symlink_to(shutil.which(name) or name)
    for name, text in ({"sleep": "exit 0", "make": "exit 0", "apt-get": "exit 0"} | programs).items():
        (tools / name).write_text(f'#!/bin/bash\necho "{name} $* [$IOC_REQUIRE_SERVICES]" >> {folder}/asked\n{text}\n')
        (tools / name).chmod(0o755)
    (folder / "checkout" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", folder / "checkout" / ".ci" / "run")
    argv = [str(tools / "bash"), str(folder / "checkout" / ".ci" / "run")]
    done = subprocess.run(argv, env={"PATH": str(tools), "CI": "true"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done, (folder / "asked").read_text().splitlines()


def test_ci_installs_what_the_machine_lacks_and_then_lints_and_tests(tmp_path: Path) -> None:
    done, asked = ci(tmp_path)
    assert done.returncode == 0, done.stderr
    packages = "python3-venv chromium fontconfig fonts-noto-core debootstrap openjdk-17-jre-headless maven"
    assert asked == ["apt-get -qq update [1]", f"apt-get -qq install -y --no-install-recommends {packages} [1]", "make lint [1]", "make test [1]"]


def test_ci_installs_nothing_where_all_is_there(tmp_path: Path) -> None:
    here = dict.fromkeys(("chromium", "debootstrap", "mvn", "python3"), "exit 0")
    here |= {"fc-list": "echo /usr/share/fonts/a.ttf", "java": "echo 'openjdk version \"21.0.1\"' >&2"}
    _, asked = ci(tmp_path, **here)
    assert [line for line in asked if line.startswith(("apt-get", "make"))] == ["make lint [1]", "make test [1]"]


def test_ci_tries_a_failing_mirror_three_times(tmp_path: Path) -> None:
    done, asked = ci(tmp_path, **{"apt-get": "exit 100"})
    assert done.returncode == 100
    assert len(asked) == 5, "three tries, two pauses"
    assert not [line for line in asked if line.startswith("make")]


@pytest.mark.parametrize("target", ["lint", "test"])
def test_ci_fails_where_lint_or_a_test_fails(tmp_path: Path, target: str) -> None:
    done, _ = ci(tmp_path, make=f'[ "$1" != {target} ]')
    assert done.returncode != 0


def make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=folder, env=clean, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["up", "setup", "test", "lint", "bench"])
def test_a_python_without_ensurepip_is_one_sentence_naming_the_package(tmp_path: Path, target: str) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n')
    python.chmod(0o755)
    done = make(target, f"PYTHON={python}", folder=tmp_path)
    assert done.returncode == 2
    assert "cannot make virtual environments: install the package python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_old_python_is_one_sentence(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = make("setup", f"PYTHON={python}", folder=tmp_path)
    assert done.returncode == 2
    assert "is older than Python 3.11" in done.stderr


def test_it_installs_again_only_when_pyproject_changes(tmp_path: Path) -> None:
    """A stand-in for Python notes what it is asked for."""
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/asked
case "$*" in
  "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && printf '#!/bin/sh\\necho "ioc $@"\\n' > "$3/bin/ioc" && chmod +x "$3/bin/ioc";;
esac
"""
    )
    python.chmod(0o755)

    def installs() -> int:
        return sum("pip install" in line for line in (tmp_path / "asked").read_text().splitlines())

    assert make("up", f"PYTHON={python}", "ARGS=--port 8060 --kafka", folder=tmp_path).stdout.splitlines()[-1] == "ioc up --port 8060 --kafka"
    assert installs() == 1
    subprocess.run(["make", "up", f"PYTHON={python}"], cwd=tmp_path, check=True, capture_output=True)
    assert installs() == 1
    later = (tmp_path / ".venv" / ".runs").stat().st_mtime + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    subprocess.run(["make", "up", f"PYTHON={python}"], cwd=tmp_path, check=True, capture_output=True)
    assert installs() == 2


# -- docs/deployment.md ------------------------------------------------------------------------------------------------

DOCS = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_the_documentation_names_only_commands_there_are() -> None:
    named = set(re.findall(r"(?:`|bin/|exec web )ioc ((?:dlq|connector|kpi|token) [a-z]+|[a-z]+)", DOCS))
    assert {"doctor", "audit", "migrate", "dlq list", "ingest", "web"} <= named
    assert named <= set(verbs())


def test_the_documentation_names_only_options_there_are() -> None:
    options = {option for parameter in verbs()["up"].params for option in (*parameter.opts, *parameter.secondary_opts)}
    named = set(re.findall(r"(--[a-z-]+)", "\n".join(re.findall(r"^make up ARGS=.*?(?:#|$)", DOCS, re.M))))
    assert {"--port", "--data-dir", "--timescaledb", "--kafka", "--rate", "--speed", "--no-simulator"} == named
    assert named <= options


@pytest.mark.parametrize("argv", [["--data-dir", "there", "up"], ["up", "--data-dir", "there"], ["--data-dir", "elsewhere", "up", "--data-dir", "there"]])
def test_the_folder_for_data_may_stand_before_the_verb_or_after_it(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("ioc.embedded.up.up", lambda port, data_dir, **_: asked.append(data_dir) or 0)
    assert CliRunner().invoke(app, argv, catch_exceptions=False).exit_code == 0
    assert asked == [Path("there")]


def test_the_documentation_names_only_variables_there_are() -> None:
    assert set(re.findall(r"\bIOC_[A-Z_]+", DOCS)) <= variables() | OTHER_VARIABLES


def test_the_documented_security_options_are_known_to_the_client_and_the_configuration() -> None:
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

    from ioc.bus import client_options

    blocks = re.findall(r"```yaml\n(.*?)```", DOCS, re.S)
    (block,) = (block for block in blocks if block.startswith("broker:"))
    example = yaml.safe_load(block)["broker"]
    broker = Config(broker=example).broker
    assert broker.security == example["security"]
    options = set(example["security"]) | set(re.findall(r"# (ssl_\w+):", block))
    assert options <= set(KafkaProducer.DEFAULT_CONFIG) & set(KafkaConsumer.DEFAULT_CONFIG) & set(KafkaAdminClient.DEFAULT_CONFIG)
    assert client_options(broker).items() >= example["security"].items()  # what producer, consumer and admin client are made with
    assert client_options(broker)["bootstrap_servers"] == example["bootstrap"].split(",")


def test_the_documented_settings_of_accounts_are_what_the_configuration_takes() -> None:
    blocks = [yaml.safe_load(block)["web"] for block in re.findall(r"```yaml\n(web:.*?)```", DOCS, re.S)]
    web = Config(web={name: value for block in blocks for name, value in block.items()}).web
    assert not web.public and web.url.startswith("https://") and web.oidc is not None and set(web.oidc.roles.values()) == set(PERSON_ROLES)
    nginx = DOCS[DOCS.index("proxy_pass") :]
    assert "X-Forwarded-Proto $scheme" in nginx and "X-Forwarded-For $remote_addr" in nginx


def test_the_documentation_names_the_profiles_of_compose() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\w+)", DOCS)) == profiles
