"""The model card in an exported agent's folder: what it is, what it scored, how it was found, what it is not for.

``README.md`` with the header that model hubs read (after Mitchell et al. 2019), ``schedule.json``, with which
``cartwheel train --schedule`` trains another one, and the figure of the learning curves. All sentences are made from
the study's numbers.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from cartwheel.analysis.tables import (
    StudyTables,
    counts,
    incumbent,
    incumbent_score,
    schedule_of,
    trial_noun,
    validation_means,
)
from cartwheel.analysis.wording import plural
from cartwheel.records import Config
from cartwheel.report import sentences
from cartwheel.report.exhibits import exhibits, write_exhibit
from cartwheel.store.run_folder import write_text

CARD, SCHEDULE, FIGURE = "README.md", "schedule.json", "learning-curves"


def write_model_card(folder: Path, tables: StudyTables) -> None:
    """Write them beside the agent of the incumbent. Raises StorageError; ValueError if there is no incumbent."""
    best = incumbent(tables)
    if best is None:
        raise ValueError("a study without a finished segment has no agent")
    write_text(folder / SCHEDULE, schedule_of(tables, best).to_text())
    for exhibit in exhibits(tables):
        if exhibit.name == FIGURE:
            write_exhibit(folder, exhibit)
    write_text(folder / CARD, card(tables))


def card(tables: StudyTables) -> str:
    """The text of ``README.md``, for a study with an incumbent."""
    return "\n".join([*_header(tables), *_body(tables)]) + "\n"


def _header(tables: StudyTables) -> Iterator[str]:
    """YAML, in which a JSON string is a string."""
    best, env_id = incumbent(tables), json.dumps(str(tables.meta["env_id"]))
    assert best is not None
    means = validation_means(tables)
    name, value = (
        ("validation return", means[best]) if best in means else ("score in training", incumbent_score(tables))
    )
    yield "---"
    yield "library_name: cartwheel"
    yield "tags: [reinforcement-learning, model-based-reinforcement-learning, pets]"
    yield "model-index:"
    yield f"  - name: {json.dumps(str(tables.meta['name']))}"
    yield "    results:"
    yield "      - task: {type: reinforcement-learning, name: reinforcement-learning}"
    yield f"        dataset: {{name: {env_id}, type: {env_id}}}"
    yield f"        metrics: [{{type: mean_reward, name: mean {name}, value: {value!r}}}]"
    yield "---"


def _body(tables: StudyTables) -> Iterator[str]:
    best, counted, meta = incumbent(tables), counts(tables), tables.meta
    assert best is not None
    segment = tables.segments[best]
    tuner = f"tuned by {meta['tuner']}" if "tuner" in meta else "trained under a given schedule"
    yield f"# {meta['name']}: a PETS agent for {meta['env_id']}\n"
    yield "An ensemble of neural networks that predicts the environment, and a planner that looks ahead in it."
    yield f"It was {tuner} with Cartwheel.\n"
    yield "## How good it is\n"
    yield sentences.learning_curves(tables, None) + "\n"
    yield f"![Returns over episodes]({FIGURE}.svg)\n"
    yield "The training score is optimistic, for the agent was selected by it. This is one agent: another one trained"
    yield "under the same hyperparameters returns more or less (`cartwheel rerun` says how much).\n"
    yield "## How it came about\n"
    yield f"- Study: {plural(counted.num_trials, trial_noun(tables))}, {plural(counted.num_episodes, 'episode')},"
    yield f"  {counted.env_steps + counted.evaluation_env_steps:,} env steps in all, seed {meta['seed']}."
    yield f"- This agent: {plural(segment.stop, 'model-driven episode')}. {sentences.hyperparameters(tables)}"
    yield f"- Its schedule of hyperparameters is `{SCHEDULE}`. They ended at:\n"
    yield from _table(segment.config)
    yield "\n## How to use it\n"
    yield '```python\nfrom cartwheel import Agent\n\nagent = Agent.load(".")  # this folder\nagent.reset(seed=0)'
    yield "action = agent.act(obs)  # once per env step; reset again when an episode begins\n```\n"
    yield "`cartwheel evaluate FOLDER --episodes 10` plays it. It takes the observations of Cartwheel's task"
    yield f"{meta['env_id']}, which may be others than a Gymnasium environment of that name gives by default."
    yield "A task of your own must be registered first, or given by `--task-file`.\n"
    yield "## What it is not for\n"
    yield "- Anything but the task it was trained on: its model knows only what its own episodes have shown."
    yield "- Real machines without a guard: a planner exploits what its model, or a simulator, has wrong."
    yield "- Bit-identical actions elsewhere: other versions, processors or GPUs round differently.\n"
    yield "## Made with\n"
    yield ", ".join(f"{name} {version}" for name, version in tables.environment.items())


def _table(config: Config) -> Iterator[str]:
    if not config:
        yield "  the agent's defaults"
        return
    yield "| hyperparameter | value |\n|---|--:|"
    yield from (f"| {name} | {sentences.value(value)} |" for name, value in config.items())
