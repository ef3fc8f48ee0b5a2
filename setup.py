"""The packages to install; all else is declared in pyproject.toml.

They stand here because the object catalogue lies in config/objects, where the ROS package installs it from too.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages("src", include=["prehend*"]), "prehend.objects"],
    package_dir={"": "src", "prehend.objects": "config/objects"},
)
