"""Any endpoint that speaks the chat-completions protocol: for judges, teachers and baselines, not for training."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from verigrad.engines.base import Completion, Request
from verigrad.engines.loop_thread import LoopThread
from verigrad.errors import ConfigError, EngineError, MissingExtra
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

    A loop of its own does the waiting, so the engine serves any number of event loops; a request that its caller gives
    up is given up, and its place is free. Answers 429 and 5xx, time-outs and broken connections or contents are tried
    again with doubling pauses (or the server's `Retry-After`, up to a minute); any other answer that is not a
    completion fails at once. The key is in no message, log or `repr`.

    `stop_ids` are not sent: the endpoint ends on its own end ids.

    Args:
        base_url: such as `http://localhost:8000/v1`.
        model: as the endpoint names it.
        api_key: sent as a bearer token, without white space around it; None sends none.
        max_concurrency: requests in flight at most.
        timeout_s: for connecting, and for each wait for the answer's next bytes.
        retries: tries after the first.
        backoff_s: first pause between tries.

    Raises:
        MissingExtra: httpx is not installed.
        ConfigError: the address is not one of http or https, or the key cannot be sent.
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
        self._model, self._api_key = model, _sendable(api_key or "")
        self._retries, self._backoff_s = retries, backoff_s
        try:
            self._url = httpx.URL(base_url.rstrip("/") + "/chat/completions")
        except httpx.InvalidURL:
            self._url = httpx.URL("")
        if self._url.scheme not in ("http", "https") or not self._url.host:
            shown = base_url.rpartition("@")[2]  # a name and password may stand before it
            raise ConfigError(
                f"base_url is {shown!r}; wanted http:// or https:// and a host, such as http://localhost:8000/v1"
            )
        headers = {"Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        limits = httpx.Limits(max_connections=max_concurrency)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout_s, limits=limits)
        self._places = asyncio.Semaphore(max_concurrency)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = LoopThread("openai-engine")
        self._closed = False

    async def sample(self, request: Request) -> Completion:
        if self._closed:
            raise EngineError("the engine is closed")
        body = self._body(request)
        return await self._loop.call(self._complete(body))

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        raise EngineError(
            f"cannot send weights of {policy!r} to {self._where}: an endpoint serves its own; "
            f"train with an exact engine (local, denoise or vllm)"
        )

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._loop.call(self._give_up())
            self._loop.stop()

    @property
    def _where(self) -> str:
        """The endpoint without what a URL may hold of secrets."""
        return f"{self._url.scheme}://{self._url.netloc.decode()}{self._url.path}"

    def _body(self, request: Request) -> bytes:
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
        if params.stop:
            body["stop"] = list(params.stop)
        try:
            return json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise EngineError(
                f"a request holds {error.object[error.start : error.end]!r}, half a character, which cannot be sent; "
                "mend the text it came from"
            ) from error

    # What follows runs in the engine's own loop.

    async def _complete(self, body: bytes) -> Completion:
        task = asyncio.current_task()
        assert task is not None
        if self._closed:  # between the question and its turn
            raise self._error("the engine was closed")
        self._tasks.add(task)
        try:
            async with self._places:
                return await self._ask(body)
        except asyncio.CancelledError:
            if self._closed:  # its caller was not cancelled
                raise self._error("the engine was closed") from None
            raise
        finally:
            self._tasks.discard(task)

    async def _give_up(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self, body: bytes) -> Completion:
        """Ask until there is an answer, the answer is final or the tries are used up."""
        import httpx

        for attempt in range(self._retries + 1):
            wait = self._backoff_s * 2**attempt
            try:
                response = await self._client.post(self._url, content=body)
            except httpx.RequestError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return self._read(response)
                problem = f"status {response.status_code}: {response.text[:300]}"
                if response.status_code != 429 and response.status_code < 500:
                    raise self._error(problem)
                wait = max(wait, _retry_after(response))
            if attempt < self._retries:
                await asyncio.sleep(min(wait, _MAX_WAIT_S))
        raise self._error(f"{problem} (after {self._retries + 1} tries)")

    def _read(self, response: httpx.Response) -> Completion:
        try:
            choice = response.json()["choices"][0]
            text, finish_reason = choice["message"]["content"] or "", choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._error(f"wanted a chat completion, got {response.text[:300]!r}") from None
        known = isinstance(finish_reason, str | None) and finish_reason in _STOP_REASONS
        if not isinstance(text, str) or not known:
            raise self._error(f"wanted a text, got content {text!r:.300} with finish_reason {finish_reason!r}")
        return Completion(ids=(), sampler_logprobs=(), text=text, stop_reason=_STOP_REASONS[finish_reason])

    def _error(self, problem: str) -> EngineError:
        # Some servers repeat the key they refuse.
        hidden = problem.replace(self._api_key, "[key]") if self._api_key else problem
        return EngineError(f"no completion from {self._where}: {hidden}")


def _sendable(api_key: str) -> str:
    """The key without white space around it, which files end in; a ConfigError, without the key, if a header cannot
    hold it."""
    key = api_key.strip()
    if not all("!" <= character <= "~" for character in key):
        raise ConfigError(
            "the API key has spaces inside or characters other than printable ASCII, which a header cannot hold; was "
            "more copied than the key?"
        )
    return key


def _retry_after(response: httpx.Response) -> float:
    """Seconds the server asks to wait; 0 where it does not say, or says a date."""
    try:
        return float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
