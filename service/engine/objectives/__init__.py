"""Models on data: predictions, Jacobians, losses and their gradients.

A formula is read by the kernel's operators, which torch dispatches: compiled on the CPU, plain
torch elsewhere and under autograd. A network is torch all through.
"""
