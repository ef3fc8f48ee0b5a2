"""Rendered scenes of hands and what they hold, with exact labels.

appearance/   rooms, surfaces, light
camera/       intrinsics, lenses, the faults of images, depth sensors
people/       hands as people have them: skin, arms, clothes, gestures
layout/       what is in a scene and where, and how it moves
render/       from a scene to images and labels
"""
