"""Replicas: who leads a group, and what a leader does all day."""
