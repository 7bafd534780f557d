"""Language models and embeddings behind OpenAI-compatible addresses. The only home of `openai`.

Nothing of what is asked or answered, and no key, is ever logged or put into an error's text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, cast

import httpx2
import openai

from bot.meaning import Vector, read_vectors
from bot.model import SCHEMA, ModelTrouble, Prompt, Said, read_said
from sop.answers import EmbeddingSettings, ModelSettings

log = logging.getLogger("siyu.llm")
MOST_BYTES = 1_000_000  # of one answer; what is longer is cut off before it fills the memory
MOST_CHARS = 20_000
PATIENCE = 10.0  # seconds that a Retry-After may ask for; who wants more is left alone
BREATH = 1.0  # seconds before the one retry when nothing is said
_FORMS: tuple[dict[str, Any], ...] = (
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
        }
    },
    {"response_format": {"type": "json_object"}},
    {},
)
"""How the form of the answer is asked for, from the strictest; a server that refuses one gets the
next from then on."""


class _Busy(Exception):
    """Worth one more try after `wait` seconds."""

    def __init__(self, because: str, wait: float) -> None:
        super().__init__(because)
        self.because, self.wait = because, wait


class OpenAIModel:
    """One model at one address."""

    def __init__(self, settings: ModelSettings, *, breath: float = BREATH) -> None:
        """`breath`: seconds before the one retry."""
        self.name = settings.name
        self._timeout = settings.timeout / 1000
        self._breath = breath
        self._longest = settings.longest
        self._form = 0
        self._client = _client(settings.url, settings.key, self._timeout)

    async def ask(self, prompt: Prompt) -> Said:
        """Answer a prompt, with one retry where the server asks for it."""
        try:
            return await self._once(prompt)
        except _Busy as busy:
            if busy.wait > PATIENCE:
                raise ModelTrouble(f"{busy.because}，还要等 {busy.wait:.0f} 秒") from None
            await asyncio.sleep(busy.wait)
        try:
            return await self._once(prompt)
        except _Busy as busy:
            raise ModelTrouble(f"{busy.because}，又试了一次还是这样") from None

    async def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            await self._client.close()

    async def _once(self, prompt: Prompt) -> Said:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._formed(prompt)
        except (TimeoutError, openai.APITimeoutError):
            raise ModelTrouble(f"模型 {self._timeout:g} 秒没有答完") from None
        except openai.APIStatusError as error:
            raise self._status(error) from None
        except openai.APIConnectionError:
            raise _Busy("连不上模型", self._breath) from None
        except (ModelTrouble, _Busy):
            raise
        except Exception as error:
            # A server that is none: whatever its bytes lead to, it is not an answer.
            log.warning("the model's answer could not be read: %s", type(error).__name__)
            raise ModelTrouble(f"模型的回答读不懂（{type(error).__name__}）") from None

    async def _formed(self, prompt: Prompt) -> Said:
        while True:
            try:
                return await self._stream(prompt, _FORMS[self._form])
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                if self._form + 1 == len(_FORMS):
                    raise
                self._form += 1

    async def _stream(self, prompt: Prompt, form: dict[str, Any]) -> Said:
        stream = await self._client.chat.completions.create(
            model=self.name,
            messages=[
                {"role": "system", "content": prompt.instructions},
                {"role": "user", "content": prompt.data},
            ],
            stream=True,
            temperature=0.2,
            max_tokens=4 * self._longest,
            **form,
        )
        async with stream:
            text, finished, tokens = await _gather(cast(Any, stream))
        if finished == "content_filter":
            raise ModelTrouble("模型拒绝回答")
        if finished == "length":
            raise ModelTrouble("模型的回答太长，没有说完")
        if finished is None:
            raise ModelTrouble("模型的回答说到一半断了")
        return read_said(text, tokens=tokens)

    def _status(self, error: openai.APIStatusError) -> Exception:
        code = error.status_code
        if code == 429 or code >= 500:
            because = "模型说太忙" if code == 429 else f"模型的服务出错（{code}）"
            return _Busy(because, _retry_after(error, self._breath))
        told = {401: "模型不认这把钥匙", 403: "模型不让用", 404: "没有这个模型，或者地址不对"}
        return ModelTrouble(told.get(code, f"模型拒绝了请求（{code}）"))


class OpenAIEmbedder:
    """Embeddings of one model at one address. Never asked twice: who waits has words to go by."""

    def __init__(self, settings: EmbeddingSettings) -> None:
        self.name = f"{settings.name} {settings.url}"
        self._model = settings.name
        self._timeout = settings.timeout / 1000
        self._client = _client(settings.url, settings.key, self._timeout)

    async def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        """A vector for each text. Raises `ModelTrouble` with the reason when there is none."""
        try:
            async with asyncio.timeout(self._timeout):
                made = await self._client.embeddings.create(
                    model=self._model, input=list(texts), encoding_format="float"
                )
            ordered = sorted(made.data, key=lambda one: one.index)
            return read_vectors([one.embedding for one in ordered], len(texts))
        except (TimeoutError, openai.APITimeoutError):
            raise ModelTrouble(f"向量服务 {self._timeout:g} 秒没有回答") from None
        except openai.APIStatusError as error:
            raise ModelTrouble(f"向量服务拒绝了请求 {error.status_code}") from None
        except openai.APIConnectionError:
            raise ModelTrouble("连不上向量服务") from None
        except ModelTrouble:
            raise
        except Exception as error:
            # As with a model: whatever a server's bytes lead to, it is no answer.
            log.warning("the embeddings could not be read: %s", type(error).__name__)
            raise ModelTrouble(f"向量服务的回答读不懂 {type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            await self._client.close()


def _client(url: str, key: str, timeout: float) -> openai.AsyncOpenAI:
    # Quiet by itself: its debug lines would hold whole conversations.
    for name in ("openai", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    http = httpx2.AsyncClient(transport=_Bounded(httpx2.AsyncHTTPTransport()), timeout=timeout)
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=key or "none",
        organization="",
        project="",
        timeout=timeout,
        max_retries=0,
        http_client=cast(Any, http),
    )


async def _gather(stream: AsyncIterator[Any]) -> tuple[str, str | None, tuple[int, int]]:
    """The streamed text, why it ended (None: it broke off), and the tokens if they were told."""
    pieces: list[str] = []
    length, finished, tokens = 0, None, (0, 0)
    async for chunk in stream:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            tokens = (int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0))
        for choice in (getattr(chunk, "choices", None) or ())[:1]:
            if getattr(choice.delta, "refusal", None):
                raise ModelTrouble("模型拒绝回答")
            pieces.append(choice.delta.content or "")
            length += len(pieces[-1])
            finished = choice.finish_reason or finished
        if length > MOST_CHARS:
            raise ModelTrouble("模型的回答长得不像话，没有听完")
    return "".join(pieces), finished, tokens


def _retry_after(error: openai.APIStatusError, otherwise: float) -> float:
    try:
        return max(0.0, float(error.response.headers["retry-after"]))
    except (KeyError, ValueError):
        return otherwise


class _Bounded(httpx2.AsyncBaseTransport):
    """A transport whose answers end at `MOST_BYTES`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and watch what comes."""
        response = await self._inner.handle_async_request(request)
        response.stream = _Watched(cast(httpx2.AsyncByteStream, response.stream))
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Watched(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, up to the bound."""
        seen = 0
        async for piece in self._inner:
            seen += len(piece)
            if seen > MOST_BYTES:
                raise ModelTrouble("模型的回答长得不像话，没有听完")
            yield piece

    async def aclose(self) -> None:
        """Close the answer."""
        await self._inner.aclose()
