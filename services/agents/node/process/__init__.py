"""The process runtime: a kernel is a process group of this machine, sandboxed where it can be."""
