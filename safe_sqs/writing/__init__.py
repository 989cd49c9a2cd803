"""Policies that are written, mended and told in words. All that is written here is judged by the one judge."""
