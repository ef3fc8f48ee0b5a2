"""What human hands are doing, from a camera: metric 3D joints and mesh, grasp, and the pose of what is held."""

import os as _os

__version__ = "0.1.0"

# ONNX Runtime 1.31 writes a device id below HOME and asks for a server of its maker unless it is told not to before it
# is imported; whoever wants that says so in the environment.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
_os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # of Diffusers, for the prior
