"""Somebody who reads pages and posts their forms, without a browser: links by their text, inputs by their labels.

What is not on a page cannot be clicked here either, and hidden inputs are posted as they are.
"""

import re

import httpx
from attrs import define, field
from bs4 import BeautifulSoup

__all__ = ["Page", "Reader"]


def _words(text):
    return re.sub(r"\s+", " ", text).strip()


def _chosen(control, value):
    """What is posted for a value; a choice may be given by its text."""
    texts = {_words(option.get_text()): option.get("value", "") for option in control.find_all("option")}
    return texts.get(value, value)


@define(eq=False)
class Page:
    """A page as it was answered."""

    response: httpx.Response
    soup: BeautifulSoup = field(repr=False)

    @classmethod
    def of(cls, response):
        """The page of an answer; one that says that the server is broken is a failure with what it says."""
        page = cls(response, BeautifulSoup(response.content, "html.parser"))
        if response.status_code >= 500:
            told = page.soup.select_one("#traceback_area, .exception_value")
            raise AssertionError(f"{response.status_code} of {response.url}: {(told or page.soup).get_text()[-3000:]}")
        return page

    @property
    def status(self):
        return self.response.status_code

    @property
    def path(self):
        return self.response.url.path

    @property
    def text(self):
        """All words, scripts and styles apart."""
        return _words(self.soup.get_text(" "))

    @property
    def html(self):
        return self.response.text

    def links(self):
        """The text of each link, with where it leads."""
        return [(_words(link.get_text(" ")), link["href"]) for link in self.soup.find_all("a", href=True)]

    def buttons(self):
        """The texts of all buttons."""
        return [_words(button.get_text(" ")) for button in self.soup.find_all("button")]

    def headings(self):
        """The texts of all headings."""
        return [_words(heading.get_text(" ")) for heading in self.soup.find_all(re.compile("^h[1-6]$"))]

    def input(self, label):
        """The input with a label that begins so; None where there is none."""
        for found in self.soup.find_all("label"):
            if not _words(found.get_text(" ")).lower().startswith(label.lower()):
                continue
            inner = found.find(["input", "select", "textarea"])
            if inner is not None:
                return inner
            if found.get("for") and (outer := self.soup.find(id=found["for"])) is not None:
                return outer
        return None

    def facts(self):
        """Terms and what is said of them, by term."""
        return {
            _words(term.get_text(" ")): _words(said.get_text(" "))
            for term in self.soup.find_all("dt")
            if (said := term.find_next_sibling("dd")) is not None
        }


@define(eq=False)
class Reader:
    """Somebody on a site; `page` is the one that they see."""

    client: httpx.Client
    page: Page | None = None

    @classmethod
    def arrive(cls, base_url, **headers):
        client = httpx.Client(base_url=base_url, follow_redirects=True, timeout=60, headers=headers, trust_env=False)
        return cls(client)

    def close(self):
        """End the connection."""
        self.client.close()

    def visit(self, path):
        """Go to an address."""
        self.page = Page.of(self.client.get(path))
        return self.page

    def follow(self, text):
        """Click the first link with this text, or that has these words."""
        links = self.page.links()
        for fits in (lambda shown: shown == text, lambda shown: text.lower() in shown.lower()):
            for shown, target in links:
                if fits(shown):
                    return self.visit(str(self.page.response.url.join(target)))
        raise AssertionError(f"no link {text!r} on {self.page.path}; there are {[shown for shown, _ in links]}")

    def press(self, text, files=None, **values):
        """Press a button, after filling in inputs; ``values`` are by label, underscores for spaces, or by name.

        A box is ticked with True. The answer is the new page, behind its redirects.
        """
        button = self._button(text)
        outer = button.find_parent("form")
        form = self.page.soup.find("form", id=button["form"]) if button.get("form") else outer
        assert form is not None, f"the button {text!r} has no form"
        data = self._filled(form)
        for label, value in values.items():
            control = self._control(form, label)
            if value is True or value is False:
                data.pop(control["name"], None)
                data |= {control["name"]: control.get("value", "on")} if value else {}
            else:
                data[control["name"]] = _chosen(control, value)
        if button.get("name"):
            data[button["name"]] = button.get("value", "")
        target = str(self.page.response.url.join(button.get("formaction") or form.get("action") or ""))
        if (form.get("method") or "get").lower() == "get":
            response = self.client.get(target, params=data)
        else:
            response = self.client.post(
                target, data=data, files=files, headers={"Referer": str(self.page.response.url)}
            )
        self.page = Page.of(response)
        return self.page

    def _button(self, text):
        buttons = [*self.page.soup.find_all("button"), *self.page.soup.find_all("input", type="submit")]
        for fits in (lambda shown: shown == text, lambda shown: text.lower() in shown.lower()):
            for button in buttons:
                if fits(_words(button.get_text(" ") or button.get("value", ""))) and not button.has_attr("disabled"):
                    return button
        raise AssertionError(f"no button {text!r} on {self.page.path}; there are {self.page.buttons()}")

    def _controls(self, form):
        inner = form.find_all(["input", "select", "textarea"])
        outer = self.page.soup.find_all(["input", "select", "textarea"], form=form.get("id", "-"))
        return [*inner, *(control for control in outer if control not in inner)]

    def _control(self, form, label):
        named = [control for control in self._controls(form) if control.get("name") == label]
        control = named[-1] if named else self.page.input(label.replace("_", " "))
        assert control is not None, f"no input {label!r} on {self.page.path}"
        return control

    def _filled(self, form):
        """What a browser posts of a form that nobody has touched."""
        data = {}
        for control in self._controls(form):
            name, kind = control.get("name"), control.get("type", "")
            if not name or control.has_attr("disabled") or kind in {"submit", "button", "file", "reset"}:
                continue
            if control.name == "select":
                options = control.find_all("option")
                chosen = [option for option in options if option.has_attr("selected")] or options[:1]
                data[name] = [option.get("value", option.get_text()) for option in chosen]
            elif control.name == "textarea":
                data[name] = control.get_text().removeprefix("\n")
            elif kind in {"checkbox", "radio"}:
                if control.has_attr("checked"):
                    data[name] = control.get("value", "on")
            else:
                data[name] = control.get("value", "")
        return data
