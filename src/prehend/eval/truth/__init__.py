"""What hands and objects truly did: from label files, datasets, and topics of the bag itself."""
