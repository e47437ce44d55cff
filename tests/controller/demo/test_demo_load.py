from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.demo.load import Generator, Plan, Rate, draw_arrivals


def test_the_same_seed_gives_the_same_arrivals() -> None:
    phases = [Rate(10, 25), Rate(20, 100)]
    assert (draw_arrivals(3, phases) == draw_arrivals(3, phases)).all()
    assert draw_arrivals(3, phases).tolist() != draw_arrivals(4, phases).tolist()


def test_arrivals_are_poisson_with_each_phases_rate() -> None:
    arrivals = draw_arrivals(1, [Rate(100, 20), Rate(100, 100)])
    assert (np.diff(arrivals) >= 0).all()
    low, high = arrivals[arrivals < 100], arrivals[arrivals >= 100]
    assert abs(low.size - 2_000) < 4 * 2_000**0.5
    assert abs(high.size - 10_000) < 4 * 10_000**0.5
    gaps = np.diff(high)
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05, "exponential gaps spread as far as their mean"


def test_no_phases_no_arrivals() -> None:
    assert draw_arrivals(1, []).size == 0


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = Plan("http://127.0.0.1:1/work", "out", 7, (Rate(1, 2), Rate(3, 4)), drain_seconds=1.0)
    plan.write(tmp_path / "plan")
    assert Plan.read(tmp_path / "plan") == plan
    assert plan.ends_at_seconds == 5.0


async def run_against(handler: Any, *, drain_seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    app = web.Application()
    app.router.add_get("/work", handler)
    out = io.StringIO()
    async with TestServer(app) as server:
        plan = Plan(
            url=str(server.make_url("/work")),
            out="",
            seed=1,
            phases=(Rate(0.5, 60),),
            drain_seconds=drain_seconds,
        )
        await Generator(plan, out).run()
    head, *records = [json.loads(line) for line in out.getvalue().splitlines()]
    return head, records


async def test_a_slow_service_does_not_slow_its_load_down() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.4)
        return web.Response()

    head, records = await run_against(slow, drain_seconds=0.6)
    assert sorted(record["intended_seconds"] for record in records) == head["arrivals_seconds"]
    assert head["arrivals_seconds"] == draw_arrivals(1, [Rate(0.5, 60)]).round(6).tolist()
    assert all(record["status"] == 200 for record in records)
    assert max(record["send_lag_seconds"] for record in records) < 0.3, "a closed loop would lag by seconds"
    for record in records:
        assert record["latency_seconds"] >= 0.4 + record["send_lag_seconds"] - 0.01


async def test_what_is_not_answered_in_time_is_recorded_too() -> None:
    async def stuck(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    head, records = await run_against(stuck, drain_seconds=0.2)
    assert len(records) == len(head["arrivals_seconds"])
    assert {record["status"] for record in records} == {0}
    assert min(record["latency_seconds"] for record in records) >= 0.19


async def test_an_error_is_no_answer_but_keeps_its_status() -> None:
    async def broken(request: web.Request) -> web.Response:
        raise web.HTTPServiceUnavailable

    _, records = await run_against(broken, drain_seconds=0.1)
    assert {record["status"] for record in records} == {503}
