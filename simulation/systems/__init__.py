"""What each internal system records and exports, one file here per system.

Belongs here: file formats. Every exporter turns log rows into an `Export`: one line of text per event, with its id and
day. The mess (late, doubled, broken lines) is made afterwards, in `mess.py`.
"""
