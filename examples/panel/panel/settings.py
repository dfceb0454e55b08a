"""The settings of the example panel. What the SSL section needs is marked; the rest is as `startproject` creates it."""

import os
from pathlib import Path

#: The folder of the databases and keys; `run.py` removes it at the end.
FOLDER = Path(os.environ.get("PANEL_FOLDER", Path(__file__).parent.parent / "var"))

SECRET_KEY = os.environ.get("PANEL_SECRET_KEY", "for this machine only")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "certcore.contrib.django",  # the SSL section
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "certcore.contrib.django.middleware.SslMiddleware",  # the SSL section
]
ROOT_URLCONF = "panel.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "panel.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
# This panel is for this machine only, and uses plain HTTP. Your panel should redirect to HTTPS (security.W004, W008)
# and limit its cookies to HTTPS (W012, W016).
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"file": {"class": "logging.FileHandler", "filename": FOLDER / "panel.log", "delay": True}},
    "root": {"handlers": ["file"], "level": "INFO"},
    "loggers": {"django": {"handlers": ["file"], "propagate": False}},
}

# The SSL section. Your panel needs only the first two: installed plugins are found automatically.
CERTCORE = {
    "DATABASE": f"sqlite:///{FOLDER}/certcore.sqlite3",
    "KEYRING": str(FOLDER / "keyring.json"),
    "PLUGINS": ["panel.plugins.FrontDesk", "panel.plugins.WebServers"],
}
