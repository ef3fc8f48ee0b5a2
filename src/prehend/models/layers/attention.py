"""Attention: of the fusion of hand and object (docs/PAPERS.md 1.1; UniHOPE eq. 3), and between tokens of any kind."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.models.layers.blocks import Activation


class AttentionBlock(nn.Module):
    """Multi-head attention from query cells to context cells, residual, then a normalised MLP with a residual.

    The values are not projected after the heads are joined, and only the MLP's input is normalised (the form that
    HFL-Net and UniHOPE share). The residual runs over the first `channels` channels of the query: what the block's
    output does not carry on is not computed.

    Args:
        query_channels: channels of the query map, at least `channels`.
        context_channels: channels of the context map.
        channels: channels of the result, divisible by `heads`.
        heads: attention heads.
        mlp_ratio: width of the MLP over `channels`.
        act: activation of the MLP.
        size: cells on a side of both maps.
        pool: keys and values are averages over `pool` x `pool` cells; the paper has 1.
        learned_position: a learned position per cell enters query and key, not the value; the paper has none.
    """

    def __init__(
        self,
        query_channels: int,
        context_channels: int,
        channels: int,
        heads: int,
        mlp_ratio: int,
        act: Activation,
        size: int,
        pool: int = 1,
        learned_position: bool = False,
    ):
        super().__init__()
        self.channels, self.heads, self.size, self.pool = channels, heads, size, pool
        self.query = nn.Linear(query_channels, channels)
        self.key = nn.Linear(context_channels, channels)
        self.value = nn.Linear(context_channels, channels)
        self.query_position = self.key_position = None
        if learned_position:
            self.query_position = nn.Parameter(torch.randn(size**2, channels) * 0.02)
            self.key_position = nn.Parameter(torch.randn((size // pool) ** 2, channels) * 0.02)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels * mlp_ratio),
            act(),
            nn.Linear(channels * mlp_ratio, channels),
        )

    def _split(self, tokens: Tensor, side: int) -> Tensor:
        """(B, side^2, C) -> (B, heads, side^2, C / heads); sizes are given so that exported graphs hold constants."""
        return tokens.reshape(-1, side**2, self.heads, self.channels // self.heads).transpose(1, 2)

    def forward(self, query_map: Tensor, context_map: Tensor) -> Tensor:
        """(B, Cq, R, R), (B, Cc, R, R) -> (B, channels, R, R)."""
        query_tokens = query_map.reshape(-1, self.query.in_features, self.size**2).transpose(1, 2)
        side = self.size // self.pool
        if self.pool > 1:
            context_map = F.avg_pool2d(context_map, self.pool)
        context_tokens = context_map.reshape(-1, self.key.in_features, side**2).transpose(1, 2)
        query, key = self.query(query_tokens), self.key(context_tokens)
        if self.query_position is not None:
            query, key = query + self.query_position, key + self.key_position
        query, key = self._split(query, self.size), self._split(key, side)
        value = self._split(self.value(context_tokens), side)
        scale = (self.channels // self.heads) ** -0.5
        weights = torch.softmax((query * scale) @ key.transpose(2, 3), dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(-1, self.size**2, self.channels)
        tokens = query_tokens[..., : self.channels] + mixed
        tokens = tokens + self.mlp(tokens)
        return tokens.transpose(1, 2).reshape(-1, self.channels, self.size, self.size)


class TokenAttention(nn.Module):
    """Multi-head attention with a residual; queries are normalised.

    Args:
        channels: of the queries. context: of what is attended to, which comes normalised. heads: of attention.
    """

    def __init__(self, channels: int, context: int, heads: int):
        super().__init__()
        self.heads, self.width = heads, channels // heads
        self.norm = nn.LayerNorm(channels)
        self.query, self.join = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.key, self.value = nn.Linear(context, channels, bias=False), nn.Linear(context, channels)

    def _split(self, x: Tensor, count: int) -> Tensor:
        """(B, N, C) -> (B, heads, N, C / heads); sizes are given so that exported graphs hold constants."""
        return x.reshape(-1, count, self.heads, self.width).transpose(1, 2)

    def forward(self, x: Tensor, context: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        """(B, N, C), (B, M, D) or None for itself, (B, M) log weights or None -> (B, N, C)."""
        own = self.norm(x)
        seen = own if context is None else context
        queries, keys = x.shape[1], seen.shape[1]
        query, key = self._split(self.query(own), queries), self._split(self.key(seen), keys)
        logits = (query * self.width**-0.5) @ key.transpose(2, 3)
        if hidden is not None:
            logits = logits + hidden[:, None, None]
        mixed = torch.softmax(logits, -1) @ self._split(self.value(seen), keys)
        return x + self.join(mixed.transpose(1, 2).reshape(-1, queries, self.heads * self.width))
