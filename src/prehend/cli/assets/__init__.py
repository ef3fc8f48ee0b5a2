"""The commands about what is here: weights, engines, objects, hands, files, the installation."""
