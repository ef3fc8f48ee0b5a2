"""Real photographs: labels that a teacher gives them, and what training reads of these.

looks.py              the views in which a teacher sees an image: whole, tiles, turned, mirrored, nearer
teachers.py           who answers: MediaPipe in an environment of its own, or weights of ours
mediapipe_worker.py   the script that runs in that environment
agreement.py          which answers are sure and stable, and how uncertain each joint is
facts.py              what is known about whole folders: source, licence, side, held, no hands
labels.py             the file of labels, `prehend.photo_labels/1`
labelling.py          all of it for a folder; goes on where it stopped
"""
