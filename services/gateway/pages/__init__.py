"""The console: pages rendered from the read models, live by one stream, whole without scripts."""
