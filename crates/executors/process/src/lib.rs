//! Trainers in any language, as child processes.
