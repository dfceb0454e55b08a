"""The checks of the lines of the document that describes the section, by subject."""
