"""Answers with the sample's version; gunicorn serves it."""

import os

from flask import Flask

version = "1"

app = Flask(__name__)


@app.get("/")
def index():
    return f"Hello from Flask, version {version} {os.environ.get('GREETING', '')}\n"
