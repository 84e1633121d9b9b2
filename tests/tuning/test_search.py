"""The settings that a search tries, and the one that wins, on simulated machines."""

from collections.abc import Callable

import pytest

from tfx_export import wire
from tfx_export.load.generator import Measurement
from tfx_export.tuning.search import best, search
from tfx_export.tuning.setting import Setting, Trial

Machine = Callable[[Setting], Measurement | None]


def tried(machine: Machine, engines: tuple[str, ...] = ("tensorflow",), max_p99: float | None = None) -> list[Trial]:
    """Returns the trials of a complete search with 32 clients on two cores."""
    trials = []
    questions = search(engines, cores=2, clients=32, max_p99=max_p99)
    try:
        setting = next(questions)
        while True:
            measured = machine(setting)
            if measured:
                trials.append(Trial(setting, measured))
            setting = questions.send(measured)
    except StopIteration:
        return trials


def batching_hurts(setting: Setting) -> Measurement:
    return Measurement(50 if setting.max_batch_size else 100, 1, 2)


def eight_is_best(setting: Setting) -> Measurement:
    rate = {0: 100, 4: 200, 8: 300, 16: 250, 32: 240}[setting.max_batch_size]
    return Measurement(rate + 100 * (setting.threads == 1), 1, 2 + setting.timeout_micros / 1000)


def litert_is_quicker(setting: Setting) -> Measurement:
    return Measurement(1000 if setting.engine == "litert" else 100, 1, 2)


def patience_pays(setting: Setting) -> Measurement:
    return Measurement(100 + setting.max_batch_size + setting.timeout_micros / 10, 1, 2 + setting.timeout_micros / 1000)


def no_batching_possible(setting: Setting) -> Measurement | None:
    return None if setting.max_batch_size else Measurement(100, 1, 2)


def tensorflow_fails(setting: Setting) -> Measurement | None:
    return None if setting.engine == "tensorflow" else litert_is_quicker(setting)


BOTH = ("tensorflow", "litert")


@pytest.mark.parametrize(
    ("machine", "engines", "max_p99", "winner"),
    [
        (batching_hurts, ("tensorflow",), None, Setting("tensorflow")),
        (eight_is_best, ("tensorflow",), None, Setting("tensorflow", 8, 0, 1)),
        (litert_is_quicker, BOTH, None, Setting("litert")),
        (patience_pays, ("tensorflow",), None, Setting("tensorflow", 32, 5000, 2)),
        (patience_pays, ("tensorflow",), 3.0, Setting("tensorflow", 32, 500, 2)),
        (no_batching_possible, ("tensorflow",), None, Setting("tensorflow")),
        (tensorflow_fails, BOTH, None, Setting("litert")),
    ],
)
def test_the_best_setting_wins(
    machine: Machine, engines: tuple[str, ...], max_p99: float | None, winner: Setting
) -> None:
    trials = tried(machine, engines, max_p99)
    assert best(trials, max_p99).setting == winner


def test_the_batch_size_stops_growing_when_it_no_longer_helps() -> None:
    sizes = [trial.setting.max_batch_size for trial in tried(batching_hurts)]
    assert max(sizes) == 16


def test_no_setting_is_tried_twice() -> None:
    settings = [trial.setting for trial in tried(eight_is_best, BOTH)]
    assert len(settings) == len(set(settings))


def test_each_engine_is_also_tried_with_batching() -> None:
    settings = [trial.setting for trial in tried(eight_is_best, BOTH)]
    assert {setting.engine for setting in settings if setting.max_batch_size} == set(BOTH)


def test_a_search_finds_nothing_if_no_server_starts() -> None:
    assert tried(lambda setting: None) == []


def test_the_fastest_setting_wins_if_none_meets_the_latency_limit() -> None:
    trials = [Trial(Setting("a"), Measurement(100, 5, 9)), Trial(Setting("b"), Measurement(50, 4, 8))]
    assert best(trials, max_p99=1).setting.engine == "b"


@pytest.mark.parametrize(("rate", "winner"), [(104, "simple"), (110, "involved")])
def test_a_gain_within_the_noise_does_not_beat_a_simpler_setting(rate: float, winner: str) -> None:
    trials = [Trial(Setting("simple"), Measurement(100, 1, 2)), Trial(Setting("involved"), Measurement(rate, 1, 2))]
    assert best(trials).setting.engine == winner


def test_the_parameters_are_a_valid_batching_file() -> None:
    parameters = wire.parse_text(wire.BatchingParameters, Setting("tensorflow", 4, 500, 2).parameters(clients=32))
    assert {field.name: value.value for field, value in parameters.ListFields()} == {
        "max_batch_size": 4,
        "batch_timeout_micros": 500,
        "max_enqueued_batches": 16,
        "num_batch_threads": 2,
    }
