"""The evidence report: what is said, and how it becomes HTML, Markdown and files."""
