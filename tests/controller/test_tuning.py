"""Tuning: the search keeps to its bounds and budget, the gain is judged on what it did not see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from controller.cli import main
from controller.config import Config, merge, parse
from controller.tuning.gain import gain_of
from controller.tuning.outcome import Outcome, Player, Weights, without_control
from controller.tuning.search import Progress, search
from controller.tuning.situation import SituationError, built_in, parse_situations
from controller.tuning.space import DEFAULT_KEYS, Key, SpaceError, configured, fragment, key_of, value_of
from controller.tuning.twin import twins, whole
from tests.controller.test_replay import record

KEYS = (Key("control.gain", 0.2, 2.0), Key("control.drain", 1.0, 6.0))
SHORT = """
situations:
  - name: surge
    seconds: 14
    online: {load: [[0, 0.3], [3, 1.4]], slo: 200ms}
    peers: [{name: batch, workers: 4}]
"""


def bowl(values: Sequence[float]) -> float:
    gain, drain = values
    return (gain - 1.5) ** 2 + (drain - 2.0) ** 2


def test_search_finds_the_bottom_and_says_how_far_it_is() -> None:
    told: list[Progress] = []
    found = search(bowl, KEYS, (0.8, 3.0), 1, 400, 60.0, lambda: 0.0, told.append)
    assert found.values == pytest.approx((1.5, 2.0), abs=0.1)
    assert found.start_cost == bowl((0.8, 3.0))
    assert [now.evaluations for now in told] == list(range(1, found.evaluations + 1))
    assert told[-1].best_cost == found.cost
    again = search(bowl, KEYS, (0.8, 3.0), 1, 400, 60.0, lambda: 0.0)
    assert again == found, "seeded"


def test_search_ends_with_its_budget_or_with_ctrl_c() -> None:
    seen: list[tuple[float, ...]] = []

    def interrupted(values: Sequence[float]) -> float:
        seen.append(tuple(values))
        if len(seen) == 7:
            raise KeyboardInterrupt
        return bowl(values)

    found = search(interrupted, KEYS, (0.8, 3.0), 1, 400, 60.0, lambda: 0.0)
    assert found.ended == "interrupted"
    assert found.values in seen
    assert all(0.2 <= gain <= 2.0 and 1.0 <= drain <= 6.0 for gain, drain in seen)
    counted = search(bowl, KEYS, (0.8, 3.0), 1, 9, 60.0, lambda: 0.0)
    assert (counted.ended, counted.evaluations) == ("budget", 9)
    clock = iter(range(1000))
    timed = search(bowl, KEYS, (0.8, 3.0), 1, 400, 10.0, lambda: float(next(clock)))
    assert timed.ended == "budget"
    assert timed.evaluations < 12


def test_gain_is_told_from_chance() -> None:
    better = gain_of([10.0, 12.0, 9.0, 11.0], [7.0, 9.0, 7.0, 7.0], 1)
    assert better.mean == 3.0
    assert 0 < better.low < 3.0 < better.high
    assert better.proven
    assert not gain_of([10.0, 12.0, 9.0, 11.0], [12.0, 9.0, 11.0, 9.0], 1).proven
    assert not gain_of([5.0, 5.0], [5.0, 5.0], 1).proven


def test_every_default_key_is_within_the_schema() -> None:
    for key in DEFAULT_KEYS:
        assert key_of(f"{key.name}={key.low}:{key.high}", Config()) == key
        assert key.low <= value_of(Config(), key) <= key.high
    values = [key.high for key in DEFAULT_KEYS]
    piece = fragment(Config(), DEFAULT_KEYS, values)
    read = parse(yaml.safe_dump(piece), "piece")
    assert read == configured(Config(), DEFAULT_KEYS, values)
    assert read.control.drain == 6.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("control.gian=0:1", "control.gian: is no number of the configuration"),
        ("control.gain", "write KEY=LOW:HIGH"),
        ("control.gain=2:1", "2 is not below 1"),
        ("recovery.reserve_ratio=0:2", "recovery.reserve_ratio"),
        ("rules=0:1", "rules: is no number"),
    ],
)
def test_a_key_that_cannot_be_tuned_is_named(text: str, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        key_of(text, Config())


def test_cost_counts_what_it_says() -> None:
    assert Outcome(3.0, 10.0, 5).cost(Weights(0.1, 0.02)) == pytest.approx(4.1)
    assert Outcome(3.0, -10.0, 0).cost(Weights()) == 3.0, "batch work is never worth violations"
    (surge,) = parse_situations(SHORT, "short")
    player = Player()
    held = player.play(surge, 1, Config())
    assert held == player.play(surge, 1, Config())
    nothing = player.play(surge, 1, merge(Config(), {"rules": {"latency": {"enabled": False}}}))
    assert nothing.writes == 0
    assert nothing.lost_core_seconds == pytest.approx(0.0, abs=1e-6)
    assert nothing.violation_seconds == without_control(surge, 1) > held.violation_seconds
    assert held.lost_core_seconds > 0 < held.writes


def test_situations() -> None:
    assert {one.name for one in built_in()} >= {"batch-starts", "surge"}
    for text, said in (
        ("situations: []", "f: situations: "),
        (SHORT.replace("slo", "sol"), r"f: situations\.0\.online\.sol: "),
        (SHORT.replace("[[0,", "[[1,"), "must begin at 0"),
        ("a: [", "f:1: not YAML"),
    ):
        with pytest.raises(SituationError, match=said):
            parse_situations(text, "f")


def test_twin_is_like_the_recording(tmp_path: Path) -> None:
    from backends.recording.reader import Recording

    record(tmp_path / "r.gz", until=70.0, dry_run=True, plain=True)
    train, test, recorded, seconds = twins(Recording(tmp_path / "r.gz"), None)
    assert (train.seconds, test.seconds) == (49.0, 21.0)
    assert seconds == 70.0
    surge = sum(cores for at, cores in train.online.load if 8 <= at < 23) / 15
    assert surge == pytest.approx(100 * 0.013, rel=0.1)
    assert [peer.name for peer in train.peers] == ["batch"]
    assert train.peers[0].active == ((0.0, 49.0),)
    assert without_control(whole(train, test), 1) == pytest.approx(recorded, rel=0.3)
    with pytest.raises(SituationError, match="name one container with an SLO by --container: web"):
        twins(Recording(tmp_path / "r.gz"), "batch")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SHORT)
    options = ["--scenario", str(file), "--evaluations", "4", "--seeds", "1", "--held-out", "2"]
    assert main(["tune", *options, "--key", "control.gain=0.2:2", "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["evaluations"] == 4
    assert found["gain_pairs"] == 2
    assert found["gain_low"] <= found["gain"] <= found["gain_high"]
    assert found["cost_after"] <= found["cost_before"]
    assert "of 4: best cost" in shown.err
    # An answer that is no gain is said to be none: one evaluation is the configuration itself.
    assert main(["tune", *options, "--evaluations", "1"]) == 0
    shown = capsys.readouterr()
    assert "that is no gain: keep the configuration you have" in shown.out
    assert "nothing cheaper was found" in shown.out
    assert main(["tune", "--scenario", str(tmp_path / "none.yaml")]) == 1
    assert "can't be read: No such file or directory" in capsys.readouterr().err
    assert main(["tune", "--key", "control.gain"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["tune", "--seeds", "0"]) == 1
    assert "--seeds: must be at least 1" in capsys.readouterr().err
