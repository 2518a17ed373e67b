//! Prompt optimisation against a language model that is reached over HTTP.
