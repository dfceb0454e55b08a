"""Adapters to other software: deployment targets, mail, webhooks, metrics, Celery, Django, and PKCS#11 tokens."""
