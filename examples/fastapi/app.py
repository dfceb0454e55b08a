"""Certificates as a JSON API in FastAPI, with OpenAPI made from the schemas of certcore.

    pip install certcore fastapi uvicorn
    python -c "import certcore; certcore.CertCore.create_keyring('keyring.json')"
    CERTCORE_DATABASE=sqlite:///panel.db CERTCORE_KEYRING=keyring.json uvicorn --factory app:create_app
    certcore run --database sqlite:///panel.db --keyring keyring.json

The server in front signs the users in and sets X-Remote-User; it must remove this header from what clients send. Each
user is a tenant here. certcore's calls block, so they run in threads and do not stop the event loop.
"""

import os
from asyncio import to_thread
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Header, HTTPException, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from certcore import ActingCore, CertCore, CertCoreError
from certcore.serialization import (
    component_schemas,
    error_document,
    form_document,
    hints_document,
    rows_document,
    view_document,
)


def returns(document: str, status: int = 200) -> dict[str, Any]:
    """The arguments of a route that answers with a document of certcore, for the OpenAPI description."""

    def schema(name: str) -> dict[str, Any]:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}Document"}}}
        return {"description": name, "content": content}

    return {
        "status_code": status,
        "response_class": JSONResponse,
        "responses": {status: schema(document), "default": schema("Error")},
    }


def acting(request: Request, x_remote_user: Annotated[str, Header()] = "") -> ActingCore:
    """The calls that the user of a request may make."""
    if not x_remote_user:
        raise HTTPException(401)
    core: CertCore = request.app.state.core
    return core.acting_as(x_remote_user, owner=x_remote_user)


Customer = Annotated[ActingCore, Depends(acting)]
Values = Annotated[dict[str, Any], Body()]
routes = APIRouter()


@routes.get("/certificates", **returns("Rows"))
async def index(customer: Customer, after: str | None = None, limit: int = 50) -> Any:
    return JSONResponse(rows_document(await to_thread(customer.certificates.rows, after=after, limit=limit)))


@routes.get("/certificates/form", **returns("Form"))
async def form(customer: Customer, authority: str | None = None) -> Any:
    return JSONResponse(form_document(await to_thread(customer.certificates.form, authority=authority)))


@routes.post("/certificates", **returns("View", 201))
async def create(customer: Customer, values: Values) -> Any:
    def save() -> dict[str, Any]:
        bound = customer.certificates.form(authority=values.get("authority")).bind(values)
        return view_document(customer.certificates.view(customer.certificates.save(bound).id))

    return JSONResponse(await to_thread(save), 201)


@routes.get("/certificates/{certificate_id}", **returns("View"))
async def show(customer: Customer, certificate_id: str) -> Any:
    return JSONResponse(view_document(await to_thread(customer.certificates.view, certificate_id)))


@routes.patch("/certificates/{certificate_id}", **returns("View"))
async def change(customer: Customer, certificate_id: str, values: Values) -> Any:
    def save() -> dict[str, Any]:
        customer.certificates.save(customer.certificates.form(certificate_id).bind(values, partial=True))
        return view_document(customer.certificates.view(certificate_id))

    return JSONResponse(await to_thread(save))


@routes.get("/certificates/{certificate_id}/hints", **returns("Hints"))
async def hints(customer: Customer, certificate_id: str) -> Any:
    return JSONResponse(hints_document(await to_thread(customer.certificates.hints, certificate_id)))


@routes.post("/certificates/{certificate_id}/actions/{action}", **returns("View"))
async def run(customer: Customer, certificate_id: str, action: str, values: Values = {}) -> Any:  # noqa: B006
    def act() -> dict[str, Any]:
        customer.certificates.run_action(certificate_id, action, values)
        return view_document(customer.certificates.view(certificate_id))

    return JSONResponse(await to_thread(act))


@routes.delete("/certificates/{certificate_id}", status_code=204)
async def delete(customer: Customer, certificate_id: str) -> None:
    await to_thread(customer.certificates.delete, certificate_id)


def create_app(core: CertCore | None = None) -> FastAPI:
    """The application; without a core it opens the one that the environment names, once per process."""
    api = FastAPI(title="Certificates")
    api.state.core = core or CertCore.open(os.environ["CERTCORE_DATABASE"], keyring=os.environ["CERTCORE_KEYRING"])
    api.include_router(routes)

    @api.exception_handler(CertCoreError)
    async def refused(request: Request, error: CertCoreError) -> JSONResponse:
        return JSONResponse(error_document(error), status_code=error.http_status)

    def describe() -> dict[str, Any]:
        document = get_openapi(title=api.title, version="1", routes=api.routes)
        document.setdefault("components", {}).setdefault("schemas", {}).update(component_schemas())
        return document

    api.openapi = describe
    return api
