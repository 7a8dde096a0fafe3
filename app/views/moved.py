"""Redirects from earlier addresses to the page of a technique, with the choices of the link."""

from app.state import address, pages
from workbench.core.errors import UnknownNameError

here = address.current()
choices = dict(here.chosen)
technique = choices.pop("technique", pages.MOVED[here.view])
if technique not in pages.all_pages():
    raise UnknownNameError("technique", technique, pages.technique_groups(), where=", which the link asks for")
address.go(technique, choices)
