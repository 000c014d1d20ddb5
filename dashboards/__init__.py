"""Server-rendered pages in Chinese, usable without JavaScript."""
