"""Stand-ins for Ray Tune's trial and controller, as far as its schedulers look at them: so no cluster has to run.

Runs in Ray's own environment. That the schedulers decide the same in a real run of Tune is checked by
``observe.real_run``.
"""

from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial


class StandInTrial:
    """Of ``ray.tune.experiment.Trial`` what PopulationBasedTraining and HyperBandScheduler read and write."""

    def __init__(self, number: int, config: dict[str, Any], folder: str = ".") -> None:
        self.number, self.config = number, config
        self.trial_id, self.experiment_tag = f"stand_in_{number:05d}", f"{number}_first"
        self.local_experiment_path = self.local_dir = folder
        self.status = Trial.PENDING
        self.last_result: dict[str, Any] = {}
        self.evaluated_params: dict[str, Any] = {}
        self.checkpoint = "a checkpoint"
        self.is_saving = False
        self.temporary_state = SimpleNamespace(saving_to=None)
        kept = SimpleNamespace(num_to_keep=None)
        self.run_metadata = SimpleNamespace(checkpoint_manager=SimpleNamespace(checkpoint_config=kept))

    def is_finished(self) -> bool:
        return self.status in (Trial.ERROR, Trial.TERMINATED)

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config

    def set_experiment_tag(self, tag: str) -> None:
        self.experiment_tag = tag


class StandInController:
    """Of Ray's ``TuneController`` what the schedulers call; stopping and pausing take effect at once."""

    def __init__(self, scheduler: Any, trials: list[StandInTrial]) -> None:
        self.scheduler, self.trials, self.search_alg = scheduler, trials, None
        for trial in trials:
            scheduler.on_trial_add(self, trial)

    def get_trials(self) -> list[StandInTrial]:
        return self.trials

    def get_live_trials(self) -> list[StandInTrial]:
        return [trial for trial in self.trials if not trial.is_finished()]

    def pause_trial(self, trial: StandInTrial, should_checkpoint: bool = True) -> None:  # noqa: ARG002 - as Ray calls it
        trial.status = Trial.PAUSED

    def stop_trial(self, trial: StandInTrial) -> None:
        if trial.status in (Trial.PENDING, Trial.PAUSED):
            self.scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def _schedule_trial_save(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(resolve=lambda: None)

    def report(self, trial: StandInTrial, iteration: int, score: float) -> str:
        """One result of a running trial, and what the scheduler wants done with it."""
        result = {"training_iteration": iteration, "score": score}
        trial.status = Trial.RUNNING
        decision: str = self.scheduler.on_trial_result(self, trial, result)
        # as in Ray, the trial learns of its result after the scheduler has
        trial.last_result = result
        if decision == self.scheduler.PAUSE:
            trial.status = Trial.PAUSED
        if decision == self.scheduler.STOP:
            trial.status = Trial.TERMINATED
        return decision
