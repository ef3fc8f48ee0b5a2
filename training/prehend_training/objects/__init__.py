"""Objects to hold: a catalogue and families of solids, their distances, meshes, prints, materials; an importer."""

from prehend_training.objects.catalogue import CATALOGUE, catalogue, read_solid
from prehend_training.objects.families import FAMILIES, random_bottle, random_box, sample_solid
from prehend_training.objects.shapes.mesh import Mesh, Surface
from prehend_training.objects.solid import Form, Paint, Range, Solid

__all__ = [
    "CATALOGUE",
    "FAMILIES",
    "Form",
    "Mesh",
    "Paint",
    "Range",
    "Solid",
    "Surface",
    "catalogue",
    "random_bottle",
    "random_box",
    "read_solid",
    "sample_solid",
]
