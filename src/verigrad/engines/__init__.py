"""Engines generate completions; each file is one way of doing it. `base` holds the contract."""

__all__ = ["ENGINES"]

ENGINES = {
    "local": "verigrad.engines.local:LocalEngine",
    "denoise": "verigrad.engines.diffusion:DenoiseEngine",
    "openai": "verigrad.engines.openai:OpenAIEngine",
    "scripted": "verigrad.engines.scripted:ScriptedEngine",
    "vllm": "verigrad.engines.vllm:VLLMEngine",
}
