"""The packages to install; all else is declared in pyproject.toml.

They stand here because some folders of the repository, from which the ROS package is installed too, go into the wheel
as parts of the package: the messages, the object catalogue, the node's parameters and layouts, the launch files and the
examples.
"""

from setuptools import find_namespace_packages, setup

FOLDERS = {
    "prehend.ros.msg": "msg",
    "prehend.objects": "config/objects",
    "prehend.share.config": "config",
    "prehend.share.launch": "launch",
    "prehend.share.examples": "examples",
}

setup(
    packages=[*find_namespace_packages("src", include=["prehend*"]), *FOLDERS],
    package_dir={"": "src", **FOLDERS},
)
