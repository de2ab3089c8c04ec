"""The HTML of the labelling pages. Every text that is not ours goes through `escape` or `highlight.plain`."""

from verigrad.ui.pages.agreement import agreement_page
from verigrad.ui.pages.compare import compare_page, name_page, task_view
from verigrad.ui.pages.frame import style_sheet

__all__ = ["agreement_page", "compare_page", "name_page", "style_sheet", "task_view"]
