"""People: accounts and passwords, sessions, signing in (here or at an OpenID provider). Tokens of machines: ioc/auth.py."""
