"""The gallery: every figure in every state. `samples.py` makes the values up, `page.py` draws them with the screens' own figures."""
