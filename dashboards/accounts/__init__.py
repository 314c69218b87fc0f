"""Signing in, one's own account, administration: plain pages of forms, which need no script and no Dash."""
