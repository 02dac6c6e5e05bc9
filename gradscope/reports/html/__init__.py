"""The interactive view: one frontend, and the data it draws.

``static/`` holds the frontend as it ships, plain ES modules that need no build. TensorBoard's tab loads them one by
one; `gradscope.reports.html.page` puts them into one file that opens offline. Both feed it the same description (JSON)
and the same packed grids (binary).
"""
