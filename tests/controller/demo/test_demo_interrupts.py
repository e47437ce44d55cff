from __future__ import annotations

import os
import signal

import pytest

from controller.demo.interrupts import Interrupts


def strike(number: int) -> None:
    os.kill(os.getpid(), number)


def test_ctrl_c_raises_at_once_outside_a_hold() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        strike(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ends_exit_with_the_usual_status(number: int) -> None:
    with pytest.raises(SystemExit) as caught, Interrupts():
        strike(number)
    assert caught.value.code == 128 + number


def test_inside_a_hold_it_waits_for_the_end() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        with interrupts.held():
            with interrupts.held():
                strike(signal.SIGINT)
            steps.append("inner hold left")
        steps.append("never")
    assert steps == ["inner hold left"]


def test_the_second_one_does_not_break_off_the_clean_up() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Interrupts():
        try:
            strike(signal.SIGINT)
        finally:
            strike(signal.SIGINT)
            steps.append("cleaned up")
    assert steps == ["cleaned up"]


def test_an_exception_that_leaves_a_hold_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="first"), Interrupts() as interrupts, interrupts.held():
        strike(signal.SIGINT)
        raise ValueError("first")


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
