"""Earlier addresses: open the page of the technique that the link asks for, with the same choices."""

from app.state import address, pages
from workbench.core.errors import UnknownNameError

here = address.current()
choices = dict(here.chosen)
technique = choices.pop("technique", pages.MOVED[here.view])
if technique not in pages.all_pages():
    raise UnknownNameError("technique", technique, pages.technique_groups(), where=", which the link asks for")
address.go(technique, choices)
