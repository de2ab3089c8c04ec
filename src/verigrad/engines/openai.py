"""Any endpoint that speaks the chat-completions protocol: for judges, teachers and baselines, not for training."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from verigrad.engines.base import Completion, Request
from verigrad.errors import EngineError, MissingExtra
from verigrad.types import StopReason

if TYPE_CHECKING:
    import httpx
    from torch import Tensor

__all__ = ["OpenAIEngine"]

_STOP_REASONS: MappingProxyType[str | None, StopReason] = MappingProxyType(
    {"stop": "stop", "length": "length", "tool_calls": "tool_stop", "function_call": "tool_stop", None: "stop"}
)
_MAX_WAIT_S = 60.0


class OpenAIEngine:
    """Sends a request's messages to `{base_url}/chat/completions`; texts come back without ids or log-probs.

    Threads do the waiting, so the engine serves any number of event loops. Answers 429 and 5xx, time-outs and
    broken connections are tried again with doubling pauses (or the server's `Retry-After`, up to a minute);
    any other answer that is not a completion fails at once. The key is in no message, log or `repr`.

    `stop_ids` are not sent: the endpoint ends on its own end ids.

    Args:
        base_url: such as `http://localhost:8000/v1`.
        model: as the endpoint names it.
        api_key: sent as a bearer token; None sends none.
        max_concurrency: requests in flight at most.
        timeout_s: for connecting, and for each wait for the answer's next bytes.
        retries: tries after the first.
        backoff_s: first pause between tries.

    Raises:
        MissingExtra: httpx is not installed.
    """

    exact: bool = False

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        max_concurrency: int = 8,
        timeout_s: float = 120.0,
        retries: int = 4,
        backoff_s: float = 1.0,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("httpx", "openai") from error
        self._model, self._api_key = model, api_key
        self._retries, self._backoff_s = retries, backoff_s
        self._url = httpx.URL(base_url.rstrip("/") + "/chat/completions")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Limits(max_connections=max_concurrency)
        self._client = httpx.Client(headers=headers, timeout=timeout_s, limits=limits)
        self._threads = ThreadPoolExecutor(max_concurrency, thread_name_prefix="openai-engine")
        self._closed = threading.Event()

    async def sample(self, request: Request) -> Completion:
        body = self._body(request)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._complete, body)

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        raise EngineError(
            f"cannot send weights of {policy!r} to {self._where}: an endpoint serves its own; "
            f"train with an exact engine (local, denoise or vllm)"
        )

    async def close(self) -> None:
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    @property
    def _where(self) -> str:
        """The endpoint without what a URL may hold of secrets."""
        return f"{self._url.scheme}://{self._url.netloc.decode()}{self._url.path}"

    def _body(self, request: Request) -> dict[str, Any]:
        params = request.params
        if not request.messages:
            raise EngineError("an endpoint takes messages, got a request without any; give `Request.messages`")
        if params.top_k or params.kept:
            raise EngineError(
                f"the chat-completions protocol has no top_k and reports no kept sets, got top_k={params.top_k} and "
                f"kept={params.kept}; leave both off, or use an exact engine (local or vllm)"
            )
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_tokens,
            "seed": request.seed,
        }
        return body | {"stop": list(params.stop)} if params.stop else body

    def _complete(self, body: dict[str, Any]) -> Completion:
        """Ask until there is an answer, the answer is final or the tries are used up; runs in a thread."""
        import httpx

        for attempt in range(self._retries + 1):
            wait = self._backoff_s * 2**attempt
            try:
                response = self._client.post(self._url, json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return self._read(response)
                problem = f"status {response.status_code}: {response.text[:300]}"
                if response.status_code != 429 and response.status_code < 500:
                    raise self._error(problem)
                wait = max(wait, _retry_after(response))
            if attempt < self._retries and self._closed.wait(min(wait, _MAX_WAIT_S)):
                raise self._error("the engine was closed")
        raise self._error(f"{problem} (after {self._retries + 1} tries)")

    def _read(self, response: httpx.Response) -> Completion:
        try:
            choice = response.json()["choices"][0]
            text, finish_reason = choice["message"]["content"] or "", choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._error(f"wanted a chat completion, got {response.text[:300]!r}") from None
        if not isinstance(text, str) or finish_reason not in _STOP_REASONS:
            raise self._error(f"wanted a text, got content {text!r:.300} with finish_reason {finish_reason!r}")
        return Completion(ids=(), sampler_logprobs=(), text=text, stop_reason=_STOP_REASONS[finish_reason])

    def _error(self, problem: str) -> EngineError:
        # Some servers repeat the key they refuse.
        hidden = problem.replace(self._api_key, "[key]") if self._api_key else problem
        return EngineError(f"no completion from {self._where}: {hidden}")


def _retry_after(response: httpx.Response) -> float:
    """Seconds the server asks to wait; 0 where it does not say, or says a date."""
    try:
        return float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
