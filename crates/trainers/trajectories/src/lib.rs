//! What agents did, as data to learn from: trajectories, tasks, a privacy filter, datasets.
