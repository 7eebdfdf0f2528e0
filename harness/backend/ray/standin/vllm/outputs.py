import dataclasses
from typing import Any, List, Optional


@dataclasses.dataclass
class CompletionOutput:
    text: str
    token_ids: List[int]
    logprobs: Optional[Any] = None


@dataclasses.dataclass
class RequestOutput:
    request_id: str
    prompt: Optional[str]
    prompt_token_ids: List[int]
    outputs: List[CompletionOutput]
    finished: bool
    metrics: Optional[Any] = None
    prompt_logprobs: Optional[Any] = None


class PoolingRequestOutput:
    pass
