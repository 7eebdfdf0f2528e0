"""The names that Ray's vLLM stage mentions when it is imported."""


class Tensor:
    pass


bfloat16, float32 = "bfloat16", "float32"
