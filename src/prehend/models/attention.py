"""The attention block of the hand-object fusion (PAPER_FACTS 1.1; UniHOPE eq. 3)."""

import torch
from torch import Tensor, nn

from prehend.models.blocks import Activation


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
        cells: number of cells of both maps for a learned position per cell, 0 for none (as in the paper). The
            position enters query and key, not the value.
    """

    def __init__(
        self,
        query_channels: int,
        context_channels: int,
        channels: int,
        heads: int,
        mlp_ratio: int,
        act: Activation,
        cells: int = 0,
    ):
        super().__init__()
        self.channels, self.heads = channels, heads
        self.query = nn.Linear(query_channels, channels)
        self.key = nn.Linear(context_channels, channels)
        self.value = nn.Linear(context_channels, channels)
        self.position = nn.Parameter(torch.randn(2, cells, channels) * 0.02) if cells else None
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels * mlp_ratio),
            act(),
            nn.Linear(channels * mlp_ratio, channels),
        )

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, N, C) -> (B, heads, N, C / heads)."""
        return tokens.unflatten(2, (self.heads, self.channels // self.heads)).transpose(1, 2)

    def forward(self, query_map: Tensor, context_map: Tensor) -> Tensor:
        """(B, Cq, R, R), (B, Cc, R, R) -> (B, channels, R, R)."""
        query_tokens = query_map.flatten(2).transpose(1, 2)
        context_tokens = context_map.flatten(2).transpose(1, 2)
        query, key = self.query(query_tokens), self.key(context_tokens)
        if self.position is not None:
            query, key = query + self.position[0], key + self.position[1]
        query, key, value = self._split(query), self._split(key), self._split(self.value(context_tokens))
        scale = (self.channels // self.heads) ** -0.5
        weights = torch.softmax((query * scale) @ key.transpose(2, 3), dim=-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        tokens = query_tokens[..., : self.channels] + mixed
        tokens = tokens + self.mlp(tokens)
        return tokens.transpose(1, 2).unflatten(2, query_map.shape[-2:])
