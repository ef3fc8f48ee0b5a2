"""Fine-tuning of the palm detector on scenes and photographs.

labels.py    what is known of the palms of photographs, `prehend.palm_labels/1`
pseudo.py    a detector labels photographs: what comes back from the mirror image is kept, what does not is left out
targets.py   what each anchor should answer
batches.py   views of frames and photographs with such targets
losses.py    the loss terms
measure.py   what a detector finds on photographs, and where its threshold lies

`train/tasks/palms.py` is the run.
"""
