"""Hands that an estimate may mean, while it runs: for hidden joints and answers that are unsure (docs/HHMR.md).

One picture leaves open where a hidden finger is. Each hypothesis is the network's pose after errors as large as the
network makes, brought back to a hand by the prior (`denoiser`) and to the joints that are seen (`skeleton`): samples of
what may be by randomised maximum likelihood (Oliver et al., 1996). `follow` keeps them from frame to frame and stays
within the time that it is given; `spread` says how unsure each joint is by them.
"""
