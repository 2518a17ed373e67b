//! LoRA adapters for a small language model, trained on the processor, and a benchmark.
