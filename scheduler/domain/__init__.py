"""The words of the system as plain values: no clock, no Redis, no logging inside."""
