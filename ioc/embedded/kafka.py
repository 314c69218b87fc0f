"""Apache Kafka without Docker: one KRaft node on loopback ports, from Maven's packages (Java 17 and Maven).

Topics are kept in a folder and are there again after a restart or a kill -9.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from ioc.embedded.process import LOOPBACK, Command, Process, alone, disk_errors
from ioc.embedded.wire import LocalBroker
from ioc.errors import UserError

_JAVA_AT_LEAST = 17
_MAVEN_S = 600
_ATTEMPTS = 3
_SERVER_JAR = "kafka_2.13-*.jar"
_HEAP = ("-Xms128m", "-Xmx768m")
Say = Callable[[str], None]


def version() -> str:
    """Return the version of Kafka that is provided."""
    found = re.search(r"kafka_2\.13</artifactId>\s*<version>([^<]+)<", _resource("kafka-pom.xml"))
    assert found is not None
    return found[1]


def is_provisioned(jars: Path) -> bool:
    """Say whether `jars` holds this version's packages."""
    return (jars / f"kafka_2.13-{version()}.jar").exists()


def provision(jars: Path, say: Say) -> Path:
    """Fetch the packages into `jars` unless they are there, and return it; raise `UserError` when this machine cannot."""
    jars = jars.absolute()
    java()
    with disk_errors(jars), alone(jars):
        if not is_provisioned(jars):
            _fetch(jars, say)
    return jars


def java() -> str:
    """Return the path of a Java 17 or newer; raise `UserError` when there is none."""
    home = os.environ.get("JAVA_HOME")
    program = (shutil.which("java", path=str(Path(home) / "bin")) if home else None) or shutil.which("java")
    if program is None:
        raise UserError("--kafka needs Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)")
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(\d+)', text)
    if found is None or int(found[1]) < _JAVA_AT_LEAST:
        raise UserError(f"--kafka needs Java 17 or newer; {program} is {text.splitlines()[0] if text else 'of unknown version'}")
    return program


def _fetch(jars: Path, say: Say) -> None:
    """Fill a folder aside and rename it when it is whole."""
    maven = shutil.which("mvn")
    if maven is None:
        raise UserError("--kafka needs Maven to fetch Apache Kafka (Debian: apt-get install maven), or set IOC_BROKER__BOOTSTRAP to a Kafka broker")
    say(f"fetching Apache Kafka {version()} into {jars} (45 MB)")
    partial = jars.with_name(jars.name + ".partial")
    log = jars.with_name(jars.name + "-maven.log")
    for attempt in range(1, _ATTEMPTS + 1):
        shutil.rmtree(partial, ignore_errors=True)
        if _maven(maven, partial, log):
            break
        if attempt == _ATTEMPTS:
            raise UserError(f"Maven could not fetch Apache Kafka: {_first_error(log)} (log: {log})")
    shutil.rmtree(jars, ignore_errors=True)
    partial.rename(jars)


def _maven(program: str, target: Path, log: Path) -> bool:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    with as_file(files("ioc.embedded") / "kafka-pom.xml") as pom, log.open("wb") as out:
        argv = [program, "--quiet", "--batch-mode", "--file", str(pom), *goal]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=_MAVEN_S, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0 and is_provisioned(target)


def _first_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in lines if "ERROR" in line), "no answer in time")


class Kafka(LocalBroker):
    """One Apache Kafka broker and controller with its data in `folder`."""

    kind = "kafka"
    memory_only = False
    ready_s = 90

    def __init__(
        self,
        folder: Path,
        jars: Path,
        *,
        port: int,
        controller_port: int,
        log: Path | None = None,
        pid_file: Path | None = None,
        partitions: int = 4,
    ) -> None:
        self.title = f"Apache Kafka {version()}"
        self._controller_port = controller_port
        self._partitions = partitions
        self._folder = folder.absolute()
        self._jars = jars.absolute()
        self._log = log or self._folder / "broker.log"
        super().__init__(port, Process(self._command("broker", "kafka.Kafka", str(self._properties), stop_s=30), pid_file or self._folder / "broker.pid"))

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _command(self, name: str, main: str, *arguments: str, stop_s: float) -> Command:
        # The simple collector and quick compiler: a broker of this size starts in half the time and stays small.
        options = [*_HEAP, "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}", "-Djava.awt.headless=true"]
        argv = [java(), *options, "-cp", f"{self._jars}/*", main, *arguments]
        return Command(name, argv, self._log, cwd=None, stop_s=stop_s)

    def prepare(self) -> None:
        """Write its settings and format its folder the first time."""
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "log4j2.xml").write_text(_resource("kafka-log4j2.xml"), encoding="utf-8")
            self._properties.write_text(self._settings(), encoding="utf-8")
            if not (self._folder / "data" / "meta.properties").exists():
                self._format()

    def _settings(self) -> str:
        """Return server.properties: broker and controller in one, a single copy of everything, loopback only."""
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._folder / "data"),
            "num.partitions": str(self._partitions),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill -9 the restarted broker waits until its former self is declared dead (9 s by default).
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.retention.hours": "168",
            "message.max.bytes": "4000000",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().lstrip("-")
        cluster = cluster if len(cluster) == 22 else "A" + cluster.rjust(21, "A")
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        command = self._command("kafka-format", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties), stop_s=5)
        done = subprocess.run(list(command.argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        if done.returncode != 0:
            text = (done.stderr or done.stdout).strip()
            if "No space left on device" in text:
                raise UserError(f"the disk of {self._folder} is full; make room or choose another folder with --data-dir")
            raise UserError(f"Kafka could not format {self._folder / 'data'}: {text.splitlines()[-1] if text else 'it wrote nothing'}")


def _resource(name: str) -> str:
    return (files("ioc.embedded") / name).read_text(encoding="utf-8")
