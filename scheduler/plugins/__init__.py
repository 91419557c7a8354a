"""The door through which schedulers, selectors and validators come, the built-in ones too."""
