//! Examples that need the server, the adapters and the trainers.
