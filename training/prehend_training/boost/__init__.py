"""HandBooster (Xu et al., CVPR 2024): conditions from grasps and photographs, pictures made for them, and a filter."""
