"""What is in a scene and where: hands, objects, people, cameras, and how they move."""
