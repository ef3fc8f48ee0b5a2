"""MediaPipe's hand_landmark_full as `HandLandmarks`."""

from prehend.models.trunks.hand_landmarks import HandLandmarks
from prehend_training.pretrained.filling import fill, layers_of
from prehend_training.pretrained.tflite_file import read_layers


def convert_hand(content: bytes) -> HandLandmarks:
    """The network with the file's numbers.

    The file's own outputs for presence and handedness are probabilities, behind a logistic function; ours are logits.

    Raises:
        MissingDependency: `tflite` is not installed.
        WeightsMismatch: the file holds another network.
    """
    network = HandLandmarks()
    heads = network.handedness, network.presence, network.landmarks, network.world  # as the file computes them
    fill(layers_of(network.trunk, *heads), read_layers(content))
    return network.eval()
