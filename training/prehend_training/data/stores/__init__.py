"""Where training's images come from: folders, datasets, photographs, scenes made as they are needed, memory."""
