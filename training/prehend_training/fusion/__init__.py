"""What several frames add to a network that looks at one: learnt on what that network says, not on images."""
