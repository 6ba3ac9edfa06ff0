"""Settings of Sphinx; ``build.py`` says which pages there are."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from seq2seq import __version__

project = "seq2seq"
author = "The seq2seq authors"
version = release = __version__
html_title = "seq2seq"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
smartquotes_action = "D"  # dashes; what is quoted stays as it is typed
highlight_language = "text"  # of formulas that docstrings set apart

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "members"]
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# A page that is added later is not an error before someone gives it its place.
suppress_warnings = ["toc.not_included"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
python_use_unqualified_type_names = True
add_module_names = False
default_role = "code"
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#1d5c87", "color-brand-content": "#1d5c87"},
    "dark_css_variables": {"color-brand-primary": "#7fb8dd", "color-brand-content": "#7fb8dd"},
}
