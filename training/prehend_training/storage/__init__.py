"""Samples on disk: files of a sample, tars of samples, twins of a dataset."""
