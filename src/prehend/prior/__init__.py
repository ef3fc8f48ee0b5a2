"""What hands look like, as a diffusion model: sampling it, alone or given what is known of a hand.

This is the one place outside of the networks where torch thinks: a sampler runs its network dozens of times on batches
of hypotheses, and steps between are linear algebra on the same tensors.
"""
