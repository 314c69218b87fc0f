"""`ioc simulate` as a process: it serves, breaks on demand, and goes on with the same story after being killed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ioc.config import Config, Simulator
from ioc.errors import UserError
from ioc.simulator.server import serve

ROOT = Path(__file__).parents[2]
SERVE = "from ioc.config import Config; from ioc.simulator.server import serve; serve(Config(), rate=5, port={port}, faults={faults!r})"


@contextmanager
def simulator(faults: str = "") -> Iterator[httpx.Client]:
    """Run a simulator in a process of its own until the block ends, then kill it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVE.format(port=port, faults=faults)], cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client.get("/").raise_for_status()
                    break
                except httpx.TransportError:
                    assert process.poll() is None and time.monotonic() < deadline, "the simulator does not answer"
                    time.sleep(0.1)
            yield client
    finally:
        process.kill()
        process.wait()


def test_it_goes_on_with_the_same_story_after_a_kill() -> None:
    with simulator() as client:
        rows = client.get("/incident-reports/open311/v2/requests.json?page=1&page_size=40").json()
        reports = {row["service_request_id"]: row["requested_datetime"] for row in rows}
        dossier = client.get("/public-services/api/hoso?soLuong=50").json()["hoSo"]
        messages = client.get("/e-documents/api/messages?limit=20").json()["data"]
        documents = [client.get(httpx.URL(row["url"]).path).content for row in messages]
    with simulator() as client:
        again = client.get("/incident-reports/open311/v2/requests.json", params={"service_request_id": ",".join(reports)}).json()
        assert {row["service_request_id"]: row["requested_datetime"] for row in again} == reports
        later = {row["MaHoSo"]: row for row in client.get("/public-services/api/hoso?soLuong=200").json()["hoSo"]}
        common = [row for row in dossier if row["MaHoSo"] in later and later[row["MaHoSo"]]["ThoiDiemCapNhat"] == row["ThoiDiemCapNhat"]]
        assert len(common) > 30 and all(later[row["MaHoSo"]] == row for row in common)
        assert [client.get(httpx.URL(row["url"]).path).content for row in messages] == documents


def test_it_starts_with_the_faults_of_the_command_line() -> None:
    with simulator("health:error:status=502:times=1,public-services:rate_limit:delay_s=3") as client:
        assert client.get("/health/fhir/metadata").status_code == 502
        assert client.get("/health/fhir/metadata").status_code == 200
        refused = client.get("/public-services/api/hoso")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "3"
        client.delete("/control", params={"feed": "public-services"})
        assert client.get("/public-services/api/hoso").status_code == 200
        assert re.fullmatch(r"[\[\]]{2}", client.get("/control").text)


def test_it_listens_on_this_machine_and_has_no_levers_where_others_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, Starlette]] = []
    monkeypatch.setattr("uvicorn.run", lambda app, host, **_: served.append((host, app)))
    serve(Config())
    serve(Config(simulator=Simulator(host="0.0.0.0")))
    assert [host for host, _ in served] == ["127.0.0.1", "0.0.0.0"]
    answers = [TestClient(app).post("/control", json={"feed": "*", "fault": "slow"}).status_code for _, app in served]
    assert answers == [200, 405]
    assert TestClient(served[1][1]).get("/health/fhir/metadata").status_code == 200


def test_it_refuses_a_fault_on_the_command_line_that_it_does_not_know() -> None:
    with pytest.raises(UserError, match="known are"):
        serve(Config(), faults=["health:nonsense"])
    with pytest.raises(UserError, match="NAME=VALUE"):
        serve(Config(), faults=["health:slow:2"])
