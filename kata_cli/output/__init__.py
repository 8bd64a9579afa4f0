"""Sinks that people and scripts see: stdout carries the result, stderr everything else."""
