"""`answers:` in siyu.yaml: how the bot answers what no rule does."""

from __future__ import annotations

from pydantic import Field

from sop.conditions import Definition
from sop.times import DAY, SECOND, Duration

INTENTS, MOODS = "诉求", "情绪"
"""Tag groups that the bot fills in by itself where the operator declares them."""


class Words(Definition):
    """Words of the operator's own that tell what somebody is after."""

    咨询: tuple[str, ...] = ()
    意向: tuple[str, ...] = ()
    投诉: tuple[str, ...] = ()
    闲聊: tuple[str, ...] = ()


class Budget(Definition):
    """Questions that may be put to the model in a calendar day."""

    contact: int = Field(default=20, ge=0)
    account: int = Field(default=500, ge=0)


class ModelSettings(Definition):
    """A language model behind an OpenAI-compatible address."""

    url: str = Field(
        pattern=r"^https?://\S+$", description="http(s) 地址，如 https://api.deepseek.com/v1"
    )
    name: str = Field(min_length=1, description="模型的名字，如 deepseek-chat")
    key: str = Field(default="", repr=False)
    timeout: Duration = 20 * SECOND
    at_once: int = Field(default=4, ge=1, le=32, description="1 到 32 的整数")
    per_day: Budget = Budget()
    longest: int = Field(default=300, ge=20, le=2_000, description="20 到 2000 的整数")


class EmbeddingSettings(Definition):
    """A server of embeddings behind an OpenAI-compatible address."""

    url: str = Field(
        pattern=r"^https?://\S+$", description="http(s) 地址，如 https://api.openai.com/v1"
    )
    name: str = Field(min_length=1, description="向量模型的名字，如 text-embedding-3-small")
    key: str = Field(default="", repr=False)
    timeout: Duration = 3 * SECOND
    at_once: int = Field(default=4, ge=1, le=32, description="1 到 32 的整数")


class Answers(Definition):
    """How the bot answers from what the operator knows."""

    hold: str = "这个我去问一下，稍后回你～"
    persona: str = ""
    forbid: tuple[str, ...] = ()
    complaint: Duration = 3 * DAY
    model: ModelSettings | None = None
    embeddings: EmbeddingSettings | None = None
