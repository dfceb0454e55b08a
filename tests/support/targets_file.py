"""A file of targets: one that works and one that does not answer."""

TARGETS = """
[[deploy]]
name = "web"
folder = "{folder}/ssl/{{name}}"
format = "nginx"
layout = "versioned"
command = ["/bin/sh", "-c", "echo ran >> '{folder}/notes'"]

[[webhook]]
name = "nowhere"
url = "http://127.0.0.1:9/canary-token"
"""
