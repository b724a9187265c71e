"""How well the spam filter tells mail apart, measured: made mail or a corpus from disk, training, judging, figures.

`templates` and `make` generate mail, `dress` puts it into MIME, `facts` draws who sent it; `folders` reads a corpus
of real mail; `measure` trains and judges through the filter's own rooms. `python -m postroom.testing.spam` prints.
Made mail shows that the machinery works, what each check costs, and how it does on tricks that were thought of. It
cannot show how the filter does on the mail of the world: who wrote the templates also wrote the rules.
"""
