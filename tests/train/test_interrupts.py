"""The first Ctrl-C waits for a loop to look, the second does not."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from lightning_fabric.utilities import rank_zero_only

from train.interrupts import SIGNALS, held_back


@pytest.fixture
def loop():
    """Send itself signals between steps; return what the loop could see of them."""
    seen = []

    def run(*signals, error=None):
        with held_back() as request:
            for name in signals:
                signal.raise_signal(name)
                seen.append(request.made)
            if error:
                raise error

    return run, seen


@pytest.mark.parametrize("name", SIGNALS)
def test_the_first_is_noted_and_the_second_raised(loop, name, capfd):
    run, seen = loop
    with pytest.raises(KeyboardInterrupt):
        run(name, name, name)
    assert seen == [True]
    assert "once more" in capfd.readouterr().err


def test_one_that_nobody_looked_at_is_raised_at_the_end(loop):
    run, seen = loop
    with pytest.raises(KeyboardInterrupt):
        run(signal.SIGINT)
    assert seen == [True]


def test_an_error_of_the_loop_comes_first(loop):
    run, _ = loop
    with pytest.raises(ValueError, match="of the loop"):
        run(signal.SIGINT, error=ValueError("of the loop"))


def test_handlers_are_as_before():
    before = [signal.getsignal(name) for name in SIGNALS]
    with held_back():
        assert [signal.getsignal(name) for name in SIGNALS] != before
    assert [signal.getsignal(name) for name in SIGNALS] == before


def test_only_the_first_process_says_so(loop, monkeypatch, capfd):
    run, _ = loop
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with pytest.raises(KeyboardInterrupt):
        run(signal.SIGINT)
    assert not capfd.readouterr().err


def test_a_closed_stderr_is_no_fault(loop, monkeypatch):
    def fail(*_):
        raise BrokenPipeError

    run, seen = loop
    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        run(signal.SIGINT)
    assert seen == [True]


def test_a_thread_which_signals_do_not_reach_holds_nothing_back(loop):
    run, seen = loop
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()
    assert not seen
