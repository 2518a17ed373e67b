//! elizaOS's trajectories and datasets: which there are, where their files lie, and how agents are trained on them.

mod catalog;
