"""Models on data: predictions, Jacobians, losses and their gradients.

A formula is evaluated by the kernel's operators, which torch dispatches: compiled on the CPU, torch
elsewhere and under autograd. A network is evaluated by torch.
"""
