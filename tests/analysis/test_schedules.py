import pytest

from cartwheel.analysis.schedules import top_average
from cartwheel.analysis.tables import ranking, schedule_of
from made_up_study import made_up_study


def test_the_average_of_the_best_lineages() -> None:
    tables = made_up_study()
    first, second = (schedule_of(tables, segment) for segment in ranking(tables)[:2])
    assert all(top_average(tables, 1).config_at(e) == first.config_at(e) for e in range(1, first.num_episodes + 1))
    both = top_average(tables, 2)
    for episode in range(1, min(first.num_episodes, second.num_episodes) + 1):
        rates = [float(schedule.config_at(episode)["learning_rate"]) for schedule in (first, second)]
        assert both.config_at(episode)["learning_rate"] == pytest.approx(sum(rates) / 2)


def test_none_is_refused() -> None:
    with pytest.raises(ValueError, match="num_top must be at least 1"):
        top_average(made_up_study(), 0)
