"""Where each dataset comes from and how its folder looks: what errors about missing files say."""

import os
from dataclasses import dataclass
from pathlib import Path

from prehend.errors import SourceError


@dataclass(frozen=True)
class DatasetSource:
    """A dataset that a user has to fetch.

    Attributes:
        name: how `open_dataset` calls it.
        title: how its authors call it.
        page: its official page.
        variable: environment variable that may name the folder.
        tree: what the folder holds, a path a line.
    """

    name: str
    title: str
    page: str
    variable: str
    tree: str

    def folder(self, root: Path | None) -> Path:
        """The dataset's folder: `root`, or what the environment names.

        Raises:
            SourceError: neither names a folder that is there.
        """
        named = root if root is not None else os.environ.get(self.variable)
        if not named:
            raise SourceError(f"{self.title}: no folder given. {self.help()}")
        folder = Path(named)
        if not folder.is_dir():
            raise SourceError(f"{self.title}: there is no folder {folder}. {self.help()}")
        return folder

    def help(self) -> str:
        """What to download and where it goes."""
        return (
            f"Download {self.title} from its official page ({self.page}), accept its licence, and name the unpacked "
            f"folder by `root` (`--root`) or the environment variable {self.variable}. It should hold:\n{self.tree}"
        )

    def missing(self, path: Path) -> SourceError:
        """The error for a file or folder of the dataset that is not there."""
        return SourceError(f"{self.title}: {path} is missing. {self.help()}")

    def require(self, path: Path) -> Path:
        """`path` if it is there.

        Raises:
            SourceError: it is not.
        """
        if not path.exists():
            raise self.missing(path)
        return path


DEXYCB = DatasetSource(
    "dexycb",
    "DexYCB",
    "dex-ycb.github.io",
    "PREHEND_DEXYCB",
    """  20200709-subject-01/20200709_141754/meta.yml
  20200709-subject-01/20200709_141754/836212060125/color_000000.jpg, labels_000000.npz
  calibration/intrinsics/836212060125_640x480.yml
  calibration/extrinsics_*/extrinsics.yml
  calibration/mano_*/mano.yml
  models/002_master_chef_can/textured_simple.obj""",
)

_HO3D_TREE = """  train.txt, evaluation.txt
  evaluation_xyz.json, evaluation_verts.json   (labels of the evaluation split, public since November 2024)
  train/ABF10/rgb/0000.{image}, train/ABF10/meta/0000.pkl
  evaluation/AP10/rgb/0000.{image}, evaluation/AP10/meta/0000.pkl"""

_HO3D_PAGE = (
    "the HO-3D page of Graz University of Technology, Lepetit's group; linked from github.com/shreyashampali/ho3d"
)

HO3D_V2 = DatasetSource("ho3d_v2", "HO-3D v2", _HO3D_PAGE, "PREHEND_HO3D_V2", _HO3D_TREE.format(image="png"))
HO3D_V3 = DatasetSource("ho3d_v3", "HO-3D v3", _HO3D_PAGE, "PREHEND_HO3D_V3", _HO3D_TREE.format(image="jpg"))

FREIHAND = DatasetSource(
    "freihand",
    "FreiHAND",
    "lmb.informatik.uni-freiburg.de/projects/freihand",
    "PREHEND_FREIHAND",
    """  training/rgb/00000000.jpg ... 00130239.jpg, training/mask/00000000.jpg ... 00032559.jpg
  training_K.json, training_xyz.json, training_mano.json, training_verts.json, training_scale.json
  evaluation/rgb/00000000.jpg ... 00003959.jpg
  evaluation_K.json, evaluation_xyz.json, evaluation_mano.json, evaluation_verts.json, evaluation_scale.json""",
)

HANCO = DatasetSource(
    "hanco",
    "HanCo",
    "lmb.informatik.uni-freiburg.de/projects/contra-hand",
    "PREHEND_HANCO",
    """  meta.json
  rgb/0000/cam0/00000000.jpg, mask_hand/0000/cam0/00000000.jpg
  calib/0000/00000000.json, xyz/0000/00000000.json, shape/0000/00000000.json""",
)
