"""HandBooster (Xu et al., CVPR 2024): conditions from grasps and photographs, images made for them, and a filter."""
