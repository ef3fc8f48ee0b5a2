"""Photographs that people labelled elsewhere, as labels and shards of ours."""
