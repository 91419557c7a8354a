"""How the two kinds of work run: callables in warm children, commands by exec."""
