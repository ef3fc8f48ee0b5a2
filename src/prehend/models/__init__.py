"""The networks, in torch. Nothing outside `models`, `export` and `backends.torch_` may import this package."""
