"""The SSL section of a panel in Flask, rendered on the server: a list, a form, and a page in two columns.

    pip install certcore flask
    python -c "import certcore; certcore.CertCore.create_keyring('keyring.json')"
    CERTCORE_DATABASE=sqlite:///panel.db CERTCORE_KEYRING=keyring.json flask --app app run
    certcore run --database sqlite:///panel.db --keyring keyring.json

The web server in front signs the users in and sets REMOTE_USER; each user is a tenant here.
"""

import os

from flask import Flask, abort, g, redirect, render_template, request, url_for

from certcore import CertCore, CertCoreError, InvalidInputError
from certcore.hints import hint_to_json


def create_app(core: CertCore | None = None) -> Flask:  # noqa: C901 - the routes, one after the other
    """The application; without a core it opens the one that the environment names, once per process."""
    app = Flask(__name__)
    core = core or CertCore.open(os.environ["CERTCORE_DATABASE"], keyring=os.environ["CERTCORE_KEYRING"])

    @app.before_request
    def identify() -> None:
        user = request.environ.get("REMOTE_USER") or abort(401)
        own = request.host_url.rstrip("/")
        if request.method == "POST" and request.headers.get("Origin", own) != own:
            abort(403)  # a form on somebody else's page
        g.certificates = core.acting_as(user, owner=user).certificates

    @app.errorhandler(CertCoreError)
    def refused(error: CertCoreError) -> tuple[str, int]:
        return render_template("error.html", error=error), error.http_status

    @app.get("/")
    def index() -> str:
        return render_template("index.html", page=g.certificates.rows(after=request.args.get("after")))

    @app.route("/new", methods=["GET", "POST"])
    @app.route("/<certificate_id>/edit", methods=["GET", "POST"])
    def edit(certificate_id: str | None = None) -> object:
        form = g.certificates.form(certificate_id, authority=request.values.get("authority"))
        if request.method == "GET":
            return render_template("edit.html", form=form, errors={})
        try:
            saved = g.certificates.save(form.bind(request.form))
        except InvalidInputError as error:
            errors = {each.field: each.reason for each in error.errors}
            return render_template("edit.html", form=form.refilled(request.form), errors=errors), error.http_status
        return redirect(url_for("show", certificate_id=saved.id))

    @app.get("/<certificate_id>")
    def show(certificate_id: str) -> str:
        view = g.certificates.view(certificate_id)
        hints = [hint_to_json(hint) for hint in g.certificates.hints(certificate_id)]
        return render_template("show.html", view=view, hints=hints, files=g.certificates.files(certificate_id))

    @app.get("/<certificate_id>/files/<name>")
    def download(certificate_id: str, name: str) -> object:
        files = {each.name: each for each in g.certificates.files(certificate_id)}
        file = files.get(name) or abort(404)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return file.content, 200, {"Content-Type": file.media_type, **headers}

    @app.post("/<certificate_id>/run/<action>")
    def run(certificate_id: str, action: str) -> object:
        offers = {str(offer.action): offer for offer in g.certificates.view(certificate_id).offers}
        if action in offers:
            asked = {name: request.form[name] for name in offers[action].asks}
            getattr(g.certificates, offers[action].method)(certificate_id, **offers[action].arguments, **asked)
        else:  # an action of the CA module
            g.certificates.run_action(certificate_id, action, request.form)
        return redirect(url_for("index") if action == "delete" else url_for("show", certificate_id=certificate_id))

    @app.post("/<certificate_id>/export")
    def export(certificate_id: str) -> object:
        files = g.certificates.export(certificate_id, "zip", reason=request.form["reason"]).files
        headers = {"Content-Disposition": f'attachment; filename="{files[0].name}"', "Cache-Control": "no-store"}
        return files[0].content, 200, {"Content-Type": "application/zip", **headers}

    return app
