"""What the camera and the estimator see, for a person to look at: a page in the browser, or a Rerun recording."""
