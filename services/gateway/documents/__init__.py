"""The objects of the API in their exact shape: what read models keep and every page renders.

A document is stored as its JSON text, so a list page is one query that joins texts. What changes
by the second (an agent's load, a place in a queue) is not stored but added when it is rendered.
"""
