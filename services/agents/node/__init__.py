"""The daemon on each machine: runs kernels, tells what they do, survives its own restarts."""
