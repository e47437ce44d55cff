from __future__ import annotations

import itertools
import time

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from controller.demo.service import BUCKETS, Service
from controller.demo.work import burn, calibrate


async def client_of(**settings: float) -> TestClient:
    service = Service(**{"cpu_ms": 1.0, "threads": 2, "iterations_per_ms": 100.0, **settings})
    return TestClient(TestServer(service.app()))


def test_calibrated_work_costs_about_what_it_should() -> None:
    iterations = round(10 * calibrate())
    costs = []
    for _ in range(5):
        started = time.thread_time()
        burn(iterations)
        costs.append(time.thread_time() - started)
    assert min(costs) == pytest.approx(0.010, rel=0.5)


def test_a_quantile_can_be_read_closely_from_the_buckets() -> None:
    assert 0.25 in BUCKETS
    assert BUCKETS[0] < 0.01
    assert BUCKETS[-1] > 10
    assert max(high / low for low, high in itertools.pairwise(BUCKETS)) < 1.26


async def test_latency_from_arrival_to_completion_is_exported() -> None:
    async with await client_of(downstream_ms=30.0) as client:
        for _ in range(3):
            assert (await client.get("/work")).status == 200
        text = await (await client.get("/metrics")).text()
    (family,) = [f for f in text_string_to_metric_families(text) if f.name == "http_request_duration_seconds"]
    values = {sample.name: sample.value for sample in family.samples if "le" not in sample.labels}
    assert family.type == "histogram"
    assert values["http_request_duration_seconds_count"] == 3
    assert values["http_request_duration_seconds_sum"] >= 0.09


async def test_control_changes_the_downstream_while_running() -> None:
    async with await client_of() as client:
        answer = await client.post("/control", json={"downstream_ms": 50})
        assert await answer.json() == {"cpu_ms": 1.0, "downstream_ms": 50.0}
        started = time.monotonic()
        await client.get("/work")
        assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize(
    "body", ['{"cpu_ms": -1}', '{"threads": 3}', '{"cpu_ms": "x"}', "[1]", "nonsense", "3"]
)
async def test_control_refuses_what_it_does_not_know(body: str) -> None:
    async with await client_of() as client:
        answer = await client.post("/control", data=body, headers={"Content-Type": "application/json"})
        assert answer.status == 400
