//! Values of a program in host memory, shared by every CPU backend.
