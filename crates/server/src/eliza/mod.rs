//! elizaOS.

#[cfg_attr(not(test), expect(dead_code, reason = "the rest of this folder will import models by it"))]
mod ollama;
