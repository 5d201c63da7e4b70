"""What planning, fitting and the study loop cost: docs/performance.md. Every script says its sizes, and takes --json.

    python -m benchmarks.speed.peers        plan step and epoch beside mbrl-lib's
    python -m benchmarks.speed.peak         plan step as a share of the machine's matrix products
    python -m benchmarks.speed.population   time per member of populations
    python -m benchmarks.speed.growth       time against rows, capacity, horizon, samples, iterations, epochs
    python -m benchmarks.speed.gpu          plan steps, fits and an episode on one GPU, in three precisions
    python -m benchmarks.speed.study_loop   tuner, store and study without any agent

What is compared is run in turns within one process, or by two processes that take turns, so that ratios hold on a
machine whose speed changes from minute to minute.
"""
