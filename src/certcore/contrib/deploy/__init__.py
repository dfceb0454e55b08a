"""Deploy certificates as files, and run a command when they have changed."""

from certcore.contrib.deploy.files import DeployFiles, DeploymentError, Layout

__all__ = ["DeployFiles", "DeploymentError", "Layout"]
