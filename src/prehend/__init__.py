"""What human hands are doing, from a camera: metric 3D joints and mesh, grasp, and the pose of what is held."""

__version__ = "0.1.0"
