"""The generative de-occluder (UniHOPE, section 3.3): twins without the held object for datasets that have none."""
