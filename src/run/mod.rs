//! Executes a plan and keeps its records in a folder.
