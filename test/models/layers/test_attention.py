import torch
from torch import nn

from prehend.models.layers.attention import AttentionBlock


def block(position: bool = False, pool: int = 1) -> AttentionBlock:
    return AttentionBlock(8, 8, 4, 2, 2, nn.GELU, size=4, pool=pool, learned_position=position).eval()


def test_keeps_the_first_channels() -> None:
    assert block()(torch.rand(3, 8, 4, 4), torch.rand(3, 8, 4, 4)).shape == (3, 4, 4, 4)


def test_is_the_textbook_formula() -> None:
    """One query cell at a time, one head at a time."""
    attention, query, context = block(), torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4)
    tokens, others = query.flatten(2)[0].T, context.flatten(2)[0].T
    q, k, v = attention.query(tokens), attention.key(others), attention.value(others)
    rows = []
    for i in range(16):
        heads = [torch.softmax(k[:, h : h + 2] @ q[i, h : h + 2] / 2**0.5, dim=0) @ v[:, h : h + 2] for h in (0, 2)]
        mixed = tokens[i, :4] + torch.cat(heads)
        rows.append(mixed + attention.mlp(mixed))
    expected = torch.stack(rows).T.reshape(1, 4, 4, 4)
    torch.testing.assert_close(attention(query, context), expected, atol=1e-5, rtol=1e-5)


def test_context_is_a_set_without_positions_and_is_none_with_them() -> None:
    query, context = torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4)
    shuffled = context.flatten(2)[:, :, torch.randperm(16)].reshape(1, 8, 4, 4)
    plain, placed = block(), block(position=True)
    torch.testing.assert_close(plain(query, context), plain(query, shuffled))
    assert not torch.allclose(placed(query, context), placed(query, shuffled))


def test_pooled_context_of_a_flat_map_is_the_map() -> None:
    """Averages over equal cells change nothing."""
    full, pooled = block(), block(pool=2)
    pooled.load_state_dict(full.state_dict())
    query, context = torch.rand(1, 8, 4, 4), torch.rand(1, 8, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(pooled(query, context), full(query, context))
