"""Builders of the assets that training and the package need: the hand model and its poses."""
