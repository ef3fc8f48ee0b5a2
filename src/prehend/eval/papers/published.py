"""Published results, copied from the papers' tables, to stand beside our row.

Source of each table is its `source`; "H2ONet + HFL-Net" and "HandOccNet + HFL-Net" are a classifier that picks one of
two networks, "(orig.)" with networks trained in their original setting, "(unif.)" trained again on all scenes. The text
of the paper lost the marks of the two; the order is told by table 1, whose unified H2ONet row equals the second one,
and is taken to be the same for HandOccNet and in the other tables.
"""

from dataclasses import dataclass

_UNIHOPE = "UniHOPE (CVPR 2025)"
_S0 = "SiMA-Hand (AAAI 2024), table 1; H2ONet (CVPR 2023), table 1; HandBooster (CVPR 2024), table 1"


@dataclass(frozen=True)
class Published:
    """A table of a paper.

    Attributes:
        source: paper and table.
        rows: by method, the numbers in the order of the layout's columns: mm, percent; None where the paper has "-".
    """

    source: str
    rows: dict[str, tuple[float | None, ...]]


PUBLISHED: dict[tuple[str, int], Published] = {
    # all, hand-only, hand-object: J-PE, PA-J-PE, V-PE, PA-V-PE
    ("dexycb-s3", 2): Published(
        f"{_UNIHOPE}, table 2",
        {
            "HandOccNet": (14.02, 6.17, 13.55, 5.95, 13.16, 5.31, 12.70, 5.11, 14.58, 6.73, 14.10, 6.49),
            "MobRecon": (15.02, 6.71, 13.93, 5.91, 14.43, 5.88, 13.45, 5.15, 15.40, 7.25, 14.24, 6.39),
            "H2ONet": (14.78, 5.72, 14.63, 6.19, 14.14, 4.74, 14.00, 5.35, 15.20, 6.35, 15.03, 6.74),
            "SimpleHand": (14.78, 6.30, 14.11, 6.03, 14.63, 5.62, 13.96, 5.38, 14.88, 6.74, 14.21, 6.45),
            "Liu et al.": (15.33, 6.17, 14.79, 5.98, 15.18, 5.48, 14.60, 5.31, 15.43, 6.61, 14.91, 6.40),
            "Keypoint Trans.": (19.16, 7.70, 18.71, 7.96, 19.75, 7.59, 19.26, 7.98, 18.79, 7.77, 18.35, 7.94),
            "HFL-Net": (14.32, 6.08, 13.83, 5.86, 13.61, 5.20, 13.10, 5.01, 14.77, 6.64, 14.29, 6.41),
            "H2ONet + HFL-Net (orig.)": (14.12, 5.83, 13.75, 5.83, 13.29, 4.70, 13.08, 5.06, 14.66, 6.55, 14.18, 6.33),
            "H2ONet + HFL-Net (unif.)": (14.54, 5.90, 14.19, 6.00, 14.14, 4.76, 14.00, 5.35, 14.79, 6.63, 14.31, 6.41),
            "HandOccNet + HFL-Net (orig.)": (
                14.34, 6.06, 13.86, 5.85, 13.85, 5.28, 13.35, 5.08, 14.66, 6.56, 14.18, 6.34,
            ),
            "HandOccNet + HFL-Net (unif.)": (
                14.52, 6.15, 14.02, 5.93, 14.09, 5.37, 13.58, 5.17, 14.79, 6.65, 14.31, 6.42,
            ),
            "UniHOPE": (13.03, 5.59, 12.59, 5.40, 12.59, 4.83, 12.12, 4.66, 13.31, 6.08, 12.89, 5.87),
        },
    ),
    # ADD-0.5D of the three objects, then of all samples
    ("dexycb-s3", 3): Published(
        f"{_UNIHOPE}, table 3",
        {
            "Liu et al.": (26.31, 25.07, 68.56, 38.89),
            "Keypoint Trans.": (0.00, 1.31, 32.61, 10.47),
            "HFL-Net": (25.88, 32.08, 70.16, 41.59),
            "H2ONet + HFL-Net (orig.)": (29.26, 30.71, 64.84, 40.69),
            "H2ONet + HFL-Net (unif.)": (26.12, 29.33, 69.40, 40.51),
            "HandOccNet + HFL-Net (orig.)": (29.30, 30.57, 64.94, 40.69),
            "HandOccNet + HFL-Net (unif.)": (26.22, 29.51, 69.40, 40.61),
            "UniHOPE": (26.23, 32.32, 74.29, 43.06),
        },
    ),
    # J-PE, J-AUC, V-PE, V-AUC, F@5, F@15, root-relative
    ("ho3d", 4): Published(
        f"{_UNIHOPE}, table 4 (HO3D v2)",
        {
            "HandOccNet": (28.94, 47.96, 28.10, 49.23, 23.34, 67.86),
            "MobRecon": (29.61, 48.10, 28.65, 49.59, 23.38, 67.72),
            "H2ONet": (30.46, 47.09, 29.55, 48.31, 22.10, 66.04),
            "SimpleHand": (29.01, 47.58, 28.09, 49.00, 21.93, 65.90),
            "Liu et al.": (29.54, 47.55, 28.66, 48.83, 21.82, 67.34),
            "Keypoint Trans.": (41.04, 34.47, 39.64, 36.02, 17.13, 56.07),
            "HFL-Net": (28.45, 50.34, 27.55, 51.57, 24.31, 69.88),
            "H2ONet + HFL-Net (orig.)": (31.27, 47.70, 30.31, 48.86, 22.91, 67.20),
            "H2ONet + HFL-Net (unif.)": (28.49, 50.45, 27.59, 51.67, 24.33, 69.86),
            "HandOccNet + HFL-Net (orig.)": (30.96, 47.85, 30.01, 49.02, 23.04, 67.47),
            "HandOccNet + HFL-Net (unif.)": (28.33, 50.45, 27.44, 51.67, 24.39, 69.99),
            "UniHOPE": (26.23, 52.26, 25.41, 53.52, 24.64, 70.77),
        },
    ),
    # root-relative, then aligned: J-PE, J-AUC, V-PE, V-AUC, F@5, F@15
    ("freihand", 5): Published(
        f"{_UNIHOPE}, table 5 (trained on DexYCB)",
        {
            "HandOccNet": (58.03, 29.07, 56.06, 29.40, 14.89, 47.75, 14.52, 71.34, 14.09, 72.07, 40.02, 88.08),
            "MobRecon": (71.18, 22.21, 68.50, 22.34, 10.41, 36.67, 17.74, 65.16, 17.32, 65.90, 32.95, 81.35),
            "H2ONet": (79.14, 19.88, 76.29, 19.38, 9.69, 36.71, 14.56, 71.21, 14.25, 71.69, 38.73, 87.69),
            "SimpleHand": (60.82, 26.09, 58.85, 26.34, 12.84, 43.53, 15.79, 68.90, 15.37, 69.61, 37.03, 85.40),
            "Liu et al.": (59.40, 28.84, 57.39, 29.04, 14.92, 47.76, 14.00, 72.30, 13.59, 73.02, 41.53, 89.11),
            "Keypoint Trans.": (96.27, 13.60, 93.39, 12.37, 6.99, 27.82, 16.97, 66.66, 17.03, 66.38, 34.31, 83.44),
            "HFL-Net": (58.02, 29.94, 56.08, 30.20, 15.47, 48.83, 14.29, 71.75, 13.85, 72.52, 40.52, 88.63),
            "H2ONet + HFL-Net (orig.)": (
                68.88, 24.27, 66.49, 24.21, 12.33, 42.38, 14.47, 71.36, 14.10, 71.99, 39.48, 88.14,
            ),
            "H2ONet + HFL-Net (unif.)": (
                68.25, 24.49, 65.90, 24.40, 12.30, 42.51, 14.42, 71.47, 14.06, 72.09, 39.54, 88.18,
            ),
            "HandOccNet + HFL-Net (orig.)": (
                81.79, 21.33, 78.91, 20.56, 10.89, 36.68, 15.40, 69.65, 14.85, 70.58, 38.30, 86.94,
            ),
            "HandOccNet + HFL-Net (unif.)": (
                80.74, 20.30, 78.00, 19.44, 10.52, 36.38, 16.15, 68.29, 15.58, 69.26, 36.92, 85.93,
            ),
            "UniHOPE": (50.97, 34.31, 49.21, 34.94, 17.83, 53.46, 13.53, 73.24, 13.14, 73.92, 43.23, 89.55),
        },
    ),
    # 25-50, 50-75, 75-100 % hidden: J-PE, PA-J-PE, V-PE, PA-V-PE
    ("dexycb-s3", 6): Published(
        f"{_UNIHOPE}, table 6",
        {
            "HandOccNet": (16.40, 7.08, 15.85, 6.83, 18.22, 7.60, 17.67, 7.33, 28.15, 8.71, 27.20, 8.40),
            "MobRecon": (16.67, 7.61, 15.60, 6.77, 20.04, 8.17, 18.80, 7.48, 31.46, 9.64, 29.97, 9.23),
            "H2ONet": (17.07, 6.76, 16.78, 7.09, 19.41, 7.32, 19.07, 7.58, 31.07, 8.82, 30.11, 8.94),
            "SimpleHand": (16.43, 7.05, 15.78, 6.75, 19.33, 7.55, 18.38, 7.39, 38.52, 10.57, 36.85, 10.40),
            "Liu et al.": (16.98, 6.92, 16.43, 6.71, 19.72, 7.11, 19.14, 6.91, 33.80, 8.99, 32.64, 8.71),
            "Keypoint Trans.": (20.95, 8.15, 20.41, 8.31, 24.45, 8.61, 23.88, 8.76, 38.29, 11.21, 37.39, 11.75),
            "HFL-Net": (16.33, 7.00, 15.81, 6.77, 18.66, 7.33, 18.11, 7.11, 28.95, 8.80, 27.94, 8.53),
            "H2ONet + HFL-Net (orig.)": (16.07, 6.84, 15.57, 6.67, 19.39, 7.40, 18.82, 7.22, 30.32, 8.43, 29.27, 8.28),
            "H2ONet + HFL-Net (unif.)": (16.43, 6.93, 15.94, 6.79, 18.76, 7.29, 18.25, 7.14, 31.02, 8.55, 29.91, 8.45),
            "HandOccNet + HFL-Net (orig.)": (
                16.04, 6.89, 15.53, 6.65, 19.22, 7.43, 18.64, 7.20, 29.57, 8.58, 28.53, 8.31,
            ),
            "HandOccNet + HFL-Net (unif.)": (
                16.41, 7.00, 15.88, 6.77, 18.64, 7.33, 18.09, 7.10, 29.22, 8.76, 28.20, 8.47,
            ),
            "UniHOPE": (14.59, 6.39, 14.13, 6.17, 16.27, 6.51, 15.78, 6.29, 26.42, 7.64, 25.51, 7.40),
        },
    ),
    # root-relative, then aligned: J-PE, J-AUC, V-PE, V-AUC, F@5, F@15
    ("dexycb-s0", 5): Published(
        _S0,
        {
            "Spurr et al.": (17.34, 69.80, None, None, None, None, 6.83, 86.40, None, None, None, None),
            "METRO": (15.24, None, None, None, None, None, 6.99, None, None, None, None, None),
            "Liu et al.": (15.28, None, None, None, None, None, 6.58, None, None, None, None, None),
            "Tse et al.": (16.05, 72.20, None, None, None, None, None, None, None, None, None, None),
            "HandOccNet": (14.04, 74.82, 13.09, 76.58, 51.49, 92.37, 5.80, 88.40, 5.50, 89.00, 77.95, 98.99),
            "MobRecon": (14.20, 73.74, 13.05, 76.14, 50.83, 92.11, 6.36, 87.31, 5.59, 88.85, 78.48, 98.81),
            "H2ONet, one frame": (14.02, 74.55, 13.03, 76.22, 51.29, 92.05, 5.65, 88.92, 5.45, 89.09, 80.14, 99.03),
            "H2ONet, several frames": (13.7, 74.8, 12.7, 76.6, 52.1, 92.3, 5.3, 89.4, 5.2, 89.6, 80.5, 99.3),
            "SiMA-Hand": (13.25, 74.99, 12.78, 77.12, 53.52, 92.48, 5.16, 89.37, 4.98, 90.04, 81.44, 99.24),
            "HandOccNet + HandBooster": (11.9, 77.8, 11.5, 78.5, 55.6, 93.6, 5.2, 89.6, 5.0, 89.9, 81.3, 99.2),
            "MobRecon + HandBooster": (13.2, 74.9, 12.3, 76.6, 51.8, 92.5, 6.2, 87.6, 5.4, 89.3, 79.2, 99.1),
            "H2ONet + HandBooster": (12.9, 76.0, 12.5, 76.5, 52.1, 92.2, 5.1, 89.8, 5.1, 89.8, 81.3, 99.2),
        },
    ),
}  # fmt: skip
"""By protocol and layout (the number of the table of UniHOPE whose columns it has)."""
