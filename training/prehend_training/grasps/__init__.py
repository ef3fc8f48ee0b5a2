"""How hands hold objects: an optimiser of grasps, checks, a library that ships, and the states beside a grasp."""
