"""SiMA-Hand's data and losses: several calibrated views of one moment.

instants.py   the moments of folders of views and of real datasets, and the same hand found again in every view
batches.py    crops of it as batches, with where the cameras stand
losses.py     the loss terms

`train/tasks/sima.py` is the run.
"""
