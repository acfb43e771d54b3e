"""A run as a page: one HTML file that anybody can open, and the same page live beside a training.

What a run directory tells is collected in `facts`, what its weights tell in `samples`; `page` puts
both into words of a language and a template; `watch` serves the page while the training goes on.
"""
