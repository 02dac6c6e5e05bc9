"""The judgement: evidence, rules and the engine that makes one diagnosis of their findings."""
