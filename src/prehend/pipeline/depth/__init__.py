"""A depth image beside the image: hands and what they hold as far away as it says."""
