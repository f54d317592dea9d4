"""Rules as what other systems install: one module a format, each a function of a converted rule."""
