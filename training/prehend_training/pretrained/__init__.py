"""Pretrained weights that are free to use, read from the files their makers publish into networks of ours."""
