"""The names that Ray's vLLM stage mentions when it is imported."""

import os
import tempfile


class Tensor:
    pass


bfloat16, float32 = "bfloat16", "float32"


class hub:
    @staticmethod
    def _get_torch_home():
        return os.path.join(tempfile.gettempdir(), "no-torch")
